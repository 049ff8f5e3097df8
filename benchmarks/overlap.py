"""Two processes on a slow network:  python -m benchmarks.overlap --models cut --mbit 1000

Seconds and bytes of a training step whose gradients are sent together, and in parts while the rest is computed
(--bucket_mb), with gloo on this machine. The processes have a network of their own (``unshare``, which asks for root),
whose loopback is as narrow as it is told (``tc``; with --delay_ms by netem, else tbf): nothing else here is slowed, and
what its counters say is theirs alone. Variants take turns in one pair of processes; flags of train.py are passed on.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.common import ROOT, Report, machine
from benchmarks.step import Step
from options import UserError
from util.cli import run
from util.reading.json_file import decode_json

PORT = 29611
COLUMNS = {"model": 10, "px": 4, "bucket_mb": 9, "s/step": 7, "of_first": 8, "MB/step": 8, "counted_MB": 10}


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--models", default="cut")
    words.add_argument("--size", type=int, default=64)
    words.add_argument("--buckets", default="0,1,25", help="values of --bucket_mb, the first is compared with")
    words.add_argument("--delay_ms", type=float, default=0, help="of every packet")
    words.add_argument("--mbit", type=float, default=0, help="a second at most; 0 is no limit")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--json")
    words.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return words


def main(argv: Sequence[str] | None = None) -> int:
    args, flags = parser().parse_known_args(argv)
    if not args.inside:
        return apart(list(sys.argv[1:] if argv is None else argv))
    slow_down(args.delay_ms, args.mbit)
    network = f"{args.delay_ms:g} ms, {f'{args.mbit:g} Mb/s' if args.mbit else 'no limit'}"
    print(f"gloo, two processes, loopback with {network}, {args.rounds} rounds")
    report = Report(args.json, **machine(torch.device("cpu")), network=network)
    report.head(**COLUMNS)
    for model in args.models.split(","):
        for row in measured(model, args, flags):
            report.row(**row)
    return 0


def apart(argv: Sequence[str]) -> int:
    """The same in a network of its own."""
    for tool in ("unshare", "tc", "ip"):
        if shutil.which(tool) is None:
            raise UserError(f"benchmarks.overlap: needs {tool} (util-linux and iproute2)")
    command = ["unshare", "--net", sys.executable, "-m", "benchmarks.overlap", *argv, "--inside"]
    return subprocess.run(command, cwd=ROOT).returncode


def slow_down(delay: float, mbit: float) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    slow = ["tbf", "rate", f"{mbit}mbit", "burst", "256kb", "latency", "2000ms"]
    if delay:
        rate = ["rate", f"{mbit}mbit"] if mbit else []
        slow = ["netem", "limit", "100000", "delay", f"{delay}ms", *rate]
    if delay or mbit:
        done = subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", *slow], capture_output=True, text=True)
        if done.returncode:
            flag, why = f"--delay_ms {delay:g}" if delay else f"--mbit {mbit:g}", done.stderr.strip().splitlines()[-1]
            raise UserError(f"{flag}: this kernel has no {slow[0]} ({why}); --mbit alone asks for tbf")


def measured(model: str, args: Any, flags: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each variant."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    processes = [context.Process(target=process, args=(rank, model, args, list(flags), told)) for rank in range(2)]
    for one in processes:
        one.start()
    found = decode_json(told.get())
    for one in processes:
        one.join()
    if "failed" in found:
        raise UserError(f"--models {model}: {found['failed']}")
    rows, first = [], None
    for bucket, (seconds, sent, counted) in found.items():
        median = statistics.median(seconds)
        first = first or median
        row: dict[str, Any] = {"model": model, "px": args.size, "bucket_mb": bucket, "s/step": median}
        row["of_first"] = f"{median / first:.0%}"
        rows.append(row | {"MB/step": sent / 1e6, "counted_MB": counted / 1e6, "seconds": seconds})
    return rows


def process(rank: int, model: str, args: Any, flags: list[str], told: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{PORT}", rank=rank, world_size=2)
    try:
        steps = {b: Step(model, args.size, f"b=--bucket_mb {b}", flags) for b in args.buckets.split(",")}
        found: dict[str, Any] = {bucket: ([], [], counted(step)) for bucket, step in steps.items()}
        for turn in range(args.rounds + 1):
            for bucket, step in steps.items():
                dist.barrier()
                before = on_the_wire()
                seconds = step()
                dist.barrier()
                if turn:  # the first touches memory, and makes its buckets
                    found[bucket][0].append(seconds)
                    found[bucket][1].append(on_the_wire() - before)
        if rank == 0:
            told.put(json.dumps({b: (s, statistics.median(w), c) for b, (s, w, c) in found.items()}))
    except Exception as error:
        told.put(json.dumps({"failed": f"{type(error).__name__}: {error}"}))
    dist.destroy_process_group()


def counted(step: Step) -> int:
    """Bytes that two processes send together: a ring of two sends all from each; as benchmarks.scaling counts them."""
    sizes: list[int] = []
    update = step.engine.update

    def counting(model: Any, name: str, compute: Any) -> Any:
        groups = model.optimizers[name].param_groups
        sizes.append(sum(p.numel() * p.element_size() for g in groups for p in g["params"] if p.requires_grad))
        return update(model, name, compute)

    step.engine.update = counting  # type: ignore[method-assign]
    step()
    step.engine.update = update  # type: ignore[method-assign]
    return 2 * sum(sizes)


def on_the_wire() -> int:
    """Bytes that the loopback of this network has carried."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[9])


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(run(main))
