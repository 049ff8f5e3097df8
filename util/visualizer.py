"""How a training run shows itself: printed lines, files, its page, and the sinks that were asked for."""

import contextlib
import dataclasses
import errno
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import torch
from tqdm import tqdm

from options import TrainOptions, UserError
from options.fields import flags_of
from util.claim import Lost
from util.cli import reason, warn
from util.files import continue_json_lines
from util.pages.curves import Curves, losses_of, rates_of
from util.pages.training import Levels, Status, TrainingPage
from util.stopwatch import Speed, duration
from util.training import loss_log
from util.training.collapse import CollapseDetector
from util.training.manifest import is_published
from util.training.sinks import Sink, TensorBoard, WandB
from util.training.visdom import VisdomSink
from util.writing import append

from .images import save_image, to_uint8

REFRESH_EVERY = 15.0  # seconds between two writes of the page for new losses alone
SAY_EVERY = 30.0  # seconds between two lines of progress where there is no bar


class Visualizer:
    """Shows one run; whatever fails here costs one warning, never the run.

    In the run's folder it writes ``loss_log.txt`` (the published lines), ``metrics.jsonl`` (every record, in full
    precision) and, unless --no_html, ``web/index.html`` with ``web/images``. As a context manager it closes itself:
    as finished after ``finish()``, otherwise as stopped.

    Args:
        opt: the options of the run.
        run: its folder, ``<checkpoints_dir>/<name>``; None in every process but the main one, where nothing is shown.
        items_per_epoch: images of an epoch, over all processes.
        total_items: images of the whole run.
        done_items, done_step: images and optimizer steps behind the checkpoint that is being continued. Records
            after ``done_step``, left by a run that was killed, are dropped; the curves continue from the rest.
        done: the epoch (from 1) in which the run goes on, and the images of it that are done; as the records, lines
            of loss_log.txt after it are dropped.
        levels: tells what losses are to be read by, see BaseModel.loss_levels.
        evaluations: records of evaluations.jsonl so far.
        apart: visuals of another picture than the others, which stand apart on the page.
        detector: is told losses and evaluations, earlier ones first, and warns of what has gone wrong.

    Raises:
        UserError: a sink was asked for whose package is not installed.
    """

    def __init__(
        self,
        opt: TrainOptions,
        run: Path | None,
        items_per_epoch: int,
        total_items: int,
        done_items: int = 0,
        done_step: int = 0,
        done: tuple[int, int] = (1, 0),
        levels: Callable[[], Levels] = dict,
        evaluations: Sequence[Mapping[str, Any]] = (),
        detector: CollapseDetector | None = None,
        apart: Sequence[str] = (),
    ):
        self.opt, self.run, self._levels = opt, run or Path(), levels
        self._evaluations, self._detector = list(evaluations), detector
        self._shows, self._finished, self._closed = run is not None, False, False
        self._per_epoch, self._total, self._items = max(1, items_per_epoch), max(1, total_items), done_items
        self._epoch = min(opt.total_epochs, opt.epoch_count + done_items // self._per_epoch)
        self._speed, self._said = Speed(done_items), time.monotonic()
        self._warned: set[str] = set()
        self._torn: set[str] = set()  # files whose last write failed half-way, perhaps
        self._curves, self._rates, self._sinks, self._bar = Curves(), Curves(limit=200), list[Sink](), None
        self._page: TrainingPage | None = None
        self._image_epoch, self._written = 0, -math.inf
        if run is None:
            return
        with self._only_warn(f"write {run}"):
            run.mkdir(parents=True, exist_ok=True)  # and never again: a folder that was removed is not made anew
        with self._only_warn(f"continue {run / 'metrics.jsonl'}"):
            told = lambda record: (losses_of(record), rates_of(record))  # noqa: E731
            epochs_per_step = done_items / done_step / self._per_epoch if done_step else 0.0
            for (step, epoch, _, losses), rates in continue_json_lines(run / "metrics.jsonl", done_step, told):
                # The last step of an epoch is at its end, not at its beginning.
                position = epoch + (step * epochs_per_step - 1e-6) % 1
                self._curves.add(position, losses)
                self._rates.add(position, rates)
                if detector is not None:
                    detector.see_losses(step, losses)
            for record in self._evaluations:
                if detector is not None:
                    detector.see_diversity(record["step"], record.get("diversity"))
        self._sinks = self._open_sinks(done_step)
        with self._only_warn(f"continue {run / loss_log.FILE}"):
            if not is_published(run, "latest"):  # whose log is of whoever trained it
                loss_log.cut_back(run / loss_log.FILE, *done)
        self._append(loss_log.FILE, f"{loss_log.header()}\n")
        if not opt.no_html:
            with self._only_warn(f"write {run / 'web'}"):
                shown = _with_defaults(opt)
                place = opt.display_winsize, done[0], done_step
                self._page = TrainingPage(run / "web", opt.name, shown, *place, apart=apart)
                self._write_page("running")
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = tqdm(
                total=total_items, initial=done_items, unit="img", smoothing=0.05, leave=False, **_size_of_terminal()
            )

    def print_current_losses(
        self, epoch: int, iters: int, losses: Mapping[str, float], seconds: float, data_seconds: float
    ) -> None:
        """Print the published line (``loss_log.line_of``), and append it to loss_log.txt."""
        if not self._shows:
            return
        line = loss_log.line_of(epoch, iters, losses, seconds, data_seconds, self._levels())
        self._append(loss_log.FILE, line + "\n")
        self.say(line)

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        if not self._shows:
            return
        with self._only_warn("print"):  # its reader, or its terminal, may be gone
            if self._bar is not None:
                self._bar.write(line)
            else:
                print(line, flush=True)

    def plot_evaluation(self, record: Mapping[str, Any]) -> None:
        """Show a record of evaluations.jsonl on the page and in the sinks."""
        if not self._shows:
            return
        known = {name: value for name, value in record["values"].items() if value is not None and math.isfinite(value)}
        self._feed(lambda sink: sink.evaluation(record["step"], known))
        self._evaluations.append(record)
        self._alarm(lambda detector: detector.see_diversity(record["step"], record.get("diversity")))
        self._write_page("running")

    def plot_current_losses(
        self,
        step: int,
        epoch: int,
        fraction: float,
        losses: Mapping[str, float],
        rates: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Record the losses and the learning rates: metrics.jsonl, the page's curves, the sinks.

        Args:
            step: optimizer steps of the whole run so far.
            epoch: from 1; ``fraction`` in [0, 1] is the part of it that is done.
            rates: by a name that begins with lr, of the last step.
        """
        if not self._shows:
            return
        values = {name: float(value) for name, value in losses.items()}
        self._epoch = epoch
        rates = dict(rates)
        fixed = {"step": step, "epoch": epoch, "time": round(time.time(), 3)}
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._append("metrics.jsonl", json.dumps(fixed | rates | finite | fixed, allow_nan=False) + "\n")
        self._curves.add(epoch + fraction, finite)
        self._rates.add(epoch + fraction, rates)
        self._feed(lambda sink: sink.losses(step, epoch + fraction, values))
        if rates:
            self._feed(lambda sink: sink.rates(step, epoch + fraction, rates))
        self._alarm(lambda detector: detector.see_losses(step, finite))
        if time.monotonic() - self._written >= REFRESH_EVERY:
            self._write_page("running")

    def display_current_results(self, visuals: Mapping[str, torch.Tensor], step: int, epoch: int, save: bool) -> None:
        """Show the first image of the batch of every visual.

        Args:
            visuals: (B, C, H, W) in [-1, 1], in display order.
            save: put them on the page too; the first call of an epoch always does.
        """
        self._epoch = epoch
        if self._sinks:
            images = {name: to_uint8(image[0]) for name, image in visuals.items()}
            self._feed(lambda sink: sink.images(step, images))
        if self._page is None or not (save or epoch != self._image_epoch):
            return
        with self._only_warn(f"write {self.run / 'web'}"):
            self._find_folder()
            for name, image in visuals.items():
                path = self.run / "web" / "images" / TrainingPage.file_name(epoch, name)
                save_image(image[0], path, self.run)
            self._page.add_images(epoch, list(visuals))
            self._image_epoch = epoch
        self._write_page("running")

    @property
    def shows_pictures(self) -> bool:
        """Whether there is a page, or a sink, that pictures could be shown in."""
        return self._page is not None or bool(self._sinks)

    def display_preview(
        self, step: int, names: Sequence[str], sources: Sequence[torch.Tensor], made: Sequence[torch.Tensor]
    ) -> None:
        """Show how the same pictures are translated now: a column of the page's film strip, images in the sinks.

        Args:
            names: of the files; ``sources`` and ``made`` are the pictures and their translations, (C, H, W) in [-1, 1].
        """
        if not self._shows or not made:
            return
        images = {
            f"{row}_{name}": to_uint8(image) for row, (name, image) in enumerate(zip(names, made, strict=True), 1)
        }
        self._feed(lambda sink: sink.preview(step, images))
        if self._page is not None:
            with self._only_warn(f"write {self.run / 'web'}"):
                self._find_folder()
                self._page.strip.add(step, names, sources, made)

    def progress(self, items: int) -> None:
        """Images of the whole run done so far: moves the bar, or now and then prints a line with the time left."""
        if not self._shows:
            return
        self._items = items
        self._speed.add(items)
        if self._bar is not None:
            self._bar.update(items - self._bar.n)
        elif time.monotonic() - self._said >= SAY_EVERY:
            self._said = time.monotonic()
            text = f"{100 * items / self._total:.1f}% ({items:,} of {self._total:,} images)"
            if self._speed.per_second:
                text += f", {self._speed.per_second:.1f} images/s, {duration(self._seconds_left())} left"
            with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed or absent
                print(text, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """The run reached its end; to be called before it is closed."""
        self._finished = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Lost):
            self._page = None
        self.close(self._finished)

    def close(self, finished: bool) -> None:
        """Write the page a last time, as finished or stopped, and part from the sinks. Never raises."""
        if self._closed or not self._shows:
            return
        self._closed = True
        if self._bar is not None:
            with contextlib.suppress(Exception):
                self._bar.close()
        self._write_page("finished" if finished else "stopped")
        for sink in self._sinks:
            with self._only_warn(f"log to {sink.label}"):
                sink.close()

    def _open_sinks(self, done_step: int) -> list[Sink]:
        opt = self.opt
        sinks: list[Sink] = []
        x, y = self._curves.points()
        history = [(at, {name: values[i] for name, values in y.items()}) for i, at in enumerate(x)]
        with self._only_warn("log to TensorBoard"):
            if opt.use_tensorboard:
                sinks.append(TensorBoard(self.run / "tensorboard", done_step))
        with self._only_warn("log to Weights & Biases"):
            if opt.use_wandb:
                sinks.append(WandB(opt.wandb_project, opt.name, self.run, dataclasses.asdict(opt), done_step))
        if opt.use_visdom or (opt.display_id or 0) > 0:
            sinks.append(
                VisdomSink(
                    opt.display_server,
                    opt.display_port,
                    opt.display_env,
                    opt.name,
                    max(1, opt.display_id or 1),
                    opt.display_ncols,
                    history,
                )
            )
        return sinks

    def _feed(self, give: Callable[[Sink], None]) -> None:
        for sink in self._sinks:
            with self._only_warn(f"log to {sink.label}"):
                give(sink)

    def _alarm(self, see: Callable[[CollapseDetector], list[str]]) -> None:
        if self._detector is not None:
            with self._only_warn("look for signs of collapse"):
                for line in see(self._detector):
                    warn(line)

    def _append(self, name: str, text: str) -> None:
        """Append to a file of the run. After a write that failed half-way, the next begins on a line of its own."""
        with self._only_warn(f"write {self.run / name}"):
            torn = name in self._torn
            self._torn.add(name)
            append(self.run / name, "\n" + text if torn else text)
            self._torn.discard(name)

    def _write_page(self, state: str) -> None:
        if self._page is None:
            return
        self._written = time.monotonic()
        done = min(1.0, self._items / self._total)
        left = duration(self._seconds_left()) if self._speed.per_second else ""
        with self._only_warn(f"write {self.run / 'web'}"):
            self._find_folder()
            status = Status(state, self._epoch, self.opt.total_epochs, done, left)
            warnings = [] if self._detector is None else list(self._detector.warnings.values())
            self._page.write(self._curves, status, self._levels(), self._evaluations, warnings, self._rates)

    def _find_folder(self) -> None:
        if not self.run.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.run))

    def _seconds_left(self) -> float:
        return max(0, self._total - self._items) / self._speed.per_second

    @contextlib.contextmanager
    def _only_warn(self, what: str) -> Iterator[None]:
        """Turn an error while doing ``what`` into one warning a run; a mistake of the user still ends the run."""
        try:
            yield
        except (UserError, BrokenPipeError):  # the latter: | head has read enough
            raise
        except Exception as error:
            if what not in self._warned:
                self._warned.add(what)
                warn(f"cannot {what} ({reason(error)}); training goes on without it")


def _with_defaults(opt: TrainOptions) -> dict[str, tuple[Any, bool]]:
    flags = flags_of(type(opt))
    return {name: (getattr(opt, name), getattr(opt, name) != flag.default) for name, flag in flags.items()}


def _size_of_terminal() -> dict[str, Any]:
    """tqdm's words for it. On a terminal that does not know its size (some containers) it would draw nothing."""
    with contextlib.suppress(OSError, ValueError):
        if os.get_terminal_size(sys.stderr.fileno()).columns:
            return {"dynamic_ncols": True}
    return {"ncols": 80, "nrows": 24}
