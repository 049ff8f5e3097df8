"""How long a step of a variant takes: timed once, for one set of options on one device with so many threads."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch

from options import TrainOptions, UserError
from options.fields import flags_of
from options.parsing import NOT_CONTINUED, as_dict
from util.device import choose_device

WARM_UP = 5  # steps that are not counted: libraries choose their kernels, loading workers start
LEAST = 30  # steps that are counted
# Options of train.py itself that change what is shown and kept of a run, not what it learns.
APART = {name for name, flag in flags_of(TrainOptions).items() if flag.metadata["per_run"]} | NOT_CONTINUED
APART = (APART | {"display_winsize"}) - {"batch_size", "precision", "phase"}
QUICKER = {"compile", "num_threads", "deterministic"}  # of those, what changes how long a step takes
UNTIMED = {"seed", "max_steps"}


def timed_steps(opt: Any) -> int:
    """Steps of a run that finds out: whole cycles of what happens in some steps only, after those of the warm-up."""
    cycle = math.lcm(getattr(opt, "n_dis", 1), getattr(opt, "r1_every", 1) if getattr(opt, "lambda_r1", 0) else 1)
    return WARM_UP + math.ceil(LEAST / cycle) * cycle


def measured_pace(run: Path) -> float | None:
    """Mean seconds per step, without the warm-up, of a run that told its losses after each; None where it did not."""
    try:
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        times = {record["step"]: float(record["time"]) for record in records}
        last = max(times)
        pace = (times[last] - times[WARM_UP]) / (last - WARM_UP)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None
    return pace if pace > 0 else None


def fingerprint(opt: Any, threads: int) -> str:
    """Of what a pace depends on: the options of a variant, the device and the threads of the processor."""
    try:
        device = choose_device(opt.device, opt.gpu_ids)
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    except UserError:  # a plan for another machine may be looked at here
        where = f"{opt.device} {opt.gpu_ids}"
    said = {k: v for k, v in as_dict(opt).items() if k not in (APART - QUICKER) | UNTIMED}
    return hashlib.sha256(json.dumps([said, where, threads], sort_keys=True, default=str).encode()).hexdigest()[:16]
