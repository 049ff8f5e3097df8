"""What a folder of weights says of itself: published folders have no train_opt.yaml beside them."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import networks
from models.noise.published_networks import identify_latent
from networks.published import identify
from options import Exit, UserError
from options.command_line import words_of
from options.fields import flags_of, shaping
from options.parsing import Saved, check_name
from util import distributed
from util.config import kept_options, saved_options
from util.reading.weights import NETWORK, STATE, read_tensors

OTHER = {"AtoB": "BtoA", "BtoA": "AtoB"}
# An argument of a generator -> the option that gives it, where the names differ.
OPTION = {"norm": "normG", "num_downsampling": "stylegan2_G_num_downsampling", "size": "crop_size"}
OPTION |= {"block": "unsb_block", "timesteps": "num_timesteps"}
MOST_TIMES = 1000  # of a chain of calls
METHOD = {"G": "cut", "path_G": "santa", "bridge_G": "unsb"}  # of a kind of generator whose run is not known


def run_options(run: Mapping[str, Any]) -> Saved | None:
    """The options kept with a run, or what its generator's weights show: model and architecture."""
    folder, label = Path(run["checkpoints_dir"], run["name"]), run["epoch"]
    one, there, back = (folder / f"{label}_net_{name}.pth" for name in ("G", "G_A", "G_B"))
    kept = saved_options(run)
    if kept is not None or not any(path.is_file() for path in (one, there, back)):
        return kept
    known = [name for kind in networks.GENERATORS for name in networks.list_networks(kind)]
    if run.get("netG") not in (None, *known):  # a plugin's, which the flags describe
        return None
    if one.is_file() and run.get("model") not in ("dcl", "simdcl", "cycle_gan"):
        found = architecture(one)
        model = METHOD[networks.kind_of_generator(found["netG"])]
        if model == "unsb":
            distributed.say_once(f"{one}: its weights do not tell its chain; --num_timesteps, --tau and --nfe do")
        return Saved(str(one), {"model": model} | found, facts=True)
    missing = next((path for path in (there, back) if not path.is_file()), None)
    if missing is not None:
        raise UserError(f"no checkpoint {missing}; test.py runs both sides, translate.py either", code=Exit.CHECKPOINT)
    ways = architecture(there), architecture(back)
    for key in ways[0]:
        other = {"input_nc": "output_nc", "output_nc": "input_nc"}.get(key, key)
        if ways[0][key] != ways[1].get(other):
            raise UserError(
                f"{there.name} has --{key} {ways[0][key]}, but {back.name} --{other} {ways[1].get(other)}: "
                "no model has both; translate.py runs each",
                code=Exit.CHECKPOINT,
            )
    return Saved(str(there), {"model": "dcl"} | ways[0], facts=True)


def or_lent(saved: Callable[[Mapping[str, Any]], Saved | None]) -> Callable[[Mapping[str, Any]], Saved | None]:
    """For :func:`options.parsing.parse`: options of a run that goes on, or else of the one of ``--pretrained_name``."""

    def find(run: Mapping[str, Any]) -> Saved | None:
        goes_on = run.get("continue_train") not in (None, False, "false")
        kept = saved(run) if goes_on or not run.get("pretrained_name") else None
        return kept if kept is not None or not run.get("pretrained_name") else _lender(run)

    return find


def _lender(run: Mapping[str, Any]) -> Saved | None:
    """The options of the run whose weights another begins with."""
    name = check_name(str(run["pretrained_name"]))
    found = run_options({"epoch": "latest", **run, "name": name, "continue_train": False})
    if found is None:
        return None
    values = dict(found.values)
    known = [(kind, str(values.get(f"net{kind}"))) for kind in "GD"]
    known = [(kind, told) for kind, told in known if told in networks.list_networks(kind)]
    if known and not any(networks.takes(kind, told, "size") for kind, told in known):
        values.pop("crop_size", None)  # such networks take images of any size
    return Saved(found.source, values, lends=True)


def lent(opt: Any) -> list[str]:
    """What a new run has of the one whose weights it begins with, and what it was told otherwise, in lines."""
    if not opt.pretrained_name:
        return []
    flags, name = flags_of(type(opt)), opt.pretrained_name
    run = {key: getattr(opt, key) for key in ("checkpoints_dir", "epoch", "pretrained_name", "model")}
    kept = lender.values if (lender := _lender(run)) is not None else {}
    shapes = [key for key in sorted(shaping(type(opt))) if key in kept and key in flags]
    there = {key: flags[key].of_another(kept[key]) for key in shapes}
    now = {key: getattr(opt, key) for key in there}
    same = {key: value for key, value in there.items() if now[key] == value != flags[key].default}
    other = {key: value for key, value in there.items() if now[key] != value}
    told = words_of({key: now[key] for key in other})
    lines = [f"--pretrained_name {name}: as in that run {' '.join(words_of(same))}"] if same else []
    return lines + ([f"{' '.join(told)}: the run {name} has {' '.join(words_of(other))}"] if other else [])


def trained_direction(run: Path) -> str | None:
    """The direction that a run was trained in; None where no options lie beside its weights.

    Raises:
        UserError: the run's options say neither AtoB nor BtoA (exit code 4).
    """
    kept = kept_options(run)
    trained = str(kept.get("direction", "AtoB")) if kept else None
    if trained not in (None, *OTHER):
        raise UserError(f"{run / 'train_opt.yaml'}: direction is {trained!r}", code=Exit.CHECKPOINT)
    return trained


def as_directed(opt: Any, model: Any) -> tuple[Any, Mapping[str, str]]:
    """Options of a test in the direction that was asked for, and the network whose weights each one takes.

    A method that translates both ways takes the other generator: its data and its channels change sides as they do in
    a run that was trained in that direction. Weights that no options lie beside take the flag as upstream, where it
    swaps the data alone.

    Args:
        model: class of the method.

    Raises:
        UserError: the run translates in the other direction alone.
    """
    trained = trained_direction(Path(opt.checkpoints_dir, opt.name))
    if trained in (None, opt.direction):
        return opt, {}
    if model.makes != "translations":
        raise UserError(f"--direction {opt.direction}: --model {opt.model} translates nothing; leave the flag out")
    if not model.other_way:
        raise UserError(
            f"--direction {opt.direction}: the run {opt.name} translates {trained} alone; leave the flag out, or train "
            f"a run with it (--model dcl, simdcl and cycle_gan translate both ways)"
        )
    kept = kept_options(Path(opt.checkpoints_dir, opt.name))
    channels = opt.input_nc, opt.output_nc
    if channels == (kept.get("input_nc", opt.input_nc), kept.get("output_nc", opt.output_nc)):
        opt = dataclasses.replace(opt, input_nc=channels[1], output_nc=channels[0])
    return opt, model.other_way


def architecture(path: Path) -> dict[str, Any]:
    """The options that build the generator of a file of weights.

    Raises:
        UserError: it is no generator's, or of one that is not known here (exit code 4).
    """
    name, arguments = identify_file(path)
    options = {OPTION.get(key, key): value for key, value in arguments.items() if key != "use_dropout"}
    if "use_dropout" in arguments:
        options["no_dropout"] = not arguments["use_dropout"]
    return {"netG": name} | options


def identify_file(path: Path) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the generator of a file of weights; see :func:`networks.published.identify`."""
    try:
        return identify(read_tensors(path, STATE, NETWORK))
    except (ValueError, UserError) as error:
        _refuse_latent(path)
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is no generator of this toolkit: {error}", code=Exit.CHECKPOINT) from None


def from_weights(file: Path) -> tuple[Any, tuple[int, int]]:
    """The generator that weights show, and its channels of input and output."""
    name, arguments = identify_file(file)
    netG = networks.define_generator(name, **arguments | chain_of(file, name))
    return netG, (arguments["input_nc"], arguments["output_nc"])


def chain_of(file: Path, name: str) -> dict[str, Any]:
    """How a generator that is called several times is called: as its run was told, for its weights do not say.

    Without the options of a run it is called as published, which is said.

    Raises:
        UserError: the run's options do not make a chain (exit code 4).
    """
    if networks.kind_of_generator(name) != "bridge_G":
        return {}
    run = file.parent
    kept = kept_options(run)
    if not kept:
        told = "its weights do not tell its chain, and no options of a run lie beside them"
        distributed.say_once(f"{file}: {told}; it is --num_timesteps 5 --tau 0.01")
    chain = {"timesteps": kept.get("num_timesteps", 5), "tau": kept.get("tau", 0.01)}
    chain["nfe"] = kept.get("nfe") or chain["timesteps"]
    whole = all(type(chain[key]) is int and 1 <= chain[key] <= MOST_TIMES for key in ("timesteps", "nfe"))
    noisy = isinstance(chain["tau"], int | float) and 0 <= chain["tau"] < float("inf")
    if not whole or not noisy or chain["nfe"] > chain["timesteps"]:
        told = ", ".join(f"{key} {value!r}" for key, value in chain.items())
        raise UserError(f"{run / 'train_opt.yaml'}: no chain of a generator: {told}", code=Exit.CHECKPOINT)
    return chain


def from_model(file: Path, model: Any) -> tuple[Any, tuple[int, int]]:
    """The same of a model; the file's name says which of its networks it is.

    Raises:
        UserError: it has none of that name before it has seen data (exit code 4).
    """
    name = file.stem.partition("_net_")[2].removesuffix("_ema")
    if name not in model.networks:
        there = ", ".join(model.networks) or "none"
        raise UserError(
            f"{file}: --model {model.opt.model} makes no network {name!r} without data ({there}); test.py runs it",
            code=Exit.CHECKPOINT,
        )
    channels = model.opt.input_nc, model.opt.output_nc
    return model.networks[name], channels[::-1] if name == "G_B" else channels


def _refuse_latent(path: Path) -> None:
    """Say what to do with weights of networks that make images from noise, where these are such."""
    try:
        found = identify_latent(read_tensors(path))
    except (ValueError, UserError):
        return
    what = f"{found.origin}'s {found.part}, of images from noise"
    raise UserError(f"{path}: {what}; test.py and train.py take it as --pretrained {path}", code=Exit.CHECKPOINT)
