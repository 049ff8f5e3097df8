"""Seconds and peak memory of one training step:  python -m benchmarks.step --model cut --sizes 64,256

The variants run in turn in one process, on the same random images from the same weights, and are compared by the
median of their rounds: compare ratios within one run only. Peak memory is that of a process of its own for each.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from data import DATASETS
from models import MODELS
from options import TrainOptions
from options.parsing import parse
from util.device import computes_in_bf16
from util.engine import Engine


def make_step(model_name: str, size: int, precision: str, flags: list[str]) -> Callable[[], float]:
    """One training step on fixed random images; returns its seconds."""
    argv = ["--model", model_name, "--crop_size", str(size), "--load_size", str(size), "--precision", precision, *flags]
    opt = parse(TrainOptions, {"model": MODELS, "dataset_mode": DATASETS}, argv)
    engine = Engine(opt)
    model = engine.prepare(MODELS.find(opt.model)(opt))
    images = torch.Generator().manual_seed(0)
    batch = {
        side: engine.place(torch.rand(opt.batch_size, channels, size, size, generator=images) * 2 - 1)
        for side, channels in (("A", opt.input_nc), ("B", opt.output_nc))
    }

    def step() -> float:
        start = time.perf_counter()
        with engine.step(model):
            model.set_input(batch)
            model.optimize_parameters()
        if engine.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step


def peak_mib() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cut")
    parser.add_argument("--sizes", default="64,128,256", help="pixels, separated by commas")
    parser.add_argument("--precisions", default="fp32,bf16", help="the first is what the others are compared with")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each variant, after one that is not")
    parser.add_argument(
        "--limit", type=float, default=60, help="leave a variant out whose first step takes longer, in seconds"
    )
    parser.add_argument(
        "--peak", action="store_true", help="run three steps of one variant and print the peak memory, in MiB"
    )
    args, flags = parser.parse_known_args()
    sizes, precisions = [int(s) for s in args.sizes.split(",")], args.precisions.split(",")
    if args.peak:
        step = make_step(args.model, sizes[0], precisions[0], flags)
        for _ in range(3):
            step()
        print(peak_mib())
        return

    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{platform.processor() or 'CPU'}, {torch.get_num_threads()} threads"
    )
    native = computes_in_bf16(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    print(
        f"{args.model} {' '.join(flags)} on {device}; torch {torch.__version__}; "
        f"bf16 arithmetic: {'yes' if native else 'no'}"
    )
    print(f"{'px':>5} {'precision':>10} {'s/step':>9} {'ratio':>7} {'peak MiB':>9}")
    for size in sizes:
        steps = {p: make_step(args.model, size, p, flags) for p in precisions}
        first = {p: step() for p, step in steps.items() if native or p != "bf16" or size <= 64}
        times: dict[str, list[float]] = {p: [] for p in first if first[p] < args.limit}
        for _ in range(args.rounds):
            for p in times:
                times[p].append(steps[p]())
        del steps
        for p in precisions:
            if p not in times:
                print(
                    f"{size:>5} {p:>10}   left out: "
                    + (f"{first[p]:.0f} s for one step" if p in first else "no bf16 arithmetic here")
                )
                continue
            median = statistics.median(times[p])
            ratio = statistics.median(times[precisions[0]]) / median if precisions[0] in times else float("nan")
            command = [
                sys.executable,
                "-m",
                "benchmarks.step",
                "--peak",
                "--model",
                args.model,
                "--sizes",
                str(size),
                "--precisions",
                p,
                *flags,
            ]
            peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
            print(f"{size:>5} {p:>10} {median:>9.3f} {ratio:>7.2f} {peak:>9.0f}", flush=True)
            print(json.dumps({"px": size, "precision": p, "seconds": times[p], "peak_mib": peak}), file=sys.stderr)


if __name__ == "__main__":
    main()
