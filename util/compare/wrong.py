"""What went wrong with runs of a comparison: a sentence of each variant, or one of many."""

import itertools

from util.compare.finding import Finding, listed
from util.compare.table import Comparison
from util.compare.troubles import troubles

TOGETHER = 3  # variants of which a finding each is made; of more, one of all of them
ENDINGS = {  # state -> of a run, of runs, what follows
    "failed": ("failed", "failed", "Its values are left out of means."),
    "missing": ("was not run", "were not run", ""),
    "unknown": ("does not say whether it finished", "do not say whether they finished", ""),
    "running": ("has not ended", "have not ended", "Its values are not final."),
    "died": ("died before its end", "died before their end", "Its values are those reached until then."),
    "stopped": (
        "was stopped before its end",
        "were stopped before their end",
        "Its values are those reached until then.",
    ),
}


def gone_wrong(comparison: Comparison) -> list[Finding]:
    """Runs that did not end, signs of a collapse, files that are gone or damaged, and values that not all have."""
    found = [finding for state in ENDINGS for finding in _ended(comparison, state)]
    alarmed = {v: there for v, runs in comparison.variants.items() if (there := [run for run in runs if run.alarms])}
    if len(alarmed) > TOGETHER:
        told = (
            f"{comparison.title_of(v)}, {len(there)} of {len(comparison.variants[v])} runs: "
            f"{there[0].alarms[0].partition(';')[0]}"
            for v, there in alarmed.items()
        )
        text = f"Signs of a collapse in runs of {len(alarmed)} variants."
        found.append(Finding("wrong", text, f"{listed(told, '; ')}."))
        alarmed = {}
    for variant, (first, *others) in alarmed.items():
        of_runs = f"{1 + len(others)} of {len(comparison.variants[variant])} runs"
        more = f" Of seed {', '.join(str(run.seed) for run in others)} likewise." if others else ""
        text = f"{comparison.title_of(variant)}: signs of a collapse in {of_runs}."
        found.append(Finding("wrong", text, f"Of seed {first.seed}: {'; '.join(first.alarms)}.{more}"))
    for trouble in troubles(comparison):
        details = f"{trouble.details} {trouble.command}".strip()
        found.append(Finding("wrong", trouble.text, details, trouble.command))
    lacking: dict[str, None] = {}
    for name, label in itertools.product(comparison.names, comparison.labels):
        for variant, runs in comparison.variants.items():
            there = [run for run in runs if run.state not in ("failed", "missing") and run.values(label)]
            count = len(comparison.cell(variant, name, label).values)
            if count < len(there) and any(name in run.entries(label) for run in there):
                lacking[f"{name} of {comparison.title_of(variant)}, {count} of {len(runs)} seeds"] = None
    if lacking:
        found.append(Finding("wrong", "Values that not every run has:", f"{listed(lacking)}."))
    return found


def _ended(comparison: Comparison, state: str) -> list[Finding]:
    """What is said of runs in a state: of each variant, or of many together."""
    one, many, so = ENDINGS[state]
    told: list[tuple[str, list[str], int]] = []
    for variant, runs in comparison.variants.items():
        if ended := [run for run in runs if run.state == state]:
            errors = dict.fromkeys(str(run.facts["error"]).rstrip(".") for run in ended if run.facts.get("error"))
            seeds = ("seed " if len(ended) == 1 else "seeds ") + ", ".join(str(run.seed) for run in ended)
            told.append((f"{comparison.title_of(variant)}, {seeds}", list(errors), len(ended)))
    if len(told) > TOGETHER:
        which = (f"{who}: {'; '.join(errors)}" if errors else who for who, errors, _ in told)
        text = f"{sum(count for *_, count in told)} runs {many}."
        return [Finding("wrong", text, f"{listed(which, '; ')}. {so.replace('Its', 'Their')}".strip())]
    return [
        Finding("wrong", f"{who} {one}.", " ".join([*(f"{error}." for error in errors), so]).strip())
        for who, errors, _ in told
    ]
