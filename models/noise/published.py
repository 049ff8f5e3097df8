"""``--pretrained``: weights of other repositories, what they say of a run, and into its networks."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.noise.published_networks import (
    Published,
    fitted,
    identify_latent,
    rows_of_classes,
    take_vectors_as_they_are,
)
from options import Exit, UserError
from options.parsing import Saved
from util import distributed
from util.reading.weights import check_finite, read_tensors

LABEL = "pretrained"  # of results, in place of a checkpoint's
# What D's heads answer -> the method that has such heads.
METHODS = {"projection": "biggan", "proxy": "contragan", "classes": "acgan", "global": "infomaxgan"}


def words(pretrained: Any) -> tuple[str, ...]:
    """The files of a flag that was peeked at: as text, or as a list of words."""
    several = [pretrained] if isinstance(pretrained, str) else pretrained or ()
    return tuple(word.strip() for some in several for word in str(some).split(",") if word.strip())


def read_published(path: Path) -> Published:
    """
    Raises:
        UserError: it cannot be read, is of no network that is known here (exit code 4), or is not finite (3).
    """
    if path.is_dir():
        raise UserError(f"--pretrained {path}: a folder; give the files of G and D in it", code=Exit.CHECKPOINT)
    content = read_tensors(path)
    try:
        found = identify_latent(content)
    except ValueError as error:
        raise UserError(f"--pretrained {path}: {error}", code=Exit.CHECKPOINT) from None
    check_finite(found.state, str(path))
    return found


def parts(paths: Sequence[str]) -> dict[str, tuple[Path, Published]]:
    """G, its average and D, as far as there are such files: {"G", "G_ema", "D": (file, network)}.

    A generator whose file is called ema is the average if there is another, and else all there is of it.

    Raises:
        UserError: there are two of a kind, or no generator (exit code 4); or a file cannot be used.
    """
    out: dict[str, tuple[Path, Published]] = {}
    for path in map(Path, paths):
        found = read_published(path)
        name = "G_ema" if found.part == "G" and "ema" in path.name.lower() else found.part
        if name in out:
            both = f"{out[name][0]},{path}"
            raise UserError(f"--pretrained {both}: both are of {name}; give one of them", code=Exit.CHECKPOINT)
        out[name] = path, found
    generators = [out[name] for name in ("G", "G_ema") if name in out]
    if not generators:
        raise UserError(f"--pretrained {','.join(paths)}: weights of D alone; add those of G", code=Exit.CHECKPOINT)
    if len(generators) == 2 and generators[0][1].arguments != generators[1][1].arguments:
        both = f"{generators[0][0]},{generators[1][0]}"
        raise UserError(f"--pretrained {both}: the second is no average of the first", code=Exit.CHECKPOINT)
    return out if "G" in out else {"G": out.pop("G_ema"), **out}


# -- what they say of a run --------------------------------------------------------------------------------------------


def or_published(saved: Callable[[Mapping[str, Any]], Saved | None]) -> Callable[[Mapping[str, Any]], Saved | None]:
    """For :func:`options.parsing.parse`: options of a run that goes on, or else what --pretrained weights show."""

    def find(run: Mapping[str, Any]) -> Saved | None:
        paths = words(run.get("pretrained"))
        goes_on = run.get("continue_train") not in (None, False, "false")
        kept = saved(run) if goes_on or not paths else None
        return kept if kept is not None or not paths else shown_options(paths)

    return find


def shown_options(paths: Sequence[str]) -> Saved:
    """Method, architecture, sizes and number of classes that weights show."""
    there = parts(paths)
    G = there["G"][1]
    size, channels, classes = (G.arguments[key] for key in ("size", "channels", "classes"))
    values: dict[str, Any] = {"model": "biggan" if classes else "sngan", "netG": G.network, "crop_size": size}
    values |= {
        "ngf": G.arguments["ngf"],
        "z_dim": G.arguments["z_dim"],
        "output_nc": channels,
        "known_classes": classes,
    }
    if G.origin == "R3GAN":
        values |= {"model": "r3gan", "class_told": classes > 0}
    if "D" in there:
        D = there["D"][1]
        values |= {"netD": D.network, **D.arguments}
        values["model"] = next((METHODS[answer] for answer in METHODS if answer in D.answers), values["model"])
        if rows := rows_of_classes(D):
            values["adc"] = rows == 2 * classes
    return Saved(str(there["G"][0]), values, facts=True)


# -- into the networks of a run ----------------------------------------------------------------------------------------


def load_published(model: Any) -> None:
    """Load ``--pretrained`` into the networks of a model: G, in training its average and D too, where there are files.

    A line says what each file is of, and one what is not there or not as it was.

    Raises:
        UserError: weights do not suit the data or the method (exit code 4).
    """
    opt, there = model.opt, parts(model.opt.pretrained)
    if not opt.is_train:
        averaged = "G_ema" in there and opt.use_ema
        there = {"G": there["G_ema" if averaged else "G"]}
    for name, (path, found) in there.items():
        average = model.engine.averages.get("G") if name == "G_ema" else None
        if name == "G_ema" and average is None:
            _say(f"--pretrained {path}: the run has no average to go on with (--ema_decay 0); left out")
            continue
        network = model.networks[found.part] if average is None else average.module
        check_classes(model, path, found)
        remarks = load_into(network, path, found)
        if average is not None:
            average.n_averaged.fill_(WARM)
        if found.part == "G" and not opt.is_train:
            remarks += as_they_are(network)
        noun = "average of G" if name == "G_ema" else found.part
        _say("; ".join([f"--pretrained {path}: {found.origin}'s {noun}, --net{found.part} {found.network}", *remarks]))
    if opt.is_train and "D" not in there:
        _say("--pretrained: no weights of D, which starts afresh")


WARM = 10**6  # updates that an average has behind it, which is past every warm-up


def check_classes(model: Any, path: Path, found: Published) -> None:
    """Raises:
    UserError: the method, or the data, have other classes than the weights (exit code 4).
    """
    known, opt = found.arguments.get("classes"), model.opt
    if known is None:
        return
    if bool(known) != model.conditional:
        what = f"weights of {known} classes" if known else "weights without classes"
        how = "with" if model.conditional else "without"
        raise UserError(
            f"--pretrained {path}: {what}, and --model {opt.model} makes images {how} them; leave --model out",
            code=Exit.CHECKPOINT,
        )
    there = len(model.class_names)
    if known not in (0, there):
        raise UserError(
            f"--pretrained {path}: weights of {known} classes, and --dataroot {opt.dataroot} has {there}; give the "
            "data they were trained on, or in a test --dataroot none",
            code=Exit.CHECKPOINT,
        )


def load_into(network: Any, path: Path, found: Published) -> list[str]:
    """Load one network; what is to be said of it."""
    try:
        state, remarks = fitted(found, network)
    except ValueError as error:
        raise UserError(f"--pretrained {path}: {error}", code=Exit.CHECKPOINT) from None
    network.load_state_dict(state)
    return remarks


@torch.no_grad()
def as_they_are(network: Any) -> list[str]:
    """In a test G computes as the published code in evaluation; a remark where that is with averages of vectors."""
    shortest, _ = take_vectors_as_they_are(network)
    if shortest > 0.99:
        return []
    return [
        f"its vectors of spectral norm are averages, as short as {shortest:.2f}, and are used as they are, as in its "
        "own code; --standing_steps 16 finds them and batch norm's statistics anew"
    ]


def _say(line: str) -> None:
    if distributed.rank() == 0:
        print(line, file=sys.stderr)
