"""Images per second and peak memory of translating A to B:  python -m benchmarks.inference --models dcl,cut

``published`` is what the published test does for each image of A (benchmarks/published_methods.py): DCLGAN runs both
generators on both sides, four passes. ``published-pass`` is one pass of the same generator. The others are our
``translate`` of one side under ``Engine.inference``. Random weights; flags of test.py are passed on.
"""

import argparse
import json
import statistics
import sys
import time
from typing import Any

import torch

from benchmarks.common import ALLOCATORS, Report, describe, in_own_process, machine, memory, use_allocator
from benchmarks.published_methods import METHODS
from data import DATASETS
from models import MODELS
from options import TestOptions, UserError
from options.parsing import parse
from util.cli import run
from util.device import choose_device
from util.training.engine import Engine

VARIANTS = {
    "published": "--precision fp32",
    "published-pass": "--precision fp32",
    "fp32": "--precision fp32",
    "bf16": "--precision bf16",
    "fp32-compile": "--precision fp32 --compile",
    "bf16-compile": "--precision bf16 --compile",
}
COLUMNS = {
    **{"model": 9, "px": 4, "batch": 5, "variant": 14, "passes": 6, "images/s": 8, "ratio": 6},
    **{"peak_MiB": 8, "of_first": 8, "above_start": 11},
}


def options(model: str, size: int, batch: int, variant: str, flags: list[str]) -> Any:
    own = ["--model", model, "--crop_size", str(size), "--load_size", str(size), "--batch_size", str(batch)]
    plugins = {"model": MODELS, "dataset_mode": DATASETS}
    return parse(TestOptions, plugins, [*own, *VARIANTS[variant].split(), *flags])


class Translate:
    """One variant, on fixed random images. Called, it returns the seconds of a batch."""

    def __init__(self, model: str, size: int, batch: int, variant: str, flags: list[str]):
        opt = options(model, size, batch, variant, flags)
        self.engine, self.variant, self.passes = Engine(opt), variant, 1
        self.device = self.engine.device
        images = torch.Generator().manual_seed(0)
        real = {side: torch.rand(batch, opt.input_nc, size, size, generator=images) * 2 - 1 for side in "AB"}
        if variant.startswith("published"):
            if model not in METHODS:
                raise UserError(f"--model {model}: the published variant covers {', '.join(METHODS)}")
            self.theirs = METHODS[model](opt, self.device)
            self.theirs.set_input(real)
            self.passes = self.theirs.test_passes if variant == "published" else 1
            self.netG: Any = next(iter(self.theirs.networks.values()))
        else:
            self.ours = self.engine.prepare(MODELS.find(model)(opt))
            self.netG = next(iter(self.ours.networks.values()))  # netG or netG_A: from A to B
        self.real_A = self.engine.place(real["A"]) if variant not in ("published", "published-pass") else real["A"]
        self.real_A = self.real_A.to(self.device)

    def __call__(self) -> float:
        start = time.perf_counter()
        if self.variant.startswith("published"):
            with torch.no_grad():
                if self.variant == "published":
                    self.theirs.test()
                else:
                    self.netG(self.real_A)
        else:
            with self.engine.inference():
                self.ours.translate(self.netG, self.real_A)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def peak(*setting: Any) -> dict[str, float]:
    """MiB of this process: ``start`` with torch and the model, ``peak`` after some batches."""
    translate = Translate(*setting)
    start, _ = memory(translate.device)
    for _ in range(3):
        translate()
    return {"start": start, "peak": memory(translate.device)[1]}


def measure(
    model: str, size: int, batch: int, variants: list[str], args: Any, flags: list[str], report: Report
) -> None:
    """The rows of one model, size and batch."""
    left_out, peaks, ready = {}, {}, {}
    for variant in variants:
        try:
            opt = options(model, size, batch, variant, flags)
            if opt.precision == "bf16" and not report.facts["bf16"]:
                raise UserError("no bf16 arithmetic here")
            if args.memory:
                own = ["--models", model, "--sizes", str(size), "--batches", str(batch), *flags]
                peaks[variant] = in_own_process("benchmarks.inference", ["--peak", variant, *own])
            ready[variant] = Translate(model, size, batch, variant, flags)
            ready[variant]()
        except UserError as error:
            left_out[variant] = f"left out: {error}"
    times: dict[str, list[float]] = {variant: [] for variant in ready if variant not in left_out}
    for _ in range(args.rounds):
        for variant in times:
            times[variant].append(ready[variant]())
    base = variants[0]
    for variant in variants:
        row: dict[str, Any] = {"model": model, "px": size, "batch": batch, "variant": variant}
        if variant in times:
            median = statistics.median(times[variant])
            row |= {"passes": ready[variant].passes, "images/s": batch / median, "seconds": times[variant]}
            row["ratio"] = statistics.median(times[base]) / median if base in times else None
        if variant in peaks:
            row |= {"peak_MiB": peaks[variant]["peak"], "start_MiB": peaks[variant]["start"]}
            row["above_start"] = peaks[variant]["peak"] - peaks[variant]["start"]
            row["of_first"] = f"{row['peak_MiB'] / peaks[base]['peak']:.0%}" if base in peaks else None
        report.row(left_out.get(variant, ""), **row)


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--models", "--model", default="dcl,cut", help="methods, separated by commas")
    parser.add_argument("--sizes", default="256", help="pixels, separated by commas")
    parser.add_argument("--batches", default="1,4", help="images in a batch, separated by commas")
    parser.add_argument("--variants", default="published,published-pass,fp32,bf16", help=", ".join(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5, help="timed batches of each variant, after one that is not")
    parser.add_argument("--allocator", choices=ALLOCATORS, default="default", help="of every variant alike")
    parser.add_argument("--no_memory", dest="memory", action="store_false", help="do not measure the peak memory")
    parser.add_argument("--json", help="append a line for each row to this file")
    parser.add_argument("--peak", metavar="VARIANT", help="print the memory of three batches of one variant, in MiB")
    args, flags = parser.parse_known_args(argv)
    use_allocator(args.allocator, "benchmarks.inference", argv)
    models, variants = args.models.split(","), args.variants.split(",")
    sizes, batches = ([int(word) for word in words.split(",")] for words in (args.sizes, args.batches))
    unknown = [v for v in [*variants, *([args.peak] if args.peak else [])] if v not in VARIANTS]
    if unknown:
        raise UserError(f"--variants {','.join(unknown)}: choose from {', '.join(VARIANTS)}")
    if args.peak:
        print(json.dumps(peak(models[0], sizes[0], batches[0], args.peak, flags)))
        return 0
    opt = options(models[0], sizes[0], batches[0], "fp32", flags)
    facts = machine(choose_device(opt.device, opt.gpu_ids))
    report = Report(args.json, **facts, flags=" ".join(flags))
    print(f"{describe(facts)}; {' '.join(flags) or 'default flags'}; median of {args.rounds}")
    report.head(**COLUMNS)
    for model in models:
        for size in sizes:
            for batch in batches:
                measure(model, size, batch, variants, args, flags, report)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
