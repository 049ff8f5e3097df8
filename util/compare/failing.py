"""What came out as failing: variants that images without learning beat, or whose training warned of a collapse."""

import itertools

from util.compare.table import Comparison

TRIVIAL = ("the source, copied", "a white page")  # floors that a model must beat to have learned anything
PERFECT = 1e-6  # distance from 0 or 1 below which a floor is perfect by what is measured, but for rounding
NAMED = 3  # values that a row names, at most


def behind(comparison: Comparison) -> dict[tuple[str, str], list[str]]:
    """{(floor, value): variants that do no better}; a floor that is perfect by what is measured says nothing."""
    label, found = comparison.labels[0] if comparison.labels else "", dict[tuple[str, str], list[str]]()
    for floor, name in itertools.product(TRIVIAL, comparison.names):
        ends = comparison.floors.get(floor, {}).get(name)
        way = comparison.better.get(name)
        if ends is None or way not in ("lower", "higher") or any(abs(ends[0] - end) < PERFECT for end in (0, 1)):
            continue
        for peers in comparison.peers:
            if comparison.differences(name, label, peers):
                continue
            cells = comparison.ranked(name, label, peers)
            worse = [v for v, cell in cells if (cell.mean >= ends[0] if way == "lower" else cell.mean <= ends[1])]
            if worse:
                found.setdefault((floor, name), []).extend(worse)
    return found


def failures(comparison: Comparison) -> dict[str, list[str]]:
    """{variant: lines for its row}, of those that have any."""
    lines: dict[str, list[str]] = {}
    for floor in TRIVIAL:
        of_floor = {name: who for (told, name), who in behind(comparison).items() if told == floor}
        for variant in comparison.variants:
            names = [name for name, who in of_floor.items() if variant in who]
            if names:
                more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
                lines.setdefault(variant, []).append(f"no better than {floor}: {', '.join(names[:NAMED])}{more}")
    for variant, runs in comparison.variants.items():
        if count := sum(bool(run.alarms) for run in runs):
            lines.setdefault(variant, []).append(f"signs of a collapse in {count} of {len(runs)}")
    return lines
