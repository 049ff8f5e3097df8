"""Images from captions beside real ones: what a judge of captions and CLIP make of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.judges import CaptionJudge
from evaluation.metrics.attributes_metric import AttributesMetric
from evaluation.metrics.base_captioned import Judged, Seen
from evaluation.metrics.r_precision_metric import DEVIATION, RPrecisionMetric
from evaluation.metrics.shared.captions import POOL, first_of_each, others, variety
from evaluation.metrics.shared.distances import kid
from evaluation.samples import MEMORY, READ, RealImages, divided_otherwise
from options import UserError
from util.attributes import UNSAID
from util.config import saved_options

KID, VARIETY = "KID x 1000", "variety"
# kind of row -> what it stands for on a page
ROW_NAMES = {
    "generated": "generated",
    "held-out": "held-out real pictures (ceiling)",
    "training": "training pictures",
    "shuffled": "generated, captions shuffled (floor)",
}


@dataclass(frozen=True)
class CaptionData:
    """Real pictures with their captions, as ``dataset.levels`` gives them.

    Attributes:
        asked: of --phase.
        train: training pictures.
        held: held-out pictures: those of --phase, or of test where that is one that training has seen.
        phase: of the held-out pictures.
    """

    asked: Any
    train: Any
    held: Any
    phase: str

    def images(self) -> RealImages:
        """As the search for neighbours wants them; for labels they have what their captions say."""
        train, held = self.train, self.held
        return RealImages(
            (train.images, train.said), (held.images, held.said), {"train": train.there, "test": held.there}
        )


def real_pictures(dataset: Any, phase: str) -> CaptionData | None:
    """The data; None, with a line that says why, where they lack."""
    if not dataset.present:
        print("real pictures and scores are left out: there are no data to compare with; see --dataroot")
        return None
    room = MEMORY // (dataset.channels * dataset.opt.crop_size**2)

    def read(name: str) -> Any:
        return dataset.levels(name, max(1, min(READ["train" if name == "train" else "test"], room)))

    held = phase if phase in ("test", "val") else "test"
    try:
        found = {name: read(name) for name in dict.fromkeys(("train", held, phase))}
    except UserError as error:
        print(f"neighbours and scores are left out: {error}")
        return None
    return CaptionData(found[phase], found["train"], found[held], held)


def warnings(judge: CaptionJudge, data: CaptionData, opt: Any) -> list[str]:
    """What makes scores of this judge, or of these captions, doubtful."""
    lines = []
    if judge.unknown:
        lines.append(f"the judge does not know {', '.join(judge.unknown)}; what shows or says it counts as wrong")
    run = Path(judge.run)
    kept = saved_options({"checkpoints_dir": run.parent, "name": run.name})
    if kept is not None and kept.values.get("phase") == "all":
        drawn = "glyphs" in (kept.values.get("source"), kept.values.get("dataroot"))
        seed = getattr(opt, "draw_seed", None) if drawn else None
        if seed is None:
            lines.append("the judge was trained with --phase all: it has seen held-out pictures, their row is a bound")
        elif seed == kept.values.get("draw_seed"):
            lines.append(
                f"the judge was trained with --phase all and --draw_seed {seed}, which these pictures have too: it "
                "knows these very drawings; test with another --draw_seed"
            )
        else:
            lines.append(
                "the judge was trained with --phase all: it has seen held-out glyphs, in other drawings; their row is "
                "a bound"
            )
    else:
        lines += divided_otherwise(judge.run, opt, "captions.json")
    if data.phase != opt.phase:
        lines.append(f"generated are captions of --phase {opt.phase}; held-out pictures are those of {data.phase}")
    return lines


@dataclass(frozen=True)
class CaptionScores:
    """``values[row][name]``, NaN where a value is not defined; rows are those of ``ROW_NAMES``.

    Attributes:
        better: name -> where its values improve; see util.pages.sections.ARROW_NAMES.
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
