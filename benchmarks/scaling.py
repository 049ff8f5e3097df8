"""What several processes send in a step, on paper:  python -m benchmarks.scaling

A step of each method is carried out on the ``meta`` device, which knows shapes alone, and what its optimizers reduce is
counted. A ring sends 2 (n - 1) / n of that from every one of n processes; the table says how long that takes at the
speed of a network and nothing else, so it is a bound from below. docs/scaling.md has the table, and what it means.

Flags of train.py are passed on: ``--models cut --ngf 32`` counts narrower networks.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch

from benchmarks.step import Step
from models.base_model import BaseModel
from options import UserError
from util.cli import run
from util.training.engine import Engine

PHOTOS: tuple[str, ...] = ("cut", "fastcut", "sincut", "cycle_gan", "dcl", "simdcl", "pix2pix", "qsattn", "monce")
PHOTOS += ("hneg_src", "negcut", "lsesim", "santa", "decent", "enco", "unsb")
NOISE = ("contragan", "reacgan", "infomaxgan", "dualcontrast", "sngan", "biggan", "acgan", "r3gan", "contrad")
OWN = {  # where a method has no data of its own kind by default
    "pix2pix": ("--dataset_mode", "unaligned"),
    "zi2zi": ("--target_font", "DejaVuSerif", "STIXGeneral", "--charset", "ascii", "--GAN_from", "0"),
    "xmcgan": ("--dataroot", "digits"),
}
SIZES = dict.fromkeys(PHOTOS, 256) | {"zi2zi": 256} | dict.fromkeys((*NOISE, "xmcgan"), 32)
NETWORKS = {"NVLink": 450e9, "100 Gb/s": 100e9 / 8, "10 Gb/s": 10e9 / 8}  # bytes a second, each way, of one process
PROCESSES = (2, 8, 64)


@dataclass
class Sent:
    """Of one step of all networks: of --n_dis batches, where D learns oftener than G.

    Attributes:
        batch: images of a process in a batch.
        updates: of an optimizer, each a reduction.
        reduced: bytes of the gradients.
        gathered: bytes of a process that all others are given, for losses that compare images of all.
    """

    batch: int = 0
    updates: int = 0
    reduced: int = 0
    gathered: int = 0


def sent(model: str, flags: Sequence[str] = ()) -> Sent:
    """What a process sends in a step of a method at its defaults, and these flags."""
    if model not in SIZES:
        raise UserError(f"--models {model}: choose from {', '.join(SIZES)}")
    count, update, gather = Sent(), Engine.update, BaseModel.gather

    def counted(engine: Engine, of: Any, name: str, compute: Any) -> Any:
        learning = [p for group in of.optimizers[name].param_groups for p in group["params"] if p.requires_grad]
        count.updates += 1
        count.reduced += sum(p.numel() * p.element_size() for p in learning)
        return update(engine, of, name, compute)

    def seen(of: BaseModel, x: torch.Tensor) -> torch.Tensor:
        count.gathered += x.numel() * x.element_size() * (2 if x.requires_grad else 1)  # its gradient comes back
        return gather(of, x)

    words = [*OWN.get(model, ()), *flags, "--device", "meta", "--num_threads", "0"]
    with without_values(), mock.patch.object(Engine, "update", counted), mock.patch.object(BaseModel, "gather", seen):
        step = Step(model, SIZES[model], "counted=", words)
        step.engine.checked, count.batch = True, step.engine.opt.batch_size
        step()
    return count


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """``meta`` has neither autocast nor fused optimizers; parameters that go there stay those that optimizers hold."""
    autocast, made = torch.autocast, {kind: getattr(torch.optim, kind) for kind in ("Adam", "AdamW")}

    def chosen(device: str, *args: Any, **kwargs: Any) -> Any:
        return contextlib.nullcontext() if device == "meta" else autocast(device, *args, **kwargs)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "autocast", chosen))
        for kind, plain in made.items():
            stack.enter_context(mock.patch.object(torch.optim, kind, lambda groups, plain=plain, **_: plain(groups)))
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            yield
        finally:
            torch.__future__.set_swap_module_params_on_conversion(False)


def seconds(reduced: int, processes: int, bandwidth: float) -> float:
    """Of a ring's all-reduce of so many bytes, by its bandwidth alone."""
    return 2 * (processes - 1) / processes * reduced / bandwidth


def row(model: str, count: Sent) -> str:
    """Of the table in docs/scaling.md; times in milliseconds."""
    times = (seconds(count.reduced, n, speed) for speed in NETWORKS.values() for n in PROCESSES)
    cells = [f"`{model}`", count.batch, count.updates, f"{count.reduced:,}", f"{count.gathered:,}"]
    return f"| {' | '.join(map(str, [*cells, *(f'{1000 * t:.3g}' for t in times)]))} |"


def head() -> str:
    names = ["`--model`", "batch", "updates", "bytes reduced", "bytes gathered"]
    names += [f"{name}: {n}" for name in NETWORKS for n in PROCESSES]
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|"


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--models", default=",".join(SIZES))
    return words


def main(argv: Sequence[str] | None = None) -> int:
    args, flags = parser().parse_known_args(argv)
    print(head())
    for model in args.models.split(","):
        with contextlib.redirect_stdout(sys.stderr):  # what data say of themselves
            count = sent(model, flags)
        print(row(model, count), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
