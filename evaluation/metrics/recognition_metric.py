"""Whether characters can still be read."""

from evaluation.metrics.base_judged import JudgedMetric
from util.fonts.characters import character_name


class RecognitionMetric(JudgedMetric):
    """Accuracy of a recogniser of characters on fakes, on the real glyphs, and the one over the other.

    A cursive hand is hard to read even when it is real, so the quotient is what a model answers for. A copied source
    is perfectly legible: read it beside ``style``.
    """

    judge = "character"
    plugin = "recognition"

    def compute(self) -> dict[str, float]:
        fake, real = self.accuracy("fake"), self.accuracy("real")
        quotient = fake / real if real > 0 else float("nan")
        return {"recognition": fake, "recognition of real": real, "recognition / real": quotient}

    def remarks(self) -> list[str]:
        lines, unknown = [f"the recogniser knows {len(set(self.classes))} characters"], self.unknown()
        if unknown:
            first = " ".join(map(character_name, unknown[:8])) + " ..." * (len(unknown) > 8)
            lines.append(f"it does not know {len(unknown)} of these {len(self.asked)}, which count as errors: {first}")
        return lines
