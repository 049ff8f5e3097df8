"""Values of runs over their steps, as the script of a comparison's page draws them."""

import collections
import math
from collections.abc import Iterable
from typing import Any

from util.compare.run import ComparedRun, Series
from util.compare.table import Comparison
from util.html import short, visible

NUMBERS = 9000  # of the curves of one value, about: of many runs each has fewer points


def curves_of(comparison: Comparison) -> dict[str, Any]:
    """Values over steps for the page's script: evaluations first, then losses."""
    variants: list[dict[str, Any]] = []
    unit, seconds = _time_unit(comparison)
    most, families = max(50, NUMBERS // max(1, len(comparison.runs))), list(comparison.families)
    for variant, runs in comparison.variants.items():
        parts = [
            {
                "seed": str(run.seed),
                "pace": None if (pace := pace_of(comparison, run)) is None else short(pace / seconds),
                "failed": run.state == "failed",
                "best": run.best_step,
                "evaluations": _points(run.evaluations),
                "losses": _points(run.losses, most),
            }
            for run in runs
        ]
        family = families.index(runs[0].family)
        variants.append({"label": visible(comparison.title_of(variant)), "family": family, "runs": parts})
    judged = _common_first(run.evaluations for run in comparison.runs)
    losses = _common_first(run.losses for run in comparison.runs)
    return {
        "names": [*(["evaluations", visible(n)] for n in judged), *(["losses", visible(n)] for n in losses)],
        "better": {visible(n): way for run in comparison.runs for n, way in run.better.items()},
        "floors": {
            visible(n): {
                visible(floor): short(values[n][0]) for floor, values in comparison.floors.items() if n in values
            }
            for n in judged
        },
        "variants": variants,
        "clock": "the processor" if comparison.own_clock else "training",
        "unit": unit,
    }


def _time_unit(comparison: Comparison) -> tuple[str, float]:
    """What time is told in along the axis, and its seconds: that of which the longest run takes some."""
    ends = ((pace_of(comparison, run) or 0) * max(_steps(run), default=0) for run in comparison.runs)
    longest = max(ends, default=0)
    return ("h", 3600.0) if longest >= 2 * 3600 else ("min", 60.0) if longest >= 2 * 60 else ("s", 1.0)


def _steps(run: ComparedRun) -> list[float]:
    return [*run.losses.steps, *run.evaluations.steps]


def pace_of(comparison: Comparison, run: ComparedRun) -> float | None:
    """Seconds per step by the clock that the table has too."""
    return run.own_pace if comparison.own_clock else run.pace


def _common_first(series: Iterable[Series]) -> list[str]:
    """Names of values, those that most runs have before others."""
    counts = collections.Counter(name for one in series for name in one.values)
    return sorted(counts, key=lambda name: -counts[name])


def _points(series: Series, most: int = 0) -> dict[str, Any]:
    """Every point, or so many of them, the last among them."""
    every = max(1, math.ceil(len(series.steps) / most)) if most else 1
    first = (len(series.steps) - 1) % every if series.steps else 0
    values = {visible(name): [short(v) for v in column[first::every]] for name, column in series.values.items()}
    return {"x": [short(step) for step in series.steps[first::every]], "y": values}
