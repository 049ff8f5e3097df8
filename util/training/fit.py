"""Whether weights of a run suit the options that they are loaded with."""

from pathlib import Path
from typing import Any

from options import Exit, UserError
from options.command_line import words_of
from options.fields import flags_of, shaping
from options.sizes import Sides
from util.config import kept_options


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
    shapes = [flag for name, flag in flags_of(type(opt)).items() if name in {"model", *shaping(type(opt))}]
    there = {flag.name: flag.of_another(kept[flag.name]) for flag in shapes if kept.get(flag.name) is not None}
    return " ".join(words_of({name: value for name, value in there.items() if value != getattr(opt, name)}))
