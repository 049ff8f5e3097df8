"""Scores of pictures made from captions, between those of real pictures and of captions that were shuffled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from evaluation.metrics.attributes_metric import AttributesMetric
from evaluation.metrics.base_captioned import Judged, Seen
from evaluation.metrics.r_precision_metric import DEVIATION, RPrecisionMetric
from evaluation.metrics.shared.captions import POOL, UNSAID, first_of_each, others, variety
from evaluation.metrics.shared.distances import kid

__all__ = ["DEVIATION", "ROWS", "CaptionScores", "Judged", "Seen", "score_captions"]

KID, VARIETY = "KID x 1000", "variety"
# kind of row -> what it stands for on a page
ROWS = {
    "generated": "generated",
    "held-out": "held-out real pictures (ceiling)",
    "training": "training pictures",
    "shuffled": "generated, captions shuffled (floor)",
}


@dataclass(frozen=True)
class CaptionScores:
    """``values[row][name]``, NaN where a value is not defined; rows are those of ``ROWS``.

    Attributes:
        better: name -> where its values improve; see util.pages.sections.ARROWS.
        counts: pictures of each row.
        ids: of each row (N, P) int64, whose captions were each picture's pool, its own first: places among those of
            the row, and for shuffled ones among those of the generated.
        remarks: what a reader must know, a line each.
    """

    values: dict[str, dict[str, float]]
    better: dict[str, str]
    counts: dict[str, int]
    ids: dict[str, torch.Tensor]
    remarks: list[str]

    def as_dict(self) -> dict[str, dict[str, float | int | None]]:
        """For JSON: None where a value is not defined."""
        rows = {}
        for row, values in self.values.items():
            finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
            rows[row] = {"pictures": self.counts[row], **finite}
        return rows


def score_captions(
    fake: Judged,
    held: Judged,
    names: Sequence[str],
    generator: torch.Generator,
    train: Judged | None = None,
    judge: tuple[str, str] = ("judge", ""),
) -> CaptionScores:
    """Generated pictures, real ones as what is reachable, and shuffled captions as what means nothing.

    - each attribute, and all of them: part of the pictures in which the judge sees what the caption says.
    - R-precision: see metrics/shared/captions.py; +- is the deviation of ten folds. All rows have pools of one size.
    - KID, 1000 times, to the held-out pictures; that of the held-out ones is of one half to the other.
    - variety: distance of two pictures of a caption as a part of that of held-out ones.

    Args:
        fake: of the captions of ``held``, or of some of them, each any number of times.
        names: of the attributes; none where data have none.
        generator: draws the pools and halves, and shuffles.
        train: training pictures; their row tells what the judge makes of data that a model has seen.
        judge: its name and sha256.
    """
    pictures = {"generated": fake, "held-out": held}
    pictures |= {} if train is None else {"training": train}
    order = torch.randperm(len(fake), generator=generator)
    pictures["shuffled"] = fake.with_captions(order)
    pool = min(smallest_pool(row) for row in pictures.values())
    label = f"R-precision@1/{pool}"
    attributes, precision = AttributesMetric(names=names), RPrecisionMetric(generator=generator, pool=pool)
    values, ids, shared = {}, {}, 0
    for name, row in pictures.items():
        seen = row.seen
        found = precision.measure(row)
        varied, count = variety(seen.features, row.said, held.seen.features, held.said)
        ids[name] = order[found.ids] if name == "shuffled" else found.ids
        if name == "generated":
            shared = count
        values[name] = {
            **attributes.compare(row),
            **precision.named(found),
            KID: 1000 * distance(name, seen, held.seen, generator),
            VARIETY: varied,
        }
    better = dict.fromkeys(names, "higher") | ({"all": "higher"} if names else {})
    better |= {label: "higher", DEVIATION: "", KID: "lower", VARIETY: "one"}
    counts = {name: len(row) for name, row in pictures.items()}
    lines = remarks(fake, held, names, label, judge)
    if not shared:
        lines.append("variety: no caption has two generated and two held-out pictures")
    else:
        lines.append(f"variety: of {shared:,} captions that have two generated and two held-out pictures")
    return CaptionScores(values, better, counts, ids, lines)


def distance(name: str, seen: Seen, held: Seen, generator: torch.Generator) -> float:
    """KID of a row's pictures; NaN where the captions alone are others."""
    if name == "shuffled":
        return math.nan
    if name == "held-out":
        order = torch.randperm(len(held), generator=generator)
        return kid(*(held.features[half] for half in order.chunk(2))) if len(held) > 1 else math.nan
    return kid(seen.features, held.features)


def smallest_pool(pictures: Judged) -> int:
    counts = others(pictures.said[first_of_each(pictures.said)], pictures.shown)
    return min(POOL, 1 + (int(counts.min()) if len(counts) else 0))


def remarks(fake: Judged, held: Judged, names: Sequence[str], label: str, judge: tuple[str, str]) -> list[str]:
    """What the numbers are of, and what makes them doubtful."""
    meanings = len(first_of_each(fake.said))
    reader = f"the judge {judge[0]}" + f", sha256 {judge[1]}" * bool(judge[1])
    lines = [
        f"{label}: captions and pictures are read by {reader}; pools are drawn from {meanings:,} captions of different "
        "meaning, without those that are true of the picture; with other encoders it is another measure, so not "
        "comparable with published R-precision",
    ]
    if int(label.rpartition("/")[2]) < POOL:
        lines.append(f"{label}: some picture has no {POOL - 1} captions that are not true of it")
    unsaid = [name for a, name in enumerate(names) if bool((fake.said[:, a] == UNSAID).all())]
    if unsaid:
        lines.append(f"no caption says anything of {', '.join(unsaid)}")
    lines.append(f"KID: {len(fake):,} generated against {len(held):,} held-out pictures, in the judge's features")
    features = fake.seen.features
    if len(features) and bool((features == features[:1]).all()):
        lines.append("the judge sees one and the same picture in all that were generated, so there is no KID")
    return lines
