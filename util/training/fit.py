"""Whether weights of a run suit the options that they are loaded with."""

from pathlib import Path
from typing import Any

from options import Exit, UserError
from options.sizes import Sides
from util.config import kept_options

SHAPING = ("model", "netG", "netD", "ngf", "ndf", "z_dim", "crop_size")


def check_sides(run: Path, opt: Any) -> None:
    """A first map of 8 x 4 has as many weights as one of 4 x 8, whose images they would scramble without a word.

    Raises:
        UserError: the run made images of other sides, and either are not square (exit code 4).
    """
    now, kept = getattr(opt, "crop_size", None), kept_options(run).get("crop_size")
    if kept is None or not hasattr(opt, "netG") or kept == now:
        return
    if isinstance(now, Sides) or isinstance(kept, str):
        raise UserError(
            f"--crop_size {now}: the weights in {run} are of images of --crop_size {kept}; give that, or leave it out",
            code=Exit.CHECKPOINT,
        )


def otherwise(run: Path, opt: Any) -> str:
    """What shapes a network and was otherwise in that run, in its flags; nothing where all is alike."""
    kept = kept_options(run)
    there = {name: kept[name] for name in SHAPING if kept.get(name) not in (None, getattr(opt, name, None))}
    return " ".join(f"--{name} {value}" for name, value in there.items())
