"""What may be concluded from a comparison and what may not, in sentences that its numbers dictate."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .compare_table import REAL, WORDS, Comparison, costs_of, overlap, words
from .compared_run import ComparedRun, number

TOLERANCE = 0.01  # budgets that differ by less count as equal
NAMED = 8  # values that a sentence names, at most


@dataclass(frozen=True)
class Finding:
    """A sentence: something that may be said, a limit of what may be said, or something that went wrong."""

    kind: Literal["yes", "limit", "wrong"]
    text: str


def findings(comparison: Comparison) -> list[Finding]:
    """What went wrong comes first, then what may be said, then its limits."""
    return [*_gone_wrong(comparison), *_differences(comparison), *_limits(comparison)]


def supervision(run: ComparedRun) -> str:
    """What a run was told besides images of both sides, as far as its options say; empty where nothing."""
    told = []
    if number(run.options.get("lambda_L1")):
        told.append("true targets")
    if "fake_labels" in run.options:  # an option of class-conditional models alone
        told.append("class labels")
    if run.options.get("dataset_mode") == "caption":
        told.append("captions")
    return " and ".join(told)


def _gone_wrong(comparison: Comparison) -> list[Finding]:
    found = []
    for variant, runs in comparison.variants.items():
        for state, said in (
            ("failed", "failed; its values are left out of means"),
            ("missing", "was not run"),
            ("unknown", "does not say whether it finished"),
            ("running", "is still running; its values are not final"),
            ("stopped", "was stopped before its end; its values are those reached until then"),
        ):
            some = [run for run in runs if run.state == state]
            if not some:
                continue
            error = next((f": {run.facts['error']}" for run in some if run.facts.get("error")), "")
            seeds = "seed " + ", ".join(str(run.seed) for run in some)
            found.append(Finding("wrong", f"{comparison.label(variant)}, {seeds} {said}{error}"))
    for which in comparison.which:
        for name in comparison.names:
            lacking = []
            for variant, runs in comparison.variants.items():
                there = [run for run in runs if run.state not in ("failed", "missing")]
                cell = comparison.cell(variant, name, which)
                if len(cell.values) < len(there) and any(run.values(which) for run in there):
                    lacking.append(f"{comparison.label(variant)} (of {len(cell.values)} of {len(runs)} seeds)")
            if lacking and len(lacking) < len(comparison.variants):
                found.append(Finding("wrong", f"{name}, {WORDS[which]}: not every run has it: {_list(lacking)}"))
    return found


def _differences(comparison: Comparison) -> list[Finding]:
    """The two best variants of each value: whether they differ by more than they spread."""
    which = comparison.which[0] if comparison.which else ""
    clear, within, unknown = list[str](), list[str](), list[str]()
    for name in comparison.names if which else ():
        leaders = comparison.leaders(name, which)
        if not leaders:
            continue
        (first, one), (second, other) = comparison.ranked(name, which)[:2]
        places = comparison.column(name)
        pair = f"{comparison.label(first)} {words(one, places)}, {comparison.label(second)} {words(other, places)}"
        meets = overlap(one, other)
        (unknown if meets is None else within if meets else clear).append(f"{name} ({pair})")
    found = []
    if clear:
        seeds = _least_seeds(comparison)
        few = "; so few seeds make it a hint, not a proof" if seeds < 5 else ""
        text = f"The best is ahead of the second by more than both spread over seeds: {_list(clear)}{few}."
        found.append(Finding("yes", text))
    if within:
        found.append(Finding("limit", f"No winner, mean \u00b1 spread of the best two overlap: {_list(within)}."))
    if unknown:
        said = "One seed each is no spread, so the order of these may be chance"
        found.append(Finding("limit", f"{said}: {_list(unknown)}."))
    if which and not (clear or within or unknown) and len(comparison.variants) > 1:
        found.append(Finding("limit", "No value that has a direction is known of two variants, so nothing is ranked."))
    if not comparison.names:
        found.append(Finding("limit", "No run has been judged: there are no values, only curves, costs and images."))
    return found


def _limits(comparison: Comparison) -> list[Finding]:
    runs = [run for run in comparison.runs if run.state not in ("missing", "failed")]
    lines = [
        _supervision(comparison),
        _budgets(comparison, runs),
        _chosen(comparison, runs),
        _same(
            "Images that values are of differ in number",
            runs,
            lambda run: _entries(run, "images", "pairs"),
            "the values depend on it",
        ),
        _same(
            "Values were measured with different extractors",
            runs,
            lambda run: _entries(run, "extractor"),
            "they cannot be compared",
        ),
        _same(
            "Runs trained on different data", runs, lambda run: run.options.get("dataroot"), "values answer for both"
        ),
        _same(
            "Runs were on different machines or threads",
            runs,
            lambda run: " ".join(str(run.facts.get(key, "")) for key in ("device", "threads")).strip(),
            "seconds and memory cannot be compared",
        ),
        _incomparable(comparison),
    ]
    return [Finding("limit", line) for line in lines if line]


def _supervision(comparison: Comparison) -> str:
    told = {variant: supervision(runs[0]) for variant, runs in comparison.variants.items() if runs[0].options}
    if len(set(told.values())) < 2:
        return ""
    groups: dict[str, list[str]] = {}
    for variant, what in told.items():
        groups.setdefault(what or "nothing more", []).append(comparison.label(variant))
    parts = "; ".join(f"{what}: {', '.join(names)}" for what, names in groups.items())
    return f"Models were told different things besides their images ({parts}): a better value may be the telling's."


def _budgets(comparison: Comparison, runs: Sequence[ComparedRun]) -> str:
    done = [(run, costs_of(run)) for run in runs]
    steps = [c["steps"] for _, c in done if c["steps"]]
    hours = [c["hours"] for _, c in done if c["hours"]]
    images = [n for run, _ in done if (n := run.fact("images"))]
    if not steps or _equal(steps):
        return ""
    each = "; ".join(
        f"{comparison.label(variant)} {_range([c['steps'] for run, c in done if run.variant == variant])}"
        for variant in comparison.variants
    )
    if images and len(images) == len(steps) and _equal(images):
        return f"Steps differ, images seen do not ({each} steps)."
    if len(hours) == len(steps) and _equal(hours, 0.1):
        return f"The budget was time: hours are equal, steps are not ({each} steps)."
    return f"Budgets differ ({each} steps): more training may be what makes a value better."


def _chosen(comparison: Comparison, runs: Sequence[ComparedRun]) -> str:
    if "best" not in comparison.which:
        return ""
    best = [found for run in runs if isinstance(found := run.facts.get("best"), dict) and found.get("metric")]
    judged = f" by {_list(sorted({str(found['metric']) for found in best}))}" if best else ""
    return (
        f"The best checkpoints were chosen{judged} on the same images that they are reported on, so their values are "
        "too good; those of the last are not chosen."
    )


def _incomparable(comparison: Comparison) -> str:
    names = {
        name
        for run in comparison.runs
        for entries in run.scores.values()
        for name, entry in (entries or {}).items()
        if entry.get("comparable") is False
    }
    if not names:
        return ""
    floor = f"; read it against {REAL}" if REAL in comparison.floors else ""
    return f"Not comparable with published FID, their extractor is another: {_list(sorted(names))}{floor}."


def _same(said: str, runs: Sequence[ComparedRun], fact: Callable[[ComparedRun], object], so: str) -> str:
    """A sentence where runs that know a fact disagree about it."""
    known = dict.fromkeys(str(value) for run in runs if (value := fact(run)) not in (None, ""))
    return f"{said} ({_list(known)}): {so}." if len(known) > 1 else ""


def _entries(run: ComparedRun, *keys: str) -> str:
    """What the entries of a run's values say under these keys, without repetition."""
    entries = itertools.chain.from_iterable((found or {}).values() for found in run.scores.values())
    return ", ".join(dict.fromkeys(str(e[key]) for e in entries for key in keys if e.get(key) is not None))


def _least_seeds(comparison: Comparison) -> int:
    return min((len(runs) for runs in comparison.variants.values()), default=0)


def _equal(values: Sequence[float], tolerance: float = TOLERANCE) -> bool:
    return max(values) - min(values) <= tolerance * max(values)


def _range(values: Iterable[float | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "?"
    low, high = min(known), max(known)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _list(texts: Iterable[str]) -> str:
    some = list(texts)
    more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
    return ", ".join(some[:NAMED]) + more
