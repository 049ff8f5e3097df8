"""Whether pictures show what their captions say, attribute by attribute."""

from collections.abc import Sequence
from typing import Any

from evaluation.metrics.base_captioned import CaptionedMetric, Judged
from evaluation.metrics.shared.captions import attribute_accuracy


class AttributesMetric(CaptionedMetric):
    """Part of the pictures in which the judge sees what the caption says: of each attribute, and of all of them.

    Args:
        names: of the attributes, in the order of the judge's answers; numbers without them.
    """

    def __init__(self, opt: Any = None, names: Sequence[str] | None = None) -> None:
        super().__init__(opt)
        self.names = names

    def compare(self, judged: Judged) -> dict[str, float]:
        names = self.names
        if names is None:
            names = [f"attribute {a + 1}" for a in range(judged.said.shape[1])]
        return attribute_accuracy(judged.seen.answers, judged.said, names) if names else {}
