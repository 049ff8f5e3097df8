"""What ablations share: scripts that run side by side, and a table of what came of them."""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from options import UserError
from util.stopwatch import Countdown

from .common import ROOT

Found = Mapping[tuple[str, int], Mapping[str, float]]  # (variant, seed) -> figures


def call(*words: str) -> None:
    """Run a script with one thread; UserError with its last line if it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"{words[0]}: {last}")


def side_by_side(
    run: Callable[[str, int], Mapping[str, float]], variants: Iterable[str], seeds: Sequence[int], jobs: int
) -> Found:
    """Figures of run(variant, seed) for every variant and seed, ``jobs`` at a time, all variants of a seed first."""
    tasks = [(variant, seed) for seed in seeds for variant in list(variants)]
    countdown = Countdown(len(tasks), "run")

    def one(task: tuple[str, int]) -> Mapping[str, float]:
        values = run(*task)
        countdown.step()
        return values

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(tasks, pool.map(one, tasks), strict=True))


def table(found: Found, base: str, figures: Mapping[str, str]) -> str:
    """Markdown: mean ± standard deviation over seeds, and in brackets the mean difference to ``base``, seed by seed.

    Args:
        figures: those that are shown -> their names in the head.
    """
    variants, seeds = ([*dict.fromkeys(some)] for some in zip(*found, strict=True))
    lines = ["| | " + " | ".join(figures.values()) + " |", "|---" * (len(figures) + 1) + "|"]
    for variant in variants:
        cells = []
        for key in figures:
            values = [found[variant, seed][key] for seed in seeds]
            cell = f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"
            if variant != base:
                far = [found[variant, seed][key] - found[base, seed][key] for seed in seeds]
                cell += f" ({statistics.mean(far):+.3f})"
            cells.append(cell)
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
