"""Evaluation of a model while it trains: the test that test.py would make of it now."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from evaluation.copies import take_weights
from evaluation.samples import Asked
from evaluation.testing import Evaluation, Scored, told_of
from options import UserError
from options.command_line import words_of
from options.trust import READ, leads_to_server
from util import distributed
from util.in_order import brought, in_order, on_cpu
from util.seeding import seed_everything
from util.training.engine import Engine

FEW = 4  # images that an evaluation is tried with before the first step


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a model that is being trained.

    Attributes:
        values: by name, NaN where it is not defined; the first is of the first metric that was asked for.
        better: where each improves: lower, higher, one; those without are not judged.
        entries: what metrics.json would hold, by name.
        diversity: mean distance between two outputs, in parts of that between two real images; None if not known.
        lines: what test.py would print.
    """

    values: dict[str, float]
    better: dict[str, str]
    remarks: list[str]
    diversity: float | None
    lines: list[str]
    entries: dict[str, Any] = field(default_factory=dict)


def phase_of_evaluations(opt: Any, dataset: Any, made: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What evaluations of a run read, val or test, and a line that says so.

    Args:
        dataset: of the training.
        made: the records of evaluations that the run has.

    Raises:
        UserError: there is no val, or the evaluations that there are read the other.
    """
    told = opt.eval_phase
    if told == "val" and not dataset.has_val():
        raise UserError(f"--eval_phase val: {dataset.where} has none beside the test's; leave the flag out")
    phase = told if told != "auto" else "val" if dataset.has_val() else "test"
    before = str(made[-1].get("phase", "test")) if made else phase
    if before != phase:
        there = f"the {len(made)} evaluations of {opt.name}, and the best of them, are of --eval_phase {before}"
        raise UserError(f"--eval_phase {phase}: {there}; leave the flag out")
    as_before = ", as in this run before" if made else ""
    if phase == "val":
        return phase, f"evaluations, and best by them, read val{as_before}; --eval_phase test reads the test"
    why = as_before or ("" if dataset.has_val() else ", for there is no val")
    return phase, f"evaluations, and best by them, read the test{why}"


def words_of_test(opt: Any, model: Any) -> list[str]:
    """The flags of test.py for an evaluation of a run with these options; the rest it takes from the run.

    What else is per run is a test's: --preprocess and --load_size read whole images, --batch_size is 1, on which values
    depend where batch norm is not in eval mode.

    Raises:
        UserError: the model makes no images.
    """
    if "phase" in model.tasks or model.makes == "answers":
        raise UserError(f"--eval_freq {opt.eval_freq}: --model {opt.model} makes no images that could be evaluated")
    told = ["name", "checkpoints_dir", "model", "dataset_mode", "plugin_dir", "num_threads", "gpu_ids", "device"]
    told += ["data_timeout"]
    told += ["precision", "extractor", "inception_weights", "lpips_weights", "recogniser", "style_judge"]
    told += [name for name in ("on_bad_image", "shard_cache_dir", "shard_cache_gb") if hasattr(opt, name)]
    told += [name for name in READ if leads_to_server(name, getattr(opt, name, None))]
    many = {"num_samples": opt.eval_samples} if "num_samples" in model.tasks else {"num_test": "all"}
    phase = {} if opt.eval_phase == "auto" else {"phase": opt.eval_phase}
    values = {flag: value for flag in told if (value := getattr(opt, flag)) is not None}
    return words_of(values | many | phase | {"metrics": opt.eval_metrics})


class Evaluator:
    """Evaluates a model while it trains, as test.py would: by a copy of it in test mode, which gets its weights.

    Nothing of the model in training is touched, nor the numbers that its steps draw: call it in ``isolated()``.
    The copy, the extractor and what it saw of the real images stay in memory from ``prepare`` on.

    Args:
        opt: options of a test of this run, with its metrics.
        dataset: of the training, to find out at once what cannot be evaluated.
        model: class of the model; ``makes`` says what of.
        test_set: makes a data.loading.rows.TestSet of test options and the engine's ``place``.

    Raises:
        UserError: as Evaluation.
    """

    def __init__(self, opt: Any, dataset: Any, model: Any, test_set: Callable[..., Any], device: Any):
        self.opt, self.test_set, self.phase = opt, test_set, opt.phase
        self.model_class: Any = model
        self.translates = model.makes == "translations"
        Evaluation(opt, dataset, device, self.translates)
        self.asked: Any = None  # of a model that makes images from noise: an evaluation.samples.Asked
        self._ready = False
        self.before: Callable[[], None] = nothing  # each batch

    def __call__(self, model: Any, engine: Any) -> Evaluated | None:
        """Evaluate the model with its averaged weights, where it has them.

        Processes share the images; the main one, which alone has all that they made, has the values.
        """
        if not self._ready:
            with distributed.alone():
                self.prepare()
        seed_everything(self.opt.seed, "evaluation")
        take_weights(self.copy, model, engine, self.opt.use_ema)
        distributed.broadcast_module(self.copy)  # statistics of batch norm are each process's own
        self.copy.train(not self.opt.eval)
        self.evaluation.start_again()
        self.before = engine.signals.answer if distributed.world_size() > 1 else nothing
        scored = self.of_batches(self.evaluation) if self.translates else self.of_noise(self.evaluation, self.asked)
        if scored is None:
            return None
        values, better = scored.values(self.evaluation.sets_first)
        ratio = self.evaluation.diversity.ratio()
        return Evaluated(values, better, scored.remarks(), ratio, scored.lines(), scored.entries())

    def prepare(self) -> tuple[dict[str, float], dict[str, str]]:
        """Make the copy, read the data, and try it with a few images; the files of the run must be there.

        Returns:
            the values and where each improves, as an evaluation has them; they mean nothing but their names.

        Raises:
            UserError: there are no real images to compare with, or a metric cannot compute with images such as these.
        """
        self.engine = Engine(self.opt)
        self.tests = self.test_set(self.opt, self.engine.place)
        self.evaluation = Evaluation(self.opt, self.tests.dataset, self.engine.device, self.translates)
        self.copy = self.model_class(self.opt)
        self.copy.see_data(self.tests.dataset)
        self.engine.prepare(self.copy)
        self.copy.train(not self.opt.eval)
        if not self.translates:
            self.asked = self.copy.asked_of(self.tests.dataset)
            if self.asked.real is None:
                raise UserError(f"--eval_metrics: there are no images in {self.opt.dataroot} to compare with")
        trial = copy(self.evaluation)
        trial.fakes, trial.reals, trial.others = {}, {}, {}
        trial.start_again()
        scored = self.of_batches(trial, FEW) if self.translates else self.of_noise(trial, few(self.asked))
        self._ready = True
        assert scored is not None  # it was tried alone
        return scored.values(self.evaluation.sets_first)

    def of_batches(self, evaluation: Evaluation, images: int | None = None) -> Scored | None:
        """The test set, or its first few images, without a floor of training images; None but in the main process."""
        done = 0
        with contextlib.closing(self.made(evaluation)) as mine:
            for batch, visuals, seen in in_order(mine, self.engine.device, self.before):
                evaluation.update(batch, brought(visuals, self.engine.device), seen)
                done += len(next(iter(visuals.values())))
                if images is not None and done >= images:
                    return evaluation.compute(lambda side, count: iter(()))
        if distributed.rank() > 0:
            return None
        with distributed.alone():
            return evaluation.compute(self.tests.training_items)

    def made(self, evaluation: Evaluation) -> Generator[tuple[int, Any], None, None]:
        """Of each batch of this process its number, what it tells, its images, and what is seen in them."""
        for number, batch in self.tests.part(distributed.rank(), distributed.world_size()):
            seed_everything(self.opt.seed, "test", number)
            self.copy.set_input(batch)
            with self.engine.inference():
                self.copy.test()
            visuals = self.copy.get_current_visuals()
            yield number, (told_of(batch), on_cpu(visuals), evaluation.look(batch, visuals))

    def of_noise(self, evaluation: Evaluation, asked: Asked) -> Scored | None:
        levels = self.copy.generated(asked)
        if distributed.rank() > 0:
            return None
        with distributed.alone():
            return Scored({}, {"": evaluation.of_samples(levels, asked.labels, asked.real)})

    def close(self) -> None:
        if self._ready:
            self.tests.close()


def nothing() -> None:
    """Is to be done before a batch."""


def few(asked: Asked) -> Asked:
    """The first of these images, and of the real ones."""
    halves = {half: tuple(part[:FEW] for part in getattr(asked.real, half)) for half in ("train", "held")}
    labels = None if asked.labels is None else asked.labels[:FEW]
    conditions = None if asked.conditions is None else asked.conditions[:FEW]
    return Asked(conditions, labels, min(FEW, asked.count), replace(asked.real, **halves))
