"""What losses are read by: the value of guessing, and the least there is; each objective has a function of its own."""

from collections.abc import Mapping


def weighted_levels(levels: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The levels of losses that are one objective with these weights; a loss without weight is not computed."""
    return {name: {level: w * value for level, value in levels.items()} for name, w in weights.items() if w}
