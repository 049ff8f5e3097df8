"""The numbers of a comparison: mean and spread over seeds, what runs cost, and both as CSV and LaTeX."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from util.compare.families import told_pairs
from util.compare.measured import differences
from util.compare.run import CHECKPOINTS, ComparedRun, finite_number, group
from util.table import floors_of

WORDS = {"latest": "last", "best": "best"}  # what the page calls a checkpoint
COSTS = {  # name -> its head in the CSV, with the unit
    "s/step": "seconds per step",
    "CPU s/step": "processor seconds per step",
    "memory": "peak memory (bytes)",
    "training": "training (hours)",
    "steps": "steps",
    "parameters G": "parameters G",
    "parameters D": "parameters D",
    "parameters": "parameters",
}


@dataclass(frozen=True)
class Cell:
    """One value of a variant: what its runs have of it, a number a seed, and how many runs there are."""

    values: tuple[float, ...]
    runs: int

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def spread(self) -> float:
        """The standard deviation over seeds (n - 1); NaN below two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def lacking(self) -> bool:
        """Whether runs are without this value."""
        return len(self.values) < self.runs

    def shown(self, places: int, join: str = " \u00b1 ") -> str:
        """ "0.612 +- 0.013", without a spread below two seeds; a dash without values."""
        if not self.values:
            return "\u2013"
        mean = f"{self.mean:.{places}f}"
        return f"{mean}{join}{self.spread:.{places}f}" if len(self.values) > 1 else mean


def cell_of(runs: Sequence[ComparedRun], value: Callable[[ComparedRun], float | None]) -> Cell:
    """A run that failed counts among the runs and gives no value: what it reached is not what was asked for.

    Runs of one seed are one: the same numbers twice are no spread.
    """
    seeds: dict[int, ComparedRun] = {}
    for run in runs:
        seeds.setdefault(run.seed, run)
    found = [value(run) for run in seeds.values() if run.state != "failed"]
    return Cell(tuple(v for v in found if v is not None and math.isfinite(v)), len(seeds))


class Comparison:
    """Runs by variant. Tests of a checkpoint are not mixed with evaluations while training: see ``untested``.

    Attributes:
        variants: name -> its runs by seed.
        names: of the values, in the order in which runs have them.
        labels: of the checkpoints that any run has values of.
        untested: (run, checkpoint) whose other seeds were tested: its evaluation while training, of other images and
            often more of them, is left out.
    """

    def __init__(self, runs: Sequence[ComparedRun]):
        tested = {(run.variant, label) for run in runs for label in CHECKPOINTS if run.source(label) == "test"}
        self.untested = [
            (run, label) for run in runs for label in CHECKPOINTS
            if (run.variant, label) in tested and run.source(label) != "test" and run.state == "finished"
            and (run.evaluated.get(label) or label == CHECKPOINTS[0])
        ]  # fmt: skip
        runs = [
            replace(
                run, evaluated={w: entries for w, entries in run.evaluated.items() if (run.variant, w) not in tested}
            )
            for run in runs
        ]
        self.runs, self.variants = runs, group(runs)
        self.labels = [w for w in CHECKPOINTS if any(run.values(w) for run in runs)]
        found = (name for label in self.labels for run in runs for name in run.values(label))
        self.names = list(dict.fromkeys(found))
        self.better: dict[str, str] = {}
        for run in runs:
            self.better |= {name: way for name, way in run.better.items() if name in self.names}
        self._differences: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}

    @property
    def seeds(self) -> list[int]:
        """How many seeds variants have, each number once, ascending."""
        return sorted({len({run.seed for run in runs}) for runs in self.variants.values()})

    @cached_property
    def peers(self) -> list[list[str]]:
        """Variants that may be ranked with one another: those that see pairs are apart from those that do not."""
        seeing = [variant for variant, runs in self.variants.items() if any(map(told_pairs, runs))]
        return [group for group in ([v for v in self.variants if v not in seeing], seeing) if group]

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """{family: its variants}, in the order in which they appear."""
        found: dict[str, list[str]] = {}
        for variant, runs in self.variants.items():
            found.setdefault(runs[0].family, []).append(variant)
        return found

    def differences(self, name: str, label: str, among: Sequence[str] | None = None) -> list[str]:
        """Why a value cannot be compared between the variants, or these among them; empty where it can."""
        key = (name, label, tuple(self.variants if among is None else among))
        if key not in self._differences:
            self._differences[key] = differences({v: self.variants[v] for v in key[2]}, name, label)
        return self._differences[key]

    def title_of(self, variant: str) -> str:
        return self.variants[variant][0].title

    def cell(self, variant: str, name: str, label: str) -> Cell:
        return cell_of(self.variants[variant], lambda run: run.values(label).get(name))

    def ranked(self, name: str, label: str, among: Sequence[str] | None = None) -> list[tuple[str, Cell]]:
        """Variants, or these, that have the value, best mean first; none where no direction is known."""
        way = self.better.get(name)
        cells = [(v, self.cell(v, name, label)) for v in (self.variants if among is None else among)]
        known = [(variant, cell) for variant, cell in cells if cell.values]
        keys = {
            "lower": lambda mean: mean,
            "higher": lambda mean: -mean,
            "one": lambda mean: abs(mean - 1),
        }
        return sorted(known, key=lambda entry: keys[way](entry[1].mean)) if way in keys else []

    def leaders(self, name: str, label: str, among: Sequence[str] | None = None) -> set[str]:
        """Variants with the best mean of their peers, or among these: one, or several where means are equal.

        None below two variants, nor where what they were judged by or on differs.
        """
        if among is None:
            return {variant for peers in self.peers for variant in self.leaders(name, label, peers)}
        ranked = self.ranked(name, label, among)
        if len(ranked) < 2 or self.differences(name, label, among) or ranked[0][1].mean == ranked[-1][1].mean:
            return set()
        return {variant for variant, cell in ranked if cell.mean == ranked[0][1].mean}

    def winners(self, name: str, label: str) -> set[str]:
        """Leaders that are ahead of the second of their peers by more than the two spread over seeds."""
        found = set[str]()
        for peers in self.peers:
            ranked = self.ranked(name, label, peers)
            if len(ranked) > 1 and spreads_overlap(ranked[0][1], ranked[1][1]) is False:
                found |= self.leaders(name, label, peers)
        return found

    def ties(self, name: str, label: str) -> set[str]:
        """Variants whose mean +- spread overlaps with that of their peers' leader, which is not among them."""
        found = set[str]()
        for peers in self.peers:
            ranked, leaders = self.ranked(name, label, peers), self.leaders(name, label, peers)
            others = [(variant, cell) for variant, cell in ranked if leaders and variant not in leaders]
            found |= {variant for variant, cell in others if spreads_overlap(ranked[0][1], cell)}
        return found

    @cached_property
    def floors(self) -> dict[str, dict[str, tuple[float, float]]]:
        """{floor: {value: (least, greatest) over the runs}}; runs on the same images agree."""
        found: dict[str, dict[str, list[float]]] = {}
        for run in self.runs:
            for label in CHECKPOINTS:
                for name, entry in run.entries(label).items():
                    for floor, value in floors_of(entry).items():
                        if (v := finite_number(value)) is not None:
                            found.setdefault(floor, {}).setdefault(name, []).append(v)
        return {f: {name: (min(v), max(v)) for name, v in values.items()} for f, values in found.items()}

    def cost(self, variant: str, name: str) -> Cell:
        return cell_of(self.variants[variant], lambda run: costs_of(run)[name])

    @cached_property
    def own_clock(self) -> bool:
        """Whether every run that tells how long a step takes tells it in seconds of the processor too."""
        return all(run.own_pace is not None for run in self.runs if costs_of(run)["s/step"] is not None)

    @cached_property
    def costs(self) -> list[str]:
        """Costs that any run tells; one clock tells how long a step takes."""
        other = "s/step" if self.own_clock else "CPU s/step"
        return [name for name in COSTS if name != other and any(self.cost(v, name).values for v in self.variants)]

    def column(self, name: str) -> int:
        """Decimals for every number of a value: three figures of the greatest, one more where they hide the spread."""
        cells = [self.cell(v, name, label) for v in self.variants for label in self.labels]
        numbers = [cell.mean for cell in cells] + [v for f in self.floors.values() for v in f.get(name, ())]
        spreads = [cell.spread for cell in cells if math.isfinite(cell.spread)]
        places = decimals(numbers, 3)
        return places if spreads and statistics.median(spreads) >= 2 * 10.0**-places else decimals(numbers, 4)


def costs_of(run: ComparedRun) -> dict[str, float | None]:
    """What a run took: seconds per step, bytes, hours without evaluations, steps, trainable numbers."""
    seconds, parameters = run.fact("seconds"), run.parameters
    part = {kind: [n for name, n in parameters.items() if name.startswith(kind)] for kind in ("G", "D", "")}
    total = {kind: float(sum(counts)) if counts else None for kind, counts in part.items()}
    return {
        "s/step": run.fact("seconds_per_step") or run.pace,
        "CPU s/step": run.own_pace,
        "memory": run.fact("peak_memory"),
        "training": None if seconds is None else seconds / 3600,
        "steps": run.fact("steps"),
        "parameters G": total["G"],
        "parameters D": total["D"],
        "parameters": total[""],
    }


def spreads_overlap(one: Cell, other: Cell) -> bool | None:
    """Whether mean +- spread of both meet; None where one has fewer than two seeds, so no spread."""
    if len(one.values) < 2 or len(other.values) < 2:
        return None
    return abs(one.mean - other.mean) <= one.spread + other.spread


def decimals(values: Iterable[float], figures: int = 4) -> int:
    """Decimals that show the greatest of these with about ``figures`` figures, so that a column lines up."""
    greatest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    return min(7, max(0, figures - 1 - math.floor(math.log10(greatest)))) if greatest > 0 else figures - 1


def span(ends: tuple[float, float], places: int, dots: str = "\u2026") -> str:
    """One number, or two ends where runs disagree."""
    low, high = (f"{end:.{places}f}" for end in ends)
    return low if low == high else f"{low}{dots}{high}"


def protocol(comparison: Comparison) -> list[str]:
    """How values were measured, a line for each way: images, extractor, resize; from what is known of the values."""
    ways: dict[str, list[str]] = {}
    for run in comparison.runs:
        for label in CHECKPOINTS:
            for name, entry in run.entries(label).items():
                ways.setdefault(_way(entry), [])
                if name not in ways[_way(entry)]:
                    ways[_way(entry)].append(name)
    return [f"{', '.join(names)}: {way}" for way, names in ways.items() if way]


def _way(entry: Mapping[str, object]) -> str:
    parts = []
    for key in ("images", "pairs"):
        if (count := finite_number(entry.get(key))) is not None:
            parts.append(f"{count:,.0f} {key}")
    if (count := finite_number(entry.get("reference"))) is not None:
        parts.append(f"{count:,.0f} real images")
    if isinstance(extractor := entry.get("extractor"), str) and extractor:
        parts.append(extractor)
    if isinstance(resize := entry.get("resize"), str) and resize not in ("", "none"):
        parts.append(f"resized {resize}")
    if entry.get("comparable") is False:
        parts.append("not comparable with published FID")
    return ", ".join(parts)
