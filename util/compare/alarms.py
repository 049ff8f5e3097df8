"""Signs of a collapse in the files of a run: what training warned of, found again in what it kept."""

from collections.abc import Iterable, Mapping
from dataclasses import make_dataclass
from typing import Any

from util.compare.artefacts import finite_number
from util.training.collapse import CollapseDetector

READ = ("gan_mode", "z_dim", "label_shuffling")  # options that the detector reads losses by


def alarms_of(
    options: Mapping[str, Any],
    facts: Mapping[str, Any],
    losses: Iterable[Mapping[str, Any]],
    evaluations: Iterable[Mapping[str, Any]],
) -> tuple[str, ...]:
    """A line for each, without what to try.

    Args:
        facts: run.json.
        losses: records of metrics.jsonl; ``evaluations`` those of evaluations.jsonl.
    """
    told = {name: options[name] for name in READ if name in options} | {"gan_mode": str(options.get("gan_mode"))}
    total = finite_number(facts.get("total_steps")) or finite_number(facts.get("steps")) or 1
    detector = CollapseDetector(make_dataclass("Told", told)(**told), int(total))
    for record in losses:
        if (step := finite_number(record.get("step"))) is not None:
            detector.see_losses(int(step), {name: finite_number(value) for name, value in record.items()})
    for record in evaluations:
        if (step := finite_number(record.get("step"))) is not None:
            detector.see_diversity(int(step), finite_number(record.get("diversity")))
    return tuple(detector.warnings.values())
