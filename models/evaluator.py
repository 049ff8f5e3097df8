"""Evaluation of a model while it trains: the test that test.py would make of it now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.base_model import BaseModel
from models.base_noise import NoiseModel
from models.evaluation import Evaluation, Scored
from options import UserError
from util.engine import Engine
from util.scores import ScoreTable
from util.seeding import seed_everything


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a model that is being trained.

    Attributes:
        values: by name, NaN where it is not defined; the first is of the first metric that was asked for.
        better: where each improves: lower, higher, one; those without are not judged.
        diversity: mean distance between two outputs, in parts of that between two real images; None if not known.
        lines: what test.py would print.
    """

    values: dict[str, float]
    better: dict[str, str]
    remarks: list[str]
    diversity: float | None
    lines: list[str]


def words_of_test(opt: Any, model: type[BaseModel]) -> list[str]:
    """The flags of test.py for an evaluation of a run with these options; the rest it takes from the run.

    Raises:
        UserError: the model makes no images.
    """
    if "phase" in model.tasks:
        raise UserError(f"--eval_freq {opt.eval_freq}: --model {opt.model} makes no images that could be evaluated")
    told = ["name", "checkpoints_dir", "model", "dataset_mode", "plugin_dir", "batch_size", "num_threads", "gpu_ids"]
    told += ["device", "precision", "extractor", "inception_weights", "lpips_weights", "recogniser", "style_judge"]
    words = [word for flag in told if (value := getattr(opt, flag)) is not None for word in (f"--{flag}", str(value))]
    complete = [] if "num_samples" in model.tasks else ["--num_test", "all"]
    return [*words, *complete, "--metrics", *opt.eval_metrics]


class Evaluator:
    """Evaluates a model while it trains, as test.py would: by a copy of it in test mode, which gets its weights.

    Nothing of the model in training is touched, nor the numbers that its steps draw: call it in ``isolated()``.

    Args:
        opt: options of a test of this run, with its metrics.
        dataset: of the training, to find out at once what cannot be evaluated.
        test_set: makes a data.test_set.TestSet of test options and the engine's ``place``.

    Raises:
        UserError: as Evaluation.
    """

    def __init__(self, opt: Any, dataset: Any, model: type[BaseModel], test_set: Callable[..., Any], device: Any):
        self.opt, self.model_class, self.test_set = opt, model, test_set
        self.translates = not issubclass(model, NoiseModel)
        Evaluation(opt, dataset, device, self.translates)
        self.asked: Any = None  # of a model that makes images from noise: models.base_noise.Asked
        self._ready = False

    def __call__(self, model: Any, engine: Any) -> Evaluated:
        """Evaluate the model with its averaged weights, where it has them."""
        if not self._ready:
            self.prepare()
        seed_everything(self.opt.seed, "evaluation")
        for name, network in self.copy.networks.items():
            average = engine.averages.get(name) if self.opt.use_ema else None
            network.load_state_dict((model.networks[name] if average is None else average.module).state_dict())
        self.copy.train(not self.opt.eval)
        self.evaluation.start_again()
        scored = self.of_batches() if self.translates else self.of_noise()
        values, better = scored.values(self.evaluation.sets_first)
        remarks = [*scored.pairs.remarks(), *(line for table in scored.sets.values() for line in table.remarks)]
        return Evaluated(values, better, remarks, self.evaluation.diversity.ratio(), scored.lines())

    def prepare(self) -> None:
        """Make the copy and read the data; the files of the run must be there."""
        self.engine = Engine(self.opt)
        self.tests = self.test_set(self.opt, self.engine.place)
        self.evaluation = Evaluation(self.opt, self.tests.dataset, self.engine.device, self.translates)
        self.copy: Any = self.model_class(self.opt)
        self.copy.meet(self.tests.dataset)
        self.engine.prepare(self.copy)
        self._ready = True

    def of_batches(self) -> Scored:
        for batch in self.tests.batches():
            self.copy.set_input(batch)
            with self.engine.inference():
                self.copy.test()
            self.evaluation.update(batch, self.copy.get_current_visuals())
        return self.evaluation.compute(self.tests.training_items)

    def of_noise(self) -> Scored:
        if self.asked is None:
            self.asked = self.copy.asked_of(self.tests.dataset)
        if self.asked.real is None:
            raise UserError(f"--eval_metrics: there are no images in {self.opt.dataroot} to compare with")
        levels = self.copy.generated(self.asked)
        return Scored(ScoreTable(), {"": self.evaluation.of_samples(levels, self.asked.labels, self.asked.real)})

    def close(self) -> None:
        if self._ready:
            self.tests.close()
