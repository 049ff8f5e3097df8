"""Whether glyphs look like the font they should be of."""

from evaluation.metrics.base_judged import JudgedMetric


class StyleMetric(JudgedMetric):
    """Accuracy of a judge of styles on fakes and on the real glyphs.

    Its judge is to be trained on training characters alone, and be no part of the model: a discriminator's own
    category head would judge what it was trained to accept.
    """

    judge = "style"
    plugin = "style"

    def compute(self) -> dict[str, float]:
        return {"style": self.accuracy("fake"), "style of real": self.accuracy("real")}

    def remarks(self) -> list[str]:
        count, unknown = len(set(self.classes)), self.unknown()
        lines = [f"the style judge knows {count} style{'s' * (count != 1)}"]
        if unknown:
            numbers = ", ".join(map(str, unknown))
            lines.append(f"it does not know the styles numbered {numbers}, whose glyphs count as errors")
        return lines
