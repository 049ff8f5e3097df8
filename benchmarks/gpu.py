"""What an accelerator is asked first, in at most seven minutes: is it right there, then how fast:

    python -m benchmarks.gpu --json gpu.jsonl

Right: networks against the recordings of tests/golden (fp32 to 1e-4, bf16 to 2e-2), one step of every method against
the CPU's with the same draws, a resumed run against the uninterrupted one (every bit), out of memory in one line. Then
seconds and peak memory of a step of cut, dcl, zi2zi and contragan at published sizes, in fp32, tf32 and bf16.

Each row is printed and written as soon as it is known, so that a cut leaves what was measured; what does not fit into
--minutes is left out with a note. ``--toy --device cpu`` runs all of it on small networks.
"""

import argparse
import contextlib
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode

import networks
from benchmarks.common import ROOT, Report, describe, machine, memory
from benchmarks.step import Step
from benchmarks.tiny_steps import STEPS
from data import DATASETS, Loader
from models import MODELS
from options import Exit, TrainOptions, UserError
from options.parsing import parse
from tests import safetensors
from util.cli import reason, run
from util.device import choose_device
from util.reading.json_file import read_json
from util.reading.weights import read_tensors
from util.training.engine import Engine

GOLDEN = ROOT / "tests/golden"
LIMITS = {"fp32": 1e-4, "bf16": 2e-2}  # of the largest number of a recording
STEP_LIMIT = 1e-3  # of a loss after one step; sums in another order, and Adam's first step is the gradient's sign
PUBLISHED = {
    "cut": (256, ()),
    "dcl": (256, ()),
    "zi2zi": (256, ("--preset", "zi2zi")),
    "contragan": (32, ("--preset", "official")),
}
TINY = ("--ngf", "4", "--ndf", "4")
TOY = {
    "cut": (32, (*TINY, "--netG", "resnet_4blocks")),
    "dcl": (32, (*TINY, "--netG", "resnet_4blocks")),
    "zi2zi": (16, (*TINY, "--widest", "8", "--charset", "ascii")),
    "contragan": (32, (*TINY, "--batch_size", "8")),
}
VARIANTS = ("fp32", "tf32", "bf16")
COLUMNS = {"check": 12, "of": 30, "variant": 7, "off": 7, "most": 7, "result": 6, "s/step": 7, "peak_MiB": 8, "s": 6}
TOY_STEPS = 3


class Rows:
    """Runs one line after another, and writes each when it is known."""

    def __init__(self, report: Report):
        self.report, self.wrong, self.end = report, 0, 0.0

    def add(self, check: str, of: str, compute: Callable[[], dict[str, Any]], variant: str = "") -> None:
        """``compute()`` returns values by column; ``error`` above ``limit`` is wrong, and so is whatever is raised."""
        row, note, began = {"check": check, "of": of, "variant": variant}, "", time.monotonic()
        if began >= self.end:
            self.report.row("left out: no time", **row)
            return
        try:
            row |= compute()
            if "limit" in row:
                row["result"] = "right" if row["error"] <= row["limit"] else "WRONG"
                row |= {"off": f"{row['error']:.0e}", "most": f"{row['limit']:.0e}"}  # numbers are for the file
        except UserError as error:
            note = f"left out: {error}"
        except Exception as error:  # the next line may still be right
            row["result"], note = "WRONG", reason(error)
        self.wrong += row.get("result") == "WRONG"
        self.report.row(note, **row, s=time.monotonic() - began)


# -- right -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Whether CUDA may round the factors of float32 products to 10 bits."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = on
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def far(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, as a part of the largest number."""
    difference = (ours.detach().double().cpu() - theirs.double()).abs().max()
    return float(difference / theirs.double().abs().max().clamp(min=1e-12))


def recording(name: str, entry: dict[str, Any], device: torch.device, precision: str) -> dict[str, Any]:
    """A network of the published code with its weights and what it made of its input."""
    tensors = safetensors.load(GOLDEN / f"{name}.safetensors")
    letter = {"generator": "G", "discriminator": "D"}[entry["kind"]]
    arguments = {"norm": entry[f"norm{letter}"], "size": entry["crop_size"]} | entry
    if letter == "D":
        arguments["n_layers"] = entry["n_layers_D"]
    network = networks.define(letter, entry[f"net{letter}"], **arguments)
    network.load_state_dict(safetensors.under(tensors, "state."), strict=True)
    network.to(device).train(entry.get("mode", "train") == "train")
    low = precision != "fp32"
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, low), tf32(False):
        made = network(tensors["in.x"].to(device))
    return {"error": far(made, tensors["out.y"]), "limit": LIMITS[precision]}


class DrawnOnCPU(TorchFunctionMode):
    """Random numbers come from the CPU's generator wherever they are wanted, so that two devices draw the same."""

    MADE = (torch.rand, torch.randn, torch.randint, torch.randperm)
    LIKE = (torch.rand_like, torch.randn_like, torch.randint_like)
    FILLED = ("uniform_", "normal_", "bernoulli_", "random_", "exponential_")

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function in self.MADE and kwargs.get("device") is not None:
            return function(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
        if function in self.LIKE:
            place = kwargs.pop("device", None) or args[0].device
            return function(torch.empty_like(args[0], device="cpu"), *args[1:], **kwargs).to(place)
        if getattr(function, "__name__", "") in self.FILLED and args and isinstance(args[0], torch.Tensor):
            drawn = torch.empty_like(args[0], device="cpu")
            return args[0].copy_(function(drawn, *args[1:], **kwargs))
        return function(*args, **kwargs)


def losses_of(words: tuple[Any, ...], device: str, dataroot: Path, folder: str) -> dict[str, float]:
    """The losses of the second step of a method, after all its networks have been updated once."""
    model, *flags = words
    known = "--dataroot" in flags or "--charset" in flags
    root = dataroot / "one" if model == "sincut" else dataroot
    argv = ["--model", model, "--checkpoints_dir", folder, "--device", device, "--num_threads", 0]
    argv += [*([] if known else ["--dataroot", root]), *flags]
    opt = parse(TrainOptions, {"model": MODELS, "dataset_mode": DATASETS}, [str(word) for word in argv])
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None), tf32(False), DrawnOnCPU():
        engine, dataset = Engine(opt), DATASETS.find(opt.dataset_mode)(opt)
        loader, made = Loader(dataset, opt, engine.place), MODELS.find(model)(opt)
        made.see_data(dataset)
        engine.prepare(made)
        batch = next(iter(loader.epoch()))
        for _ in range(2):
            with engine.step(made):
                made.set_input(batch)
                made.optimize_parameters()
        return made.get_current_losses()


def step_as_on_cpu(words: tuple[Any, ...], device: str, dataroot: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        here, there = (losses_of(words, where, dataroot, folder) for where in ("cpu", device))
    if here.keys() != there.keys():
        raise ValueError(f"other terms: {', '.join(sorted(here.keys() ^ there.keys()))}")
    most = max(abs(there[name] - value) / max(abs(value), 0.1) for name, value in here.items())
    return {"error": most, "limit": STEP_LIMIT, "losses": there, "losses_cpu": here}


def training(folder: Path, dataroot: Path, device: str, *more: Any) -> "subprocess.CompletedProcess[str]":
    argv = [
        *(sys.executable, "train.py", "--dataroot", dataroot, "--checkpoints_dir", folder, "--name", "run"),
        *(*STEPS[0][1:], "--device", device, "--num_threads", 0, *more),
    ]
    return subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True)


def resumed(device: str, dataroot: Path) -> dict[str, Any]:
    """How many tensors of a run of two epochs differ from one that was ended after the first and continued."""
    with tempfile.TemporaryDirectory() as name:
        whole, parts = Path(name, "whole"), Path(name, "parts")
        common = ("--deterministic", "--n_epochs_decay", 0, "--n_epochs")
        for folder, more in ((whole, (2,)), (parts, (1,)), (parts, (2, "--continue_train"))):
            done = training(folder, dataroot, device, *common, *more)
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
        one, other = (_flat(read_tensors(f / "run/latest_state.pt")) for f in (whole, parts))
    differ = [key for key in one.keys() | other.keys() if not _same(one.get(key), other.get(key))]
    return {"error": float(len(differ)), "limit": 0.0, "values": len(one)}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, item in items for k, v in _flat(item, f"{prefix}.{key}").items()}
    return {prefix: value}


def _same(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b


SHORT_OF_MEMORY = """
import sys, torch
torch.cuda.set_per_process_memory_fraction(0.001)
import train
from util.cli import run
sys.exit(run(train.main))
"""


def out_of_memory(device: str, dataroot: Path) -> dict[str, Any]:
    """Train where there is hardly any memory, and count the lines that do not belong to one line of advice."""
    if torch.device(device).type != "cuda":
        raise UserError("memory is taken away of a CUDA device alone")
    with tempfile.TemporaryDirectory() as folder:
        argv = [
            *(sys.executable, "-c", SHORT_OF_MEMORY, "--dataroot", dataroot, "--checkpoints_dir", folder),
            *("--device", device, "--num_threads", 0, "--ngf", 256, "--crop_size", 512, "--load_size", 512),
        ]
        done = subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    said = bool(lines) and "out of memory" in lines[-1] and done.returncode == Exit.MEMORY
    return {"error": float(not said) + done.stderr.count("Traceback"), "limit": 0.0, "said": lines[-1:]}


# -- fast ------------------------------------------------------------------------------------------------------------


def timed(
    model: str, size: int, flags: tuple[str, ...], variant: str, device: torch.device, rounds: int
) -> dict[str, Any]:
    """The median of some steps after two that are not counted, and the most memory from the first on."""
    if variant == "tf32" and device.type != "cuda":
        raise UserError("only CUDA has it")
    own = ["--device", str(device), "--num_threads", "0", *flags]
    with tf32(variant == "tf32"), contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        step = Step(model, size, "bf16" if variant == "bf16" else "fp32", own)
        for _ in range(2):
            step()
        seconds = [step() for _ in range(rounds)]
    found = {"s/step": statistics.median(seconds), "seconds": seconds, "peak_MiB": memory(device)[1], "px": size}
    del step
    gc.collect()
    return found


# -- all of it -------------------------------------------------------------------------------------------------------


def pictures(folder: Path) -> Path:
    """Noise to train on: seven and five pictures, and one of each side below ``one``."""
    random = np.random.default_rng(0)
    for name, count in (("trainA", 7), ("trainB", 5), ("one/trainA", 1), ("one/trainB", 1)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((160, 160)).save(folder / name / f"{i}.png")
    return folder


def check(rows: Rows, device: torch.device, dataroot: Path, toy: bool) -> None:
    index = read_json(GOLDEN / "index.json")
    kept = {name: entry for name, entry in index.items() if entry["kind"] in ("generator", "discriminator")}
    names = [name for name in kept if not toy or kept[name]["kind"] == "discriminator"]
    for name in names:
        for precision in LIMITS:
            rows.add("recording", name, partial(recording, name, kept[name], device, precision), precision)
    for words in STEPS[:TOY_STEPS] if toy else STEPS:
        of = " ".join([*map(str, words[:1]), *map(str, words[-2:])])[:30]
        rows.add("step", of, partial(step_as_on_cpu, words, str(device), dataroot), "fp32")
    rows.add("resume", "cut, every bit", partial(resumed, str(device), dataroot), "fp32")
    rows.add("memory", "one line where there is none", partial(out_of_memory, str(device), dataroot))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:<n> or mps")
    parser.add_argument("--toy", action="store_true", help="small networks and few of them, to see that this runs")
    parser.add_argument("--minutes", type=float, default=7, help="of all; what does not fit is left out")
    parser.add_argument("--check_minutes", type=float, default=3, help="of these for what is right")
    parser.add_argument("--rounds", type=int, default=10, help="timed steps of each variant")
    parser.add_argument("--json", help="append a line for each row to this file")
    args = parser.parse_args(argv)
    device = choose_device(args.device, "0")
    facts = machine(device)
    report = Report(args.json, **facts)
    print(describe(facts))
    report.head(**COLUMNS)
    rows, began = Rows(report), time.monotonic()
    rows.end = began + 60 * min(args.minutes, args.check_minutes)
    with tempfile.TemporaryDirectory() as folder:
        check(rows, device, pictures(Path(folder)), args.toy)
    rows.end = began + 60 * args.minutes
    for model, (size, flags) in (TOY if args.toy else PUBLISHED).items():
        for variant in VARIANTS:
            rows.add(
                *("speed", f"{model} {size} px"),
                partial(timed, model, size, flags, variant, device, args.rounds),
                variant,
            )
    print(f"{rows.wrong} wrong")
    return 1 if rows.wrong else 0


if __name__ == "__main__":
    sys.exit(run(main))
