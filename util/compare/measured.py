"""Whether values of different runs were measured alike: only then can one be ahead of another."""

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from util.compare.run import ComparedRun, finite_number

COUNTS = ("images", "pairs", "reference")  # of an entry: what was judged, and the real images beside it
# Options that say which images a run is trained with and judged on.
DATA = (
    *("dataroot", "A", "B", "dataset_mode", "direction", "crop_size", "source", "classes_used", "caption_file"),
    "value_range",
    *("source_font", "target_font", "pairs", "charset", "held_out"),
    *("test_fraction", "test_characters", "split_seed"),
)


def data_of(run: ComparedRun, options: Mapping[str, Any] | None = None) -> dict[str, str]:
    """{option: value as text} of a run's data, as far as it is known."""
    options = run.options if options is None else options
    found = {key: options[key] for key in DATA if options.get(key) not in (None, "", [], ())}
    if "split_seed" in options:  # none is --seed, see data/font_dataset.py
        found["split_seed"] = options.get("seed", run.seed) if options["split_seed"] is None else options["split_seed"]
    for key in found.keys() & {"dataroot", "A", "B"}:
        found[key] = os.path.normpath(str(found[key]))
    return {key: str(value) for key, value in found.items()}


def counts_of(entry: Mapping[str, Any]) -> str:
    """ "400 images, 400 reference"; empty where an entry does not tell."""
    return ", ".join(f"{count:,.0f} {key}" for key in COUNTS if (count := finite_number(entry.get(key))) is not None)


def extractor_of(entry: Mapping[str, Any]) -> str:
    """The extractor, and how images were resized for it; empty where none was used."""
    name, resize = entry.get("extractor"), entry.get("resize")
    return f"{name}, resized {resize}" if name and resize not in (None, "", "none") else str(name or "")


def differences(variants: Mapping[str, Sequence[ComparedRun]], name: str, label: str) -> list[str]:
    """In what the measurements of a value differ between variants; empty where it can be compared.

    Each seed may have images of its own: runs of one seed are held against each other, and all runs only where two
    variants have no seed in common.
    """
    there = {
        variant: [run for run in runs if run.state != "failed" and math.isfinite(run.values(label).get(name, math.nan))]
        for variant, runs in variants.items()
    }
    reasons: dict[str, None] = {}
    for ones, others in itertools.combinations(there.values(), 2):
        shared = {run.seed for run in ones} & {run.seed for run in others}
        for run, other in itertools.product(ones, others):
            told = {extractor_of(one.entries(label)[name]) for one in (run, other)} - {""}
            if len(told) > 1:
                reasons["different extractors"] = None
            if len({one.source(label) for one in (run, other)}) > 1:
                reasons["tests beside evaluations while training"] = None
            if not shared or run.seed == other.seed:
                reasons |= dict.fromkeys(_test_sets(run, other, name, label))
    return list(reasons)


def _test_sets(run: ComparedRun, other: ComparedRun, name: str, label: str) -> list[str]:
    """In what the images differ that two runs were judged on, as far as both tell."""
    found = []
    one, two = run.entries(label)[name], other.entries(label)[name]
    both = [(finite_number(one.get(key)), finite_number(two.get(key))) for key in COUNTS]
    if any(a is not None and b is not None and a != b for a, b in both):
        found.append("different numbers of images")
    mine, its = _judged_on(run, label), _judged_on(other, label)
    if any(mine[key] != its[key] for key in mine.keys() & its.keys()):
        found.append("different data")
    return found


def _judged_on(run: ComparedRun, label: str) -> dict[str, str]:
    tested = run.tested if run.source(label) == "test" else {}
    return data_of(run, {**run.options, **tested}) | {"scale": str(tested.get("scale") or "native")}
