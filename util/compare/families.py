"""Families of variants: what a method is told and in which direction it translates, so that like stands by like."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from util.compare.run import ComparedRun, finite_number, group

PAIRS = "sees pairs"  # whatever else a method is: it was told the truth, so it is never ranked with others
OTHER = "other methods"
FEW = 6  # variants that stand in the order in which they are named, and need no filter


def with_families(
    runs: Sequence[ComparedRun],
    declared: Callable[[str], str],
    named: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
) -> list[ComparedRun]:
    """The runs, each with the family of its variant and with the sentence that a recipe has for it.

    More than a few variants are sorted by family.

    Args:
        declared: name of a method -> the family that its class says; empty where it is not one of ours.
        named: variant -> its family, in the words of a recipe, which win.
        notes: variant -> a sentence.
    """
    families = {}
    for variant, mine in group(runs).items():
        first = next((run for run in mine if run.options), mine[0])
        families[variant] = (named or {}).get(variant) or _of_options(first, declared) or OTHER
    told = [replace(run, family=families[run.variant], note=(notes or {}).get(run.variant, "")) for run in runs]
    if len(families) <= FEW:
        return told
    order = list(dict.fromkeys([*(named or {}).values(), *families.values()]))
    return sorted(told, key=lambda run: order.index(run.family))


def _of_options(run: ComparedRun, declared: Callable[[str], str]) -> str:
    """What a run was told counts before what its class says: cut with --lambda_L1 sees pairs."""
    return PAIRS if told_pairs(run) else declared(str(run.options.get("model", "")))


def told_pairs(run: ComparedRun) -> bool:
    """Whether a run was told what its images should become."""
    return bool(finite_number(run.options.get("lambda_L1"))) or run.family == PAIRS
