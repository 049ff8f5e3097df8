"""Images from captions beside real ones: what a judge of captions and CLIP make of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.extractors.trained import DOMAIN
from evaluation.judges import CaptionJudge
from evaluation.metrics.attributes_metric import AttributesMetric
from evaluation.metrics.base_captioned import Judged, Seen
from evaluation.metrics.kid_metric import KidMetric
from evaluation.metrics.r_precision_metric import RPrecisionMetric
from evaluation.metrics.shared.captions import POOL, first_of_each, others, variety
from evaluation.metrics.shared.observed import Observed
from evaluation.samples import MEMORY, READ, RealImages, divided_otherwise
from evaluation.sets import Description
from options import UserError
from util.attributes import UNSAID
from util.config import saved_options
from util.table import Row, Table, plural

KID, VARIETY = "KID-domain x 1000", "variety"
# rows of the table
GENERATED, HELD, TRAINING = "generated", "held-out real pictures (ceiling)", "training pictures"
SHUFFLED = "generated, captions shuffled (floor)"


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


def caption_doubts(judge: CaptionJudge, data: CaptionData, opt: Any) -> list[str]:
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


def score_captions(
    fake: Judged,
    held: Judged,
    names: Sequence[str],
    generator: torch.Generator,
    train: Judged | None = None,
    judge: tuple[str, str] = ("judge", ""),
) -> tuple[Table, dict[str, torch.Tensor]]:
    """Generated pictures, real ones as what is reachable, and shuffled captions as what means nothing.

    - each attribute, and all of them: part of the pictures in which the judge sees what the caption says.
    - R-precision: see metrics/shared/captions.py; its deviation is that of ten folds. All rows have pools of one size.
    - KID, 1000 times, to the held-out pictures; that of the held-out ones is of one half to the other.
    - variety: distance of two pictures of a caption as a part of that of held-out ones.

    Args:
        fake: of the captions of ``held``, or of some of them, each any number of times.
        names: of the attributes; none where data have none.
        generator: draws the pools and halves, and shuffles.
        train: training pictures; their row tells what the judge makes of data that a model has seen.
        judge: its name and sha256.

    Returns:
        the table, and of each row (N, P) int64, whose captions were each picture's pool, its own first: places among
        those of the row, and for shuffled ones among those of the generated.
    """
    pictures = {GENERATED: fake, HELD: held}
    pictures |= {} if train is None else {TRAINING: train}
    order = torch.randperm(len(fake), generator=generator)
    pictures[SHUFFLED] = fake.with_captions(order)
    pool = min(smallest_pool(row) for row in pictures.values())
    label = f"R-precision@1/{pool}"
    attributes, precision = AttributesMetric(names=names), RPrecisionMetric(generator=generator, pool=pool)
    rows, ids, shared = [], {}, 0
    for name, row in pictures.items():
        seen = row.seen
        found = precision.measure(row)
        varied, count = variety(seen.features, row.said, held.seen.features, held.said)
        ids[name] = order[found.ids] if name == SHUFFLED else found.ids
        if name == GENERATED:
            shared = count
        distance = distance_to(name, seen, held.seen, generator)
        values = {**attributes.compare(row), label: found.mean, KID: distance.get("KID x 1000", math.nan)}
        deviations = {label: found.deviation, KID: distance.get("KID x 1000 +-", math.nan)}
        rows.append(
            Row(
                label=name,
                kind="result" if name == GENERATED else "floor",
                values=values | {VARIETY: varied},
                deviations=deviations,
                count=len(row),
            )
        )
    better = dict.fromkeys(names, "higher") | ({"all": "higher"} if names else {})
    better |= {label: "higher", KID: "lower", VARIETY: "one"}
    lines = remarks(fake, held, names, label, judge)
    if not shared:
        lines.append("variety: no caption has two generated and two held-out pictures")
    else:
        lines.append(f"variety: of {shared:,} captions that have two generated and two held-out pictures")
    of = f"{plural(len(fake), 'image')} against {len(held):,}"
    seen_by = Description(DOMAIN, f"judge of captions {judge[0]}" + f", sha256 {judge[1][:12]}" * bool(judge[1]))
    facts = {"reference": len(held), "extractor": seen_by.name, "resize": seen_by.resize, "comparable": False}
    return Table(rows=rows, better=better, of=of, remarks=lines, facts=facts, unlike={KID: "KID"}), ids


def distance_to(name: str, seen: Seen, held: Seen, generator: torch.Generator) -> dict[str, float]:
    """KID of a row's pictures and its deviation; nothing where the captions alone are others."""
    if name == SHUFFLED:
        return {}
    if name == HELD:
        order = torch.randperm(len(held), generator=generator)
        halves = [Observed(held.features[half]) for half in order.chunk(2)]
        return KidMetric().compare(halves[1], halves[0]) if len(halves) > 1 else {}
    return KidMetric().compare(Observed(held.features), Observed(seen.features))


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
    features = fake.seen.features
    if len(features) and bool((features == features[:1]).all()):
        lines.append("the judge sees one and the same picture in all that were generated, so there is no KID")
    return lines
