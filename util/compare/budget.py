"""The budget of an experiment: what a step of a variant takes, and so how many it has in so many minutes.

A pace is timed once, for one set of options on one device with so many threads, and kept in ``budget.json``. Where
the process has a clock of its own (``util/training/run_record.py:has_own_clock``) it is in processor seconds, so that
what else the machine is at gives no method fewer steps.
"""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from options import TrainOptions, UserError
from options.command_line import words_of
from options.fields import flags_of
from options.parsing import NOT_CONTINUED, as_dict
from util.claim import Claim
from util.compare.artefacts import finite_number
from util.compare.claims import claimed, trained
from util.compare.cores import threads
from util.compare.launchers.base import Command
from util.compare.recipe import Recipe
from util.compare.runner import ENDED, STOPPED, Task, say
from util.device import choose_device
from util.files import json_or_empty
from util.training.run_record import WARM_UP, has_own_clock, read_record
from util.writing import remove_folder, write_atomically

LEAST = 30  # steps that are counted
# Options of train.py itself that change what is shown and kept of a run, not what it learns.
NOT_COMPARED = {name for name, flag in flags_of(TrainOptions).items() if flag.metadata["per_run"]} | NOT_CONTINUED
NOT_COMPARED = (NOT_COMPARED | {"display_winsize"}) - {"batch_size", "precision", "phase"}
QUICKER = {"compile", "num_threads", "deterministic"}  # of those, what changes how long a step takes
UNTIMED = {"seed", "max_steps"}


class Timings:
    """Paces of the variants of a recipe, and the optimizer steps that follow.

    Args:
        folder: of the experiment.
        script: train.py.
        parse_train: the words of train.py -> its options.
        has_begun: whether a run of a variant goes on with these options, whatever its seed.
        jobs: runs side by side, which share the processor's cores.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        script: Path,
        parse_train: Callable[[list[str]], Any],
        has_begun: Callable[[str, Any], bool],
        jobs: int,
    ):
        self.recipe, self.folder, self.script, self.jobs = recipe, folder, script, jobs
        self.parse_train, self.has_begun = parse_train, has_begun
        self._read()
        self._options: dict[str, Any] = {}  # of a variant, read once
        self._begun: dict[str, bool] = {}

    def _read(self) -> None:
        kept = json_or_empty(self.folder / "budget.json")
        self._timed: dict[str, Any] = {v: facts for v, facts in kept.items() if isinstance(facts, dict)}

    def pace_of(self, variant: str) -> float | None:
        """Seconds per step as they were timed, whenever that was."""
        return finite_number(self._timed.get(variant, {}).get("seconds_per_step"))

    def steps_of(self, variant: str) -> int | None:
        """Optimizer steps of a variant; None where it has no budget, or minutes that are not timed yet."""
        budget = self.recipe.budget
        if budget is None or budget.minutes is None:
            return None if budget is None else budget.steps
        valid = variant in self._timed and (not self._is_stale(variant) or self.keeps_steps(variant))
        return self._in_budget(variant) if valid else None

    def must_time(self, variant: str) -> bool:
        return self.recipe.budget is not None and self.steps_of(variant) is None

    def keeps_steps(self, variant: str) -> bool:
        """Whether a timing is kept that this machine, or these options, did not make: runs by it have begun.

        Seeds of a variant are compared with one another, so all have the same steps.
        """
        if variant not in self._timed or not self._is_stale(variant):
            return False
        if variant not in self._begun:
            self._begun[variant] = self.has_begun(variant, self._parsed(variant))
        return self._begun[variant]

    def forget_begun(self) -> None:
        """Runs start anew: ask again which timings are kept for those that have begun."""
        self._begun.clear()

    def time(self, variant: str) -> Task:
        """Train a few steps that are thrown away, and keep how long one takes; one process at a time."""
        log = self.folder / "logs" / f"{variant}-timing.log"
        claim, waited = yield from claimed(self.folder / "state", f"{variant}-timing", log)
        with claim:
            if waited:
                self._read()
            return (yield from self._time(variant, claim, log)) if self.must_time(variant) else 0

    def _time(self, variant: str, claim: Claim, log: Path) -> Task:
        name, steps = f"{variant}-timing", timed_steps(self._parsed(variant))
        run = self.folder / "checkpoints" / name
        words = {"name": name, "checkpoints_dir": run.parent, **self.recipe.models[variant], "max_steps": steps}
        words |= {"print_freq": 1, "no_html": True, "overwrite": True}
        command = Command(f"{variant}: timing {steps} steps", self.script, words_of(words), log, claim)
        code = yield from trained(run, command)
        if code:
            return STOPPED if code in ENDED else code
        record, opt = read_record(run), self._parsed(variant)
        own = has_own_clock(record.get("device"), record.get("threads"), opt.num_threads)
        pace = finite_number(record.get("cpu_per_step" if own else "seconds_per_step"))
        if not pace:
            say(f"{run}: run.json does not say how long a step takes")
            return 1
        facts = {"seconds_per_step": pace, "device": record.get("device"), "threads": record.get("threads")}
        facts |= {"clock": "processor" if own else "wall"}
        self._read()  # what another compare.py has timed meanwhile
        self._timed[variant] = facts | {"of": self._fingerprint(variant)}
        told = {v: {"budget": str(self.recipe.budget), "steps": self._in_budget(v)} for v in self._timed}
        kept = {v: facts | told[v] for v, facts in self._timed.items()}
        write_atomically(self.folder / "budget.json", json.dumps(kept, indent=1) + "\n")
        remove_folder(run, self.folder)
        say(f"{variant}: {pace:.3g} s a step, so {self.recipe.budget} are {self.steps_of(variant)} steps")
        return 0

    def note(self) -> str:
        """What a page says of the budget; empty where runs have none."""
        budget = self.recipe.budget
        if budget is None:
            return ""
        if budget.minutes is None:
            return f"Each run had {budget} of the optimizer, whatever a step takes."
        self._read()  # what was timed since, here or elsewhere
        steps = ", ".join(f"{v} {self._in_budget(v)}" for v in self.recipe.models if v in self._timed)
        return (
            f"Each run had {budget} of training, turned into optimizer steps by timing at least {LEAST} steps of each "
            f"variant once{self._clock()}{f': {steps}' if steps else ''}."
        )

    def _clock(self) -> str:
        """By which clock variants were timed, in words; empty where it is not known."""
        clocks = {v: self._timed[v].get("clock") for v in self.recipe.models if v in self._timed}
        told = set(clocks.values())
        if told == {"processor"}:
            return ", in seconds of the processor, which other work on the machine does not take from a method"
        if told == {"wall"}:
            return ", by the clock on the wall, so other work on the machine made steps fewer"
        own = ", ".join(v for v, clock in clocks.items() if clock == "processor")
        return f", {own} in seconds of the processor and the others by the clock on the wall" if own else ""

    def _in_budget(self, variant: str) -> int | None:
        """Steps in the minutes of the budget, by what was timed, whenever that was."""
        budget, pace = self.recipe.budget, self.pace_of(variant)
        return max(1, int(budget.minutes * 60 / pace)) if budget and budget.minutes and pace else None

    def _is_stale(self, variant: str) -> bool:
        return self._timed[variant].get("of") != self._fingerprint(variant)

    def _fingerprint(self, variant: str) -> str:
        return fingerprint(self._parsed(variant), threads(self.jobs))

    def _parsed(self, variant: str) -> Any:
        if variant not in self._options:
            self._options[variant] = self.parse_train(words_of({"name": variant} | self.recipe.models[variant]))
        return self._options[variant]


def timed_steps(opt: Any) -> int:
    """Steps of a run that finds out: whole cycles of what happens in some steps only, after those of the warm-up."""
    penalised = getattr(opt, "lambda_r1", 0) or getattr(opt, "lambda_r2", 0)
    cycle = math.lcm(getattr(opt, "n_dis", 1), getattr(opt, "r1_every", 1) if penalised else 1)
    return WARM_UP + math.ceil(LEAST / cycle) * cycle


def fingerprint(opt: Any, threads: int) -> str:
    """Of what a pace depends on: the options of a variant, the device, the processor's threads, and the clock."""
    try:
        device = choose_device(opt.device, opt.gpu_ids)
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    except UserError:  # a plan for another machine may be looked at here
        where = f"{opt.device} {opt.gpu_ids}"
    said = {k: v for k, v in as_dict(opt).items() if k not in (NOT_COMPARED - QUICKER) | UNTIMED}
    clock = ["processor"] if has_own_clock(where, threads, opt.num_threads) else []
    return hashlib.sha256(json.dumps([said, where, threads, *clock], sort_keys=True, default=str).encode()).hexdigest()[
        :16
    ]
