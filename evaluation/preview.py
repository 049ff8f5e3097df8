"""The same few pictures, translated again and again while a model trains, so that one sees it learn."""

import contextlib
import io
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from evaluation.copies import take_weights
from options import UserError
from options.command_line import words_of
from util import distributed
from util.cli import reason, warn
from util.seeding import seed_everything
from util.training.engine import Engine

PHASES = ("test", "val", "train")  # where the pictures are from: the first that has some
SHARE = 0.01  # of the time of a run, that looks may take


def words_of_preview(opt: Any, phase: str) -> list[str]:
    """The flags of test.py for the pictures of a preview: those of the run, of the size that training crops to."""
    told = ["name", "checkpoints_dir", "model", "dataset_mode", "plugin_dir", "gpu_ids", "device", "precision"]
    told += [flag for flag in ("on_bad_image", "load_size") if hasattr(opt, flag)]
    values = {flag: getattr(opt, flag) for flag in told if getattr(opt, flag) is not None}
    if hasattr(opt, "preprocess"):
        given = "resize" if opt.preprocess == "auto" else opt.preprocess
        scaling = [word for word in given.split("_and_") if word.startswith(("resize", "scale"))]
        values["preprocess"] = "_and_".join([*scaling, "crop"])
    return words_of(values | {"phase": phase, "num_threads": 0, "batch_size": 1})


class Preview:
    """Translates --preview pictures by a copy of the model in test mode, which gets its weights.

    Nothing of the model in training is touched, nor the numbers that its steps draw: call it in ``isolated()``. What
    fails here costs one warning, never the run.

    Args:
        count: pictures.
        options: of a phase -> options of a test that reads it.
        test_set: makes a data.loading.rows.TestSet of test options and the engine's ``place``.
        model: class of the model.

    Attributes:
        names: the file of each picture, for who shows them; known after the first look.
        sources: the pictures themselves, (C, H, W) in [-1, 1] on the CPU.
    """

    def __init__(self, count: int, options: Callable[[str], Any], test_set: Callable[..., Any], model: Any):
        self.count, self.options, self.test_set, self.model_class = count, options, test_set, model
        self.names: list[str] = []
        self.sources: list[torch.Tensor] = []
        self._batches: list[Mapping[str, Any]] = []
        self._broken, self._told = count == 0, False
        self._spent, self._start = 0.0, time.monotonic()
        self._seen = -1

    def due(self, step: int, last: bool = False) -> bool:
        """Whether there is time for a look: the first and the last always, others within ``SHARE`` of the time."""
        if self._broken or step == self._seen:
            return False
        within = self._spent <= SHARE * (time.monotonic() - self._start)
        if not within and not last and not self._told and distributed.rank() == 0:
            self._told = True
            pictures = f"--preview {self.count}: pictures are translated less often than they are displayed"
            print(f"{pictures}, for that would take over {SHARE:.0%} of the time; the last is not left out")
        return within or last

    @contextlib.contextmanager
    def timed(self, engine: Any) -> Iterator[None]:
        """A look, and all that is made of it; counted without the steps that the device has still to do."""
        if engine.device.type == "cuda":
            torch.cuda.synchronize(engine.device)
        start = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - start

    def look(self, model: Any, engine: Any) -> list[torch.Tensor]:
        """The translations (C, H, W) in [-1, 1] on the CPU, with averaged weights where there are any; [] if none."""
        self._seen = engine.progress.step
        try:
            if not self._batches:
                self._prepare()
            seed_everything(self.opt.seed, "preview")
            take_weights(self.copy, model, engine, self.opt.use_ema)
            return [self._translated(batch) for batch in self._batches]
        except Exception as error:
            self._broken, self._batches = True, []
            self.__dict__.pop("copy", None)
            warn(f"--preview {self.count}: no pictures can be translated ({reason(error)}); training goes on without")
            return []

    def _prepare(self) -> None:
        """Choose the pictures, of the first phase that has some, and make the copy."""
        problems = []
        for phase in PHASES:
            try:
                with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                    self.opt = self.options(phase)  # what is to be said of a test, test.py says
                    self.engine = Engine(self.opt)
                    tests = self.test_set(self.opt, self.engine.place)
                    self._batches = tests.spread(self.count)
            except UserError as error:
                problems.append(error)
            if self._batches:
                break
        else:
            raise problems[0] if problems else UserError("there are no pictures of the side that is translated")
        if phase == "train":
            print(f"--preview {self.count}: there are no pictures of test or val, so it shows some that training sees")
        self.copy = self.model_class(self.opt)
        self.copy.see_data(tests.dataset)
        self.engine.prepare(self.copy)
        self.copy.train(not self.opt.eval)
        self.names = [Path(batch["A_paths"][0]).name for batch in self._batches]
        self.sources = [batch["A"][0].float().cpu() for batch in self._batches]

    def _translated(self, batch: Mapping[str, Any]) -> torch.Tensor:
        self.copy.set_input(batch)
        with self.engine.inference():
            self.copy.test()
        visuals = self.copy.get_current_visuals()
        return visuals[_made(visuals)][0].float().cpu()


def _made(visuals: Mapping[str, Any]) -> str:
    """The visual that is the translation: fake_B, or of a plugin the first that is not called real."""
    names = [name for name in ("fake_B", *visuals) if name in visuals and not name.startswith("real")]
    return (names or list(visuals))[0]
