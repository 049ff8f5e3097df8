"""What may be concluded from a comparison and what may not, in sentences that its numbers dictate."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from util.compare.failing import behind
from util.compare.finding import NAMED, Finding, listed
from util.compare.measured import counts_of, data_of, extractor_of
from util.compare.run import ComparedRun, finite_number
from util.compare.table import WORDS, Comparison, costs_of, span, spreads_overlap
from util.compare.wrong import gone_wrong
from util.table import REAL, extent

TOLERANCE = 0.01  # budgets that differ by less count as equal
FEW = 5  # seeds below which a spread is itself hardly known


def findings(comparison: Comparison) -> list[Finding]:
    """What went wrong comes first, then what may be said, then its limits."""
    return [*gone_wrong(comparison), *_best_two(comparison), *_limits(comparison)]


def supervision(run: ComparedRun) -> str:
    """What a run was told besides images of both sides, as far as its options say; empty where nothing."""
    told = []
    if finite_number(run.options.get("lambda_L1")):
        told.append("true targets")
    if "fake_labels" in run.options:  # an option of class-conditional models alone
        told.append("class labels")
    if run.options.get("dataset_mode") == "caption":
        told.append("captions")
    return " and ".join(told)


def _unmeasured(comparison: Comparison) -> list[Finding]:
    """Values that no run of a variant was measured by, as those of side A where a method makes none."""
    lacking: dict[str, dict[str, None]] = {}
    for name, label in itertools.product(comparison.names, comparison.labels):
        there = {
            variant: [run.entries(label) for run in runs if run.entries(label)]
            for variant, runs in comparison.variants.items()
        }
        without = [v for v, entries in there.items() if entries and not any(name in entry for entry in entries)]
        if without:
            lacking.setdefault(", ".join(map(comparison.title_of, without)), {})[name] = None
    if not lacking:
        return []
    details = "; ".join(f"{variants}: {listed(names)}" for variants, names in lacking.items())
    return [Finding("limit", "Values that some variants do not have.", f"{details}.")]


def _best_two(comparison: Comparison) -> list[Finding]:
    """The two best variants of each value: whether they differ by more than they spread."""
    label = comparison.labels[0] if comparison.labels else ""
    clear, within, unknown, unlike = list[str](), list[str](), list[str](), dict[str, list[str]]()
    least, title = FEW, comparison.title_of
    for name, peers in itertools.product(comparison.names if label else (), comparison.peers):
        if reasons := comparison.differences(name, label, peers):
            unlike.setdefault(", ".join(reasons), []).append(name)
        if not comparison.leaders(name, label, peers):
            continue
        (first, one), (second, other) = comparison.ranked(name, label, peers)[:2]
        places = comparison.column(name)
        pair = f"{title(first)} {one.shown(places)}, then {title(second)} {other.shown(places)}"
        pair += ", of those that see pairs" * (len(comparison.peers) > 1 and peers == comparison.peers[1])
        meets = spreads_overlap(one, other)
        least = min(least, len(one.values), len(other.values)) if meets is False else least
        (unknown if meets is None else within if meets else clear).append(f"{name}: {pair}")
    found = []
    if clear:
        few = " With so few seeds that is a hint, no proof." if least < FEW else ""
        text = f"The best is ahead of the second by more than the two spread over seeds.{few}"
        found.append(Finding("yes", text, f"{listed(clear, '; ')}."))
    if within:
        text = "No winner: mean \u00b1 spread of the best two overlap."
        found.append(Finding("limit", text, f"{listed(within, '; ')}."))
    if unknown:
        text = "No ranking: one of the best two has one seed alone, so no spread, and their order may be chance."
        found.append(Finding("limit", text, f"{listed(unknown, '; ')}."))
    if unlike:
        text = "No ranking: variants were not judged alike."
        how = "; ".join(f"{listed(names)}: {reasons}" for reasons, names in unlike.items())
        found.append(Finding("limit", text, f"{how}."))
    if label and not found and len(comparison.variants) > 1:
        apart = " that were told alike" * (len(comparison.peers) > 1)
        text = f"Nothing is ranked: no value that has a direction is known of two variants{apart}."
        found.append(Finding("limit", text))
    if not comparison.names:
        found.append(Finding("limit", "No run has been judged: there are curves, costs and images, no values."))
    return found


def _limits(comparison: Comparison) -> list[Finding]:
    runs = [run for run in comparison.runs if run.state not in ("missing", "failed")]
    found = [
        _behind(comparison),
        _floors(comparison),
        _supervision(comparison),
        _budgets(comparison, runs),
        _chosen(comparison, runs),
        _measured(comparison, "Values are of different numbers of images, which some depend on.", counts_of),
        _measured(comparison, "Values were measured with different extractors and cannot be compared.", extractor_of),
        *(_sources(comparison, label) for label in comparison.labels),
        *_unmeasured(comparison),
        _data(runs),
        _same("Seconds and memory cannot be compared: machines or threads differ.", runs, _machine),
        _incomparable(comparison),
    ]
    return [finding for finding in found if finding is not None]


def _behind(comparison: Comparison) -> Finding | None:
    """Variants that images without learning beat."""
    told: dict[str, list[str]] = {}
    label = comparison.labels[0] if comparison.labels else ""
    for (floor, name), worse in behind(comparison).items():
        all_of_them = len(worse) == len(comparison.ranked(name, label)) > 1
        those = "every variant" + " that has this value" * (len(worse) < len(comparison.variants))
        who = those if all_of_them else listed(map(comparison.title_of, worse))
        ends = comparison.floors[floor][name]
        told.setdefault(f"{floor}, than {who}", []).append(f"{name} {span(ends, comparison.column(name))}")
    text = "Images that took no learning do better."
    details = "; ".join(f"{what}: {listed(names)}" for what, names in told.items())
    return Finding("limit", text, f"{details}.") if told else None


def _floors(comparison: Comparison) -> Finding | None:
    """Floors of pairs are of the images alone: where they differ, so do the images."""
    pairs = {floor: ends for floor, ends in comparison.floors.items() if not floor.startswith(REAL)}
    differ = [
        f"{name} of {floor} {span(low_high, comparison.column(name))}"
        for floor, values in pairs.items()
        for name, low_high in values.items()
        if low_high[1] - low_high[0] > 1e-3 * max(map(abs, low_high))
    ]
    if not differ:
        return None
    text = "Runs were judged on different images, so the spread is of the images too."
    return Finding("limit", text, f"Their floors differ: {listed(differ[:1])}.")


def _supervision(comparison: Comparison) -> Finding | None:
    groups: dict[str, list[str]] = {}
    for variant, runs in comparison.variants.items():
        options = [run for run in runs if run.options]
        if options:
            groups.setdefault(supervision(options[0]) or "images alone", []).append(comparison.title_of(variant))
    if len(groups) < 2:
        return None
    text = "Models were told different things in training, so a better value may be what more knowledge is worth."
    details = "; ".join(f"{what}: {listed(names)}" for what, names in groups.items()) + "."
    apart = " Those that see pairs are ranked among themselves alone." * (len(comparison.peers) > 1)
    return Finding("limit", text, details + apart)


def _budgets(comparison: Comparison, runs: Sequence[ComparedRun]) -> Finding | None:
    costs = [(run, costs_of(run)) for run in runs]
    steps = [cost["steps"] for _, cost in costs if cost["steps"]]
    own = comparison.own_clock  # which a busy machine does not lengthen
    spent = [(cost["steps"] or 0) * (cost["CPU s/step"] or 0) if own else cost["training"] for _, cost in costs]
    hours = [took for took in spent if took]
    images = [n for run in runs if (n := run.fact("images"))]
    if not steps or _equal(steps):
        return None
    known = [(run.variant, cost["steps"]) for run, cost in costs if cost["steps"] is not None]
    ranges = {v: extent(count for variant, count in known if variant == v) for v in comparison.variants}
    details = f"{', '.join(f'{comparison.title_of(v)} {ends}' for v, ends in ranges.items() if ends)} steps."
    if len(ranges) > NAMED:
        told = sorted((count, comparison.title_of(variant)) for variant, count in known)
        fewest, most = (f"{count:,.0f} of {title}" for count, title in (told[0], told[-1]))
        details = f"From {fewest} to {most}; the table has all."
    if len(images) == len(steps) and _equal(images):
        return Finding("limit", "Steps differ; the images that were seen do not.", details)
    if len(hours) == len(steps) and _equal(hours, 0.1):
        of = " of the processor" * own
        return Finding("limit", f"The budget was time: hours{of} are equal, steps are not.", details)
    return Finding("limit", "Budgets differ: a better value may be what more training is worth.", details)


def _chosen(comparison: Comparison, runs: Sequence[ComparedRun]) -> Finding | None:
    elsewhere = [run.options.get("eval_phase") == "val" and run.source("best") == "test" for run in runs]
    if "best" not in comparison.labels or (elsewhere and all(elsewhere)):
        return None
    best = [found for run in runs if isinstance(found := run.facts.get("best"), dict) and found.get("metric")]
    judged = f" by {listed(sorted({str(found['metric']) for found in best}))}" if best else ""
    text = f"The best checkpoints were chosen{judged} on the images that they are reported on."
    return Finding("limit", text, "Their values are too good to be expected of new images; those of the last are not.")


def _incomparable(comparison: Comparison) -> Finding | None:
    scores = [run.entries(label) for run in comparison.runs for label in comparison.labels]
    names = {name for entries in scores for name, entry in entries.items() if entry.get("comparable") is False}
    if not names:
        return None
    text = f"{listed(sorted(names))}: of another extractor than published values, not comparable with those."
    return Finding(
        "limit", text, "Read them beside their floor." if any(f.startswith(REAL) for f in comparison.floors) else ""
    )


def _same(text: str, runs: Sequence[ComparedRun], fact: Callable[[ComparedRun], object]) -> Finding | None:
    """The sentence, where runs that know a fact disagree about it."""
    known = dict.fromkeys(str(value) for run in runs if (value := fact(run)) not in (None, ""))
    return Finding("limit", text, f"{listed(known, '; ')}.") if len(known) > 1 else None


def _measured(comparison: Comparison, text: str, fact: Callable[[Mapping[str, Any]], str]) -> Finding | None:
    """The sentence, where the entries of one value disagree about a fact, and which variants have which."""
    told: dict[str, dict[str, None]] = {}
    for label, name in itertools.product(comparison.labels, comparison.names):
        known: dict[str, dict[str, None]] = {}
        for run in comparison.runs:
            entry = run.entries(label).get(name, {}) if run.state != "failed" else {}
            if finite_number(entry.get("value")) is not None and (said := fact(entry)):
                known.setdefault(said, {})[run.title] = None
        if len(known) > 1:
            told.setdefault("; ".join(f"{said} ({listed(who)})" for said, who in known.items()), {})[name] = None
    details = " ".join(f"{listed(names)}: {how}." for how, names in told.items())
    return Finding("limit", text, details) if told else None


def _sources(comparison: Comparison, label: str) -> Finding | None:
    tested, evaluated = (
        dict.fromkeys(run.title for run in comparison.runs if run.state != "failed" and run.source(label) == source)
        for source in ("test", "evaluation")
    )
    if not evaluated:
        return None
    if not tested and evaluated:
        text = f"Values of the {WORDS[label]} are of evaluations while training; no run has a test."
        return Finding("limit", text)
    text = f"Values of the {WORDS[label]} are of tests for some runs, of evaluations in training for others."
    return Finding("limit", text, f"test.py: {listed(tested)}; while training: {listed(evaluated)}.")


def _data(runs: Sequence[ComparedRun]) -> Finding | None:
    """Options of the data that differ, where it is not by seed alone."""
    told = []
    known = [(run, data_of(run)) for run in runs if run.options]
    for key in dict.fromkeys(key for _, data in known for key in data):
        seeds: dict[int, set[str]] = {}
        for run, data in known:
            if key in data:
                seeds.setdefault(run.seed if key == "split_seed" else 0, set()).add(data[key])
        if any(len(values) > 1 for values in seeds.values()):
            who: dict[str, dict[str, None]] = {}
            for run, data in known:
                if key in data:
                    who.setdefault(data[key], {})[run.title] = None
            told.append(f"{key} " + ", ".join(f"{value} ({listed(labels)})" for value, labels in who.items()))
    return Finding("limit", "Runs were trained on different data.", f"{'; '.join(told)}.") if told else None


def _machine(run: ComparedRun) -> str:
    return ", ".join(f"{key} {run.facts[key]}" for key in ("device", "threads") if run.facts.get(key))


def _equal(values: Sequence[float], tolerance: float = TOLERANCE) -> bool:
    return max(values) - min(values) <= tolerance * max(values)
