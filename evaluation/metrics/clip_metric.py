"""How well pictures fit their captions, where CLIP is the judge."""

import math

from evaluation.metrics.base_captioned import CaptionedMetric, Judged
from evaluation.metrics.shared.clip_score import clip_score


class ClipMetric(CaptionedMetric):
    """CLIP score, 0 to 100, of pictures and captions that CLIP embedded: see :class:`.shared.clip_score.Clip`.

    Of another judge's vectors it is another measure: :meth:`.shared.clip_score.Clip.judge` gives CLIP's.
    """

    def compare(self, judged: Judged) -> dict[str, float]:
        return {"CLIP score": clip_score(judged.seen.embedding, judged.captions) if len(judged) else math.nan}
