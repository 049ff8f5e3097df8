"""Images from captions beside real ones: what a judge of captions and CLIP make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.judges import CaptionJudge
from evaluation.metrics.shared.clip_score import Clip
from evaluation.samples import MEMORY, READ, RealImages, divided_otherwise
from options import UserError
from util.caption_scores import DEVIATION, ROWS, CaptionScores, Seen, score_captions
from util.config import saved_options
from util.pages.samples import decimals
from util.pages.sections import ARROWS
from util.seeding import derive

IDS = "r_precision_ids.npz"


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


def add_scores(album: Any, data: CaptionData, judge: CaptionJudge, results: dict[str, Any]) -> tuple[Seen, Seen, Seen]:
    """The scores of ``--caption_judge``, on the page, in ``results`` and printed; pools of R-precision in a file.

    Returns:
        what the judge saw in the samples, in training and in held-out pictures.
    """
    opt = album.model.opt
    fake = judge.judge(album.levels, album.captions, *album.meaning)
    train, held = (judge.judge(some.images, some.captions, some.said, some.shown) for some in (data.train, data.held))
    scores = score_captions(
        fake,
        held,
        list(judge.attributes),
        torch.Generator().manual_seed(derive(opt.seed, "scores")),
        train,
        (Path(judge.run).name, judge.digest),
    )
    pools: dict[str, Any] = {row: ids.numpy() for row, ids in scores.ids.items()}
    np.savez(album.files.note(IDS), **pools)
    remarks = [*scores.remarks, data.images().remark(), *warnings(judge, data, opt)]
    remarks.append(
        f"whose captions were each picture's pool, its own first, is in {IDS}: of generated and shuffled rows of "
        "captions.json, of real pictures their places in the order of the data"
    )
    results["judge"] = {"run": judge.run, "sha256": judge.digest, "features": judge.features}
    results["scores"] = {**scores.as_dict(), "remarks": remarks}
    table_of_scores(album.page, scores, judge, remarks)
    for row, values in scores.values.items():
        print(f"{row}: " + ", ".join(f"{name} {decimals(value)}" for name, value in values.items()))
    for remark in remarks:
        print(remark)
    return fake.seen, train.seen, held.seen


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


def table_of_scores(page: Any, scores: CaptionScores, judge: CaptionJudge, remarks: Sequence[str]) -> None:
    names = {name: better for name, better in scores.better.items() if name != DEVIATION}
    rows: dict[str, Sequence[float | str]] = {}
    for row, values in scores.values.items():
        cells: dict[str, float | str] = {name: values[name] for name in names}
        precision = next(name for name in names if name.startswith("R-precision"))
        if np.isfinite(values[DEVIATION]):
            cells[precision] = f"{values[precision]:.3f} \u00b1 {values[DEVIATION]:.3f}"
        rows[f"{ROWS[row]} ({scores.counts[row]:,})"] = list(cells.values())
    head = [f"{name} {ARROWS[better]}" if better else name for name, better in names.items()]
    page.add_table("Scores", f"by the judge {Path(judge.run).name}", head, rows, [
        "of attributes: part of the pictures in which the judge sees what the caption says; all is everything it says",
        "variety: distance of two pictures of a caption, in parts of that of held-out ones",
        *remarks,
    ])  # fmt: skip


def add_clip(album: Any, data: CaptionData | None, clip: Clip, results: dict[str, Any]) -> None:
    """CLIP score of the samples; of real pictures and of shuffled captions, where there are any, to read it by."""
    opt, captions, encoder = album.model.opt, album.captions, album.model.encoder
    rows = {"generated": (album.levels, captions)}
    if data is not None and album.meaning is not None:
        held = data.held
        rows["held-out"] = held.images[: len(captions)], held.captions[: len(captions)]
    if len(set(captions)) > 1:
        order = torch.randperm(len(captions), generator=torch.Generator().manual_seed(derive(opt.seed, "clip")))
        rows["shuffled"] = album.levels, [captions[i] for i in order.tolist()]
    found = {row: clip(images, texts) for row, (images, texts) in rows.items()}
    results["clip"] = {"model": opt.clip, "sha256": clip.digests, **found}
    cells = {f"{ROWS[row]} ({len(rows[row][1]):,})": [value] for row, value in found.items()}
    notes = ["0 to 100; pictures unlike photographs mean little to CLIP; comparable with the same weights only"]
    if set(clip.digests.values()) & set(getattr(encoder, "digests", {}).values()):
        notes.append(
            f"the generator learnt from what these very weights make of captions ({encoder.name}): its pictures may "
            "please this CLIP more than others"
        )
        print(f"CLIP score: {notes[1]}")
    album.page.add_table("CLIP score", f"by {clip.name}", [f"CLIP score {ARROWS['higher']}"], cells, notes)
    print(f"CLIP score ({clip.name}): " + ", ".join(f"{row} {decimals(value)}" for row, value in found.items()))
