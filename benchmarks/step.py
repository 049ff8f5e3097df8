"""Seconds and peak memory of one training step:  python -m benchmarks.step --models cut,dcl --sizes 64,256

The variants run in turn in one process, on the same random images from the same weights, and are compared by the
median of their rounds: compare ratios within one run only. A variant may be another method (``monce=--model monce``).
``published`` is the method as the published code computes it (benchmarks/published_methods.py); it comes first, and
the others are compared with it.

Peak memory is that of a process of its own for each variant, all with the same allocator: of the whole process, and
above what it held when torch was imported and the model built. Flags of train.py are passed on.

Of methods that make images from noise a step is one of the generator with the --n_dis batches of the discriminator
before it, on random images of ten classes and three channels.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.common import ALLOCATORS, Report, describe, in_own_process, machine, memory, use_allocator
from benchmarks.floor import conv_floor
from benchmarks.published_methods import METHODS
from data import DATASETS, Loader
from models import MODELS
from options import TrainOptions, UserError, fields
from options.parsing import parse
from util.cli import run
from util.device import choose_device
from util.training.engine import Engine

VARIANTS = {
    "published": "--precision fp32",
    "fp32": "--precision fp32",
    "bf16": "--precision bf16",
    "fp16": "--precision fp16",
    "fp32-compile": "--precision fp32 --compile",
    "bf16-compile": "--precision bf16 --compile",
}
COLUMNS = {
    **{"model": 9, "px": 4, "variant": 12, "s/step": 7, "ratio": 6, "floor": 7, "floor/step": 10},
    **{"peak_MiB": 8, "of_first": 8, "above_start": 11, "above_of_first": 14},
}


def flags_of(variant: str) -> list[str]:
    """The flags of a variant: of a known one, or of ``name=flags``, which is how any other is measured."""
    name, equals, own = variant.partition("=")
    if not equals and name not in VARIANTS:
        raise UserError(f"--variants {name}: choose from {', '.join(VARIANTS)}, or give name=flags")
    return shlex.split(own if equals else VARIANTS[name])


def options(model: str, size: int, variant: str, flags: list[str]) -> Any:
    own = ["--model", model, "--crop_size", str(size), *flags_of(variant), *flags]
    if fields.flags_of(MODELS.find(model).Options)["dataset_mode"].default == "unaligned":  # else made at that size
        own += ["--load_size", str(size)]
    return parse(TrainOptions, {"model": MODELS, "dataset_mode": DATASETS}, own)


class Step:
    """One variant of a model's training step, on fixed random images. Called, it returns its seconds."""

    def __init__(self, model: str, size: int, variant: str, flags: list[str], alone: bool = False):
        """``alone``: the published variant keeps weights of its own instead of a copy of our model's."""
        opt = options(model, size, variant, flags)
        self.engine = Engine(opt)
        self.device = self.engine.device
        images = torch.Generator().manual_seed(0)
        pair = [("A", opt.input_nc), ("B", opt.output_nc)]
        pair += [("A2", opt.input_nc)] if getattr(opt, "second_A", False) else []
        batch: dict[str, Any] = {
            s: torch.rand(opt.batch_size, channels, size, size, generator=images) * 2 - 1 for s, channels in pair
        }
        self.step: Callable[[], None]
        if variant == "published":
            if model not in METHODS:
                raise UserError(f"--model {model}: the published variant covers {', '.join(METHODS)}")
            theirs = METHODS[model](opt, self.device)
            if not alone:
                theirs.load({n: network.state_dict() for n, network in MODELS.find(model)(opt).networks.items()})
            batch = {side: images.to(self.device) for side, images in batch.items()}

            def step() -> None:
                theirs.set_input(batch)
                theirs.optimize_parameters()
        else:
            ours = MODELS.find(opt.model)(opt)  # a variant may be another method: name=--model monce
            if opt.dataset_mode in ("font", "caption"):  # what is told of images belongs to them, so the batch is real
                dataset = DATASETS.find(opt.dataset_mode)(opt)
                ours.see_data(dataset)
                batch = next(iter(Loader(dataset, opt, self.engine.place).epoch()))
            elif opt.dataset_mode == "labeled":
                ours.see_data(SimpleNamespace(classes=tuple("0123456789"), channels=3, mirrors=True))
                batch = {"image": torch.rand(opt.batch_size, 3, size, size, generator=images) * 2 - 1}
                batch |= {"label": torch.randint(10, (opt.batch_size,), generator=images), "image_paths": []}
            self.engine.prepare(ours)
            batch = {key: self.engine.place(v) if isinstance(v, torch.Tensor) else v for key, v in batch.items()}

            def step() -> None:
                for _ in range(getattr(opt, "n_dis", 1)):
                    with self.engine.step(ours):
                        ours.set_input(batch)
                        ours.optimize_parameters()

        self.step = step

    def __call__(self) -> float:
        start = time.perf_counter()
        self.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def peak(model: str, size: int, variant: str, flags: list[str], steps: int = 3) -> dict[str, float]:
    """MiB of this process: ``start`` with torch and the model, ``peak`` after some steps."""
    step = Step(model, size, variant, flags, alone=True)
    start, _ = memory(step.device)
    for _ in range(steps):
        step()
    return {"start": start, "peak": memory(step.device)[1]}


def measure(model: str, size: int, variants: list[str], args: Any, flags: list[str], report: Report) -> None:
    """The rows of one model at one size."""
    left_out, peaks, floors = {}, {}, {}
    steps: dict[str, Step] = {}
    for variant in variants:
        try:
            opt = options(model, size, variant, flags)
            if opt.precision == "bf16" and not report.facts["bf16"]:
                raise UserError("no bf16 arithmetic here")
            if args.memory:
                own = ["--peak", variant, "--models", model, "--sizes", str(size), *flags]
                peaks[variant] = in_own_process("benchmarks.step", own)
            step = Step(model, size, variant, flags)
            if step() > args.limit and (second := step()) > args.limit:  # the first touches memory for the first time
                raise UserError(f"{second:.0f} s for one step")
            steps[variant] = step
        except UserError as error:
            left_out[variant] = f"left out: {error}"
    times: dict[str, list[float]] = {variant: [] for variant in steps}
    for _ in range(args.rounds):
        for variant, step in steps.items():
            times[variant].append(step())
    if args.floor:  # compiled code has no convolutions that could be seen
        floors = {v: conv_floor(step, step.device) for v, step in steps.items() if not step.engine.opt.compile}
    medians = {variant: statistics.median(seconds) for variant, seconds in times.items()}
    base = variants[0]
    for variant in variants:
        row: dict[str, Any] = {"model": model, "px": size, "variant": variant.partition("=")[0]}
        if variant in medians:
            row |= {"s/step": medians[variant], "seconds": times[variant]}
            row["ratio"] = medians[base] / medians[variant] if base in medians else None
        if variant in floors:
            row |= {"floor": floors[variant], "floor/step": f"{floors[variant] / medians[variant]:.0%}"}
        if variant in peaks:
            row |= {"peak_MiB": peaks[variant]["peak"], "start_MiB": peaks[variant]["start"]}
            row["above_start"] = peaks[variant]["peak"] - peaks[variant]["start"]
            if base in peaks:
                above = peaks[base]["peak"] - peaks[base]["start"]
                row["of_first"] = f"{row['peak_MiB'] / peaks[base]['peak']:.0%}"
                row["above_of_first"] = f"{row['above_start'] / above:.0%}" if above > 0 else None
        report.row(left_out.get(variant, ""), **row)


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--models", "--model", default="cut", help="methods, separated by commas")
    parser.add_argument("--sizes", default="64,128,256", help="pixels, separated by commas")
    parser.add_argument(
        "--variants",
        default="published,fp32,bf16",
        help=f"the first is what the others are compared with: {', '.join(VARIANTS)}, or name=flags of train.py",
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each variant, after one that is not")
    parser.add_argument(
        "--limit", type=float, default=60, help="leave out a variant whose first two steps take longer, s"
    )
    parser.add_argument("--allocator", choices=ALLOCATORS, default="default", help="of every variant alike")
    parser.add_argument("--floor", action="store_true", help="also time the convolutions of a step by themselves")
    parser.add_argument("--no_memory", dest="memory", action="store_false", help="do not measure the peak memory")
    parser.add_argument("--json", help="append a line for each row to this file")
    parser.add_argument("--peak", metavar="VARIANT", help="print the memory of three steps of one variant, in MiB")
    args, flags = parser.parse_known_args(argv)
    use_allocator(args.allocator, "benchmarks.step", argv)
    models, sizes = args.models.split(","), [int(size) for size in args.sizes.split(",")]
    if args.peak:
        print(json.dumps(peak(models[0], sizes[0], args.peak, flags)))
        return 0
    variants = args.variants.split(",")
    for variant in variants:
        flags_of(variant)
    opt = options(models[0], sizes[0], "fp32", flags)
    facts = machine(choose_device(opt.device, opt.gpu_ids))
    report = Report(args.json, **facts, flags=" ".join(flags))
    print(f"{describe(facts)}; {' '.join(flags) or 'default flags'}; median of {args.rounds}")
    report.head(**COLUMNS)
    for model in models:
        for size in sizes:
            measure(model, size, variants, args, flags, report)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
