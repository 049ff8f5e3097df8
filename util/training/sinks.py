"""Where losses and images go besides the run's own files. Each is optional and imported only when asked for."""

import importlib.util
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from options import TrainOptions, UserError
from options.command_line import words_of
from options.fields import flags_of
from options.trust import SERVERS
from util.files import read_text
from util.writing import make_folder, write_atomically


class Sink(Protocol):
    @property
    def label(self) -> str:
        """What a warning calls it."""

    def losses(self, step: int, position: float, losses: Mapping[str, float]) -> None:
        """``step`` counts optimizer steps; ``position`` is the epoch plus the part of it that is done."""

    def rates(self, step: int, position: float, rates: Mapping[str, float]) -> None:
        """Learning rates, beside the losses of the same step."""

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Values of an evaluation; those that are not defined are left out."""

    def images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Images by name, bytes (H, W) or (H, W, 3), in display order."""

    def preview(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """The same pictures as ever, as they are translated now, by number and name."""

    def close(self) -> None: ...


class TensorBoard:
    """Events in ``folder``. A continued run first discards what a killed one logged after ``done_step``."""

    label = "TensorBoard"

    def __init__(self, folder: Path, done_step: int = 0):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise missing("--use_tensorboard", "tensorboard") from error
        make_folder(folder, folder.parent)
        # It opens its file by name, and follows links: nobody can have put one at a name that is drawn.
        self._writer = SummaryWriter(str(folder), purge_step=done_step + 1, filename_suffix=f".{secrets.token_hex(8)}")

    def losses(self, step: int, position: float, losses: Mapping[str, float]) -> None:
        for name, value in losses.items():
            self._writer.add_scalar(f"loss/{name}", value, step)

    def rates(self, step: int, position: float, rates: Mapping[str, float]) -> None:
        for name, value in rates.items():
            self._writer.add_scalar(f"learning_rate/{name}", value, step)

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"evaluation/{name}", value, step)

    def images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        for name, image in images.items():
            self._writer.add_image(f"images/{name}", image, step, dataformats="HWC" if image.ndim == 3 else "HW")

    def preview(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        for name, image in images.items():
            self._writer.add_image(f"preview/{name}", image, step, dataformats="HWC" if image.ndim == 3 else "HW")

    def close(self) -> None:
        self._writer.close()


class WandB:
    """A run of Weights & Biases; WANDB_MODE=offline is honoured, code is not uploaded."""

    label = "Weights & Biases"

    def __init__(self, project: str, name: str, run: Path, options: Mapping[str, object], done_step: int = 0):
        try:
            import wandb
        except ImportError as error:
            raise missing("--use_wandb", "wandb") from error
        note = run / "wandb_id"  # a continued run goes on under the same identity
        identity = read_text(note).strip() if done_step else ""
        if not re.fullmatch(r"[0-9a-z]{4,64}", identity):
            identity = secrets.token_hex(4)
            write_atomically(note, identity)
        self._image = wandb.Image
        try:
            self._run = wandb.init(
                project=project,
                name=name,
                id=identity,
                resume="allow",
                dir=str(run),
                config=dict(options),
                save_code=False,
                settings=wandb.Settings(disable_code=True, disable_git=True),
            )
        except Exception as error:
            said = str(error).rstrip(".")
            raise UserError(f"--use_wandb: {said}; WANDB_MODE=offline logs without a network or an account") from error

    def losses(self, step: int, position: float, losses: Mapping[str, float]) -> None:
        self._run.log({"epoch": position, **losses}, step=step)

    def rates(self, step: int, position: float, rates: Mapping[str, float]) -> None:
        self._run.log({f"learning_rate/{name}": value for name, value in rates.items()}, step=step)

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({f"evaluation/{name}": value for name, value in values.items()}, step=step)

    def images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        self._run.log({name: self._image(image) for name, image in images.items()}, step=step)

    def preview(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        self._run.log({f"preview/{name}": self._image(image) for name, image in images.items()}, step=step)

    def close(self) -> None:
        self._run.finish()


def require_packages(opt: Any) -> None:
    """Find out whether the packages of the sinks that were asked for are installed, before anything is written.

    Raises:
        UserError: one is not.
    """
    for flag, package in (("use_tensorboard", "tensorboard"), ("use_wandb", "wandb")):
        if getattr(opt, flag) and importlib.util.find_spec(package) is None:
            raise missing(f"--{flag}", package)


def servers_left_out(kept: Mapping[str, Any], opt: Any) -> str:
    """What a continued run was shown with, as flags, where it no longer is: a file alone has no server contacted.

    Args:
        kept: options that the run was saved with.
    """
    if not (kept.get("use_visdom") or (kept.get("display_id") or 0) or kept.get("use_wandb")):
        return ""
    usual = {name: flag.default for name, flag in flags_of(TrainOptions).items()}
    told = {key: kept[key] for key in SERVERS if key in kept and kept[key] not in (usual[key], getattr(opt, key))}
    return f"shown on no server, for no file may ask for one; add: {shlex.join(words_of(told))}" if told else ""


def missing(flag: str, package: str) -> UserError:
    return UserError(f"{flag} needs the package {package}: uv pip install {package}")
