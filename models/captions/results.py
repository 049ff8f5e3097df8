"""What test.py leaves of a model that makes images from captions: samples, and a page of what became of which words."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.captions import (
    GENERATED,
    HELD,
    SHUFFLED,
    TRAINING,
    CaptionData,
    caption_doubts,
    real_pictures,
    score_captions,
)
from evaluation.judges import load_caption_judge
from evaluation.metrics.shared.clip_score import Clip
from evaluation.samples import RealImages, Verdict
from evaluation.testing import Evaluation, refuse_ignored
from models.captions.selection import SLUG, between, doubts, evenly, one_word_apart, rows_in_turn, slug, typed_captions
from models.noise.results import ROWS, STEPS, Album
from models.noise.sampler import slerp
from networks.text import Text
from options import BaseOptions, UserError, option
from util.images import to_bytes
from util.pages.attention_tiles import attention_tiles
from util.pages.captions import CaptionPage, Heard
from util.seeding import derive
from util.table import Row, Table, plural
from util.writing import new_file, write_atomically

SHOWN, SHOWN_TYPED = 10, 50  # captions on the page at most: of the data, and of those that a user gave
IDS = "r_precision_ids.npz"
# rows of the table -> arrays of that file
POOLS = {GENERATED: "generated", HELD: "held-out", TRAINING: "training", SHUFFLED: "shuffled"}


@dataclass(frozen=True, kw_only=True)
class CaptionTestOptions(BaseOptions):
    section = "images from captions: results"
    caption: str | None = option(None, "make images of this caption; without it of those of --phase", per_run=True)
    caption_list: str | None = option(None, "make images of the captions in this file, one a line", per_run=True)
    images_per_caption: int = option(
        8, "images of each --caption, or of each caption that the page shows", least=1, per_run=True
    )
    caption_judge: str | None = option(None, "run folder of a judge of captions, for scores", per_run=True)
    clip: str | None = option(None, "folder of a CLIP model, for the CLIP score; needs the extra text", per_run=True)

    def validate(self) -> None:
        if self.caption is not None and self.caption_list is not None:
            raise UserError(f"--caption_list {self.caption_list}: give either this or --caption")
        typed = self.caption is not None or self.caption_list is not None
        if typed and self.caption_judge is not None:
            flag = "caption" if self.caption is not None else "caption_list"
            raise UserError(
                f"--caption_judge {self.caption_judge}: scores are of the captions of --phase; leave out --{flag}"
            )


def save_samples(model: Any, dataset: Any, engine: Any, folder: Path) -> None:
    """Images, ``samples.npz``, ``captions.json``, ``metrics.json`` and ``index.html`` in place of earlier ones.

    Without data, real pictures, neighbours and scores are left out, with a line that says so. Captions that a user gave
    have none, and a folder of their own: ``captions_latest`` beside ``test_latest``.

    Raises:
        UserError: captions cannot be read or used, --caption_judge does not suit the data, --clip names no CLIP model,
            images are not finite (exit code 3), or files cannot be written (5).
    """
    opt = model.opt
    typed = typed_captions(opt)
    if typed:
        refuse_ignored(opt, ("metrics",), "captions that were typed have no real images to compare with")
        folder = folder.with_name(f"captions_{folder.name.removeprefix(f'{opt.phase}_')}")
    judge: Any = load_caption_judge(opt.caption_judge, dataset.attributes, engine.device) if opt.caption_judge else None
    evaluation = Evaluation(opt, dataset, engine.device, translates=False) if opt.metrics and not typed else None
    clip = Clip(opt.clip, engine.device) if opt.clip else None
    notes = {caption: doubts(model.encoder, caption) for caption in typed}
    for caption, lines in notes.items():
        for line in lines:
            print(f"caption {caption[:SLUG]!r}{'...' * (len(caption) > SLUG)}: {line}", file=sys.stderr)
    data = None if typed else real_pictures(dataset, opt.phase)
    CaptionAlbum(model, dataset, notes, data, clip).save(folder, evaluation, judge)


class CaptionAlbum(Album):
    """Samples of captions.

    Args:
        typed: captions that a user gave, with what there is to know about each; none for those of the data.
        data: real pictures; None where there are none.

    Attributes:
        captions: of the samples, N.
        meaning: (N, A) int64 twice: what these say, and what real pictures of them show; None where it is not known.
    """

    meaning: tuple[torch.Tensor, torch.Tensor] | None = None
    pools: Mapping[str, torch.Tensor] = {}

    def __init__(
        self, model: Any, dataset: Any, typed: dict[str, list[str]], data: CaptionData | None, clip: Clip | None = None
    ):
        self.model, self.dataset, self.typed, self.data, self.clip = model, dataset, typed, data, clip
        self.generator = torch.Generator().manual_seed(derive(model.opt.seed, "samples"))
        self.labels = None
        if typed:
            self.captions = [caption for caption in typed for _ in range(model.opt.images_per_caption)]
            return
        known = data.asked.captions if data is not None else list(dataset.captions or model.fixed_captions)
        rows = rows_in_turn(known, model.opt.num_samples)
        self.captions = [known[row] for row in rows]
        if data is not None:
            self.meaning = data.asked.said[rows], data.asked.shown[rows]

    def kept_options(self) -> Any:
        """With a typed caption that can be written, which as it was typed may be no UTF-8."""
        return replace(self.model.opt, caption=next(iter(self.typed))) if self.model.opt.caption else self.model.opt

    # -- draw, keep ----------------------------------------------------------------------------------------------------

    def draw_samples(self) -> None:
        self.common = self.noise(self.model.opt.images_per_caption)  # of the page: a column is a noise vector
        different = list(dict.fromkeys(self.captions))
        self.z = self.common.repeat(len(different), 1) if self.typed else self.noise(len(self.captions))
        self.levels = self.draw_all(lambda rows: self.model.encode(self.captions[rows]))

    def file_names(self) -> list[str]:
        """Of the samples, below the folder: each caption has a folder of its own."""
        folders = {caption: slug(number, caption) for number, caption in enumerate(dict.fromkeys(self.captions))}
        counts, names = dict.fromkeys(folders, 0), []
        for caption in self.captions:
            names.append(f"samples/{folders[caption]}/{counts[caption]:04d}.png")
            counts[caption] += 1
        return names

    def kept_arrays(self) -> dict[str, Any]:
        return {}

    def keep(self) -> None:
        """``samples/``, ``samples.npz`` and ``captions.json``."""
        super().keep()
        rows = [{"file": file, "caption": text} for file, text in zip(self.paths, self.captions, strict=True)]
        write_atomically(self.files.note("captions.json"), json.dumps(rows, indent=1, ensure_ascii=False))

    def facts(self) -> dict[str, Any]:
        encoder = {"name": self.model.encoder.name, "sha256": self.model.encoder.digest}
        return {"samples": len(self.levels), "captions": len(set(self.captions)), "text encoder": encoder}

    def real(self) -> CaptionData | None:
        return self.data

    # -- judge ---------------------------------------------------------------------------------------------------------

    def compared(self) -> RealImages:
        return self.data.images()

    def judge(self, evaluation: Evaluation | None, judge: Any) -> Verdict:
        verdict = super().judge(evaluation, judge)
        if self.clip is not None:
            self.judged_by_clip(self.clip, verdict)
        return verdict

    def judged(self, judge: Any, verdict: Verdict, evaluation: Evaluation | None) -> Sequence[Any]:
        """The scores of ``--caption_judge``; pools of R-precision in a file."""
        opt, data = self.model.opt, self.data
        assert self.meaning is not None
        fake = judge.judge(self.levels, self.captions, *self.meaning)
        train, held = (
            judge.judge(real.images, real.captions, real.said, real.shown) for real in (data.train, data.held)
        )
        random = torch.Generator().manual_seed(derive(opt.seed, "scores"))
        name = Path(judge.run).name
        table, self.pools = score_captions(fake, held, list(judge.attributes), random, train, (name, judge.digest))
        left = [value for value in table.names if value in verdict.names]
        remarks = [
            "of attributes: part of the pictures in which the judge sees what the caption says; all is everything it "
            "says",
            "variety: distance of two pictures of a caption, in parts of that of held-out ones",
            *table.remarks,
            *([f"{', '.join(left)}: as --extractor sees them, above"] if left else []),
            *caption_doubts(judge, data, opt),
            f"whose captions were each picture's pool, its own first, is in {IDS}: of generated and shuffled rows of "
            "captions.json, of real pictures their places in the order of the data",
        ]
        verdict.facts["judge"] = {"run": judge.run, "sha256": judge.digest, "features": judge.features}
        table = table.only(value for value in table.names if value not in left)
        verdict.add("Scores", replace(table, remarks=remarks), f"by the judge {name}")
        return fake.seen, train.seen, held.seen

    def judged_by_clip(self, clip: Clip, verdict: Verdict) -> None:
        """CLIP score of the samples; of real pictures and of shuffled captions, where there are any, to read it by."""
        opt, captions, encoder = self.model.opt, self.captions, self.model.encoder
        rows = {GENERATED: (self.levels, captions)}
        if self.data is not None and self.meaning is not None:
            held = self.data.held
            rows[HELD] = held.images[: len(captions)], held.captions[: len(captions)]
        if len(set(captions)) > 1:
            order = torch.randperm(len(captions), generator=torch.Generator().manual_seed(derive(opt.seed, "clip")))
            rows[SHUFFLED] = self.levels, [captions[i] for i in order.tolist()]
        remarks = ["0 to 100; pictures unlike photographs mean little to CLIP; comparable with the same weights only"]
        if set(clip.digests.values()) & set(getattr(encoder, "digests", {}).values()):
            remarks.append(
                f"the generator learnt from what these very weights make of captions ({encoder.name}): its pictures "
                "may please this CLIP more than others"
            )
        table = Table(
            rows=[
                Row(
                    label=row,
                    values={"CLIP score": clip(images, texts)},
                    count=len(texts),
                    kind="result" if row == GENERATED else "floor",
                )
                for row, (images, texts) in rows.items()
            ],
            better={"CLIP score": "higher"},
            of=f"{plural(len(captions), 'image')}, by {clip.name}",
            remarks=remarks,
        )
        verdict.facts["clip"] = {"model": opt.clip, "sha256": clip.digests}
        verdict.add("CLIP score", table, f"by {clip.name}")

    # -- the page ------------------------------------------------------------------------------------------------------

    def new_page(self) -> CaptionPage:
        page = CaptionPage(self.files.folder, f"{self.model.opt.name}: images from captions", self.levels.shape[2])
        facts = {"images": f"{len(self.levels):,}", "captions": f"{len(set(self.captions)):,}", **self.page_facts()}
        page.add_facts(facts)
        return page

    def page_facts(self) -> dict[str, Any]:
        return {**super().page_facts(), "text encoder": self.model.encoder.name}

    def show(self, verdict: Verdict) -> None:
        """``index.html``, and of a judge the pools of R-precision."""
        if self.pools:
            pools: dict[str, Any] = {POOLS[row]: ids.numpy() for row, ids in self.pools.items()}
            with new_file(self.files.note(IDS)) as file:
                np.savez(file, **pools)
        super().show(verdict)

    def pages_captions(self) -> list[str]:
        """What the page has room for."""
        different = list(dict.fromkeys(self.captions))
        return [different[i] for i in evenly(len(different), SHOWN_TYPED if self.typed else SHOWN)]

    def show_first(self, page: CaptionPage) -> None:
        """A section for each caption: samples, what the first listened to, real pictures."""
        shown, there = self.pages_captions(), len(set(self.captions))
        of = "captions as given" if self.typed else f"captions of --phase {self.model.opt.phase}"
        page.add_text(
            f"{len(shown):,} of {there:,} {of}" if len(shown) < there else f"{there:,} {of}",
            "A column is one noise vector, the same for every caption. Click a picture to enlarge it.",
            "Words: the redder a place of the first picture, the more it listened to that word. At each place the "
            "parts of all words sum to 1; below a word is the greatest part that any place gave it, and full red is "
            "the greatest of the caption.",
        )
        for number, caption in enumerate(shown):
            self._show_caption(page, number, caption)

    def _show_caption(self, page: CaptionPage, number: int, caption: str) -> None:
        text, each, base = self.model.encode([caption]), len(self.common), f"images/captions/{number:03d}"
        if self.typed:
            start = self.captions.index(caption)
            files = self.paths[start : start + each]
        else:
            several = text[torch.zeros(each, dtype=torch.int64, device=text.mask.device)]
            levels = self.draw(self.common, several)
            files = [self.save_image(image, f"{base}_{i:02d}.png") for i, image in enumerate(levels)]
        rows = {"generated": {f"noise {i + 1}": file for i, file in enumerate(files)}}
        real, exact = self.dataset.find(caption, each) if self.dataset.present else (torch.empty(0), False)
        if len(real):
            found = (self.save_image(image, f"{base}_real_{i:02d}.png") for i, image in enumerate(real))
            name = "real pictures of this caption" if exact else "no real picture has this caption; the nearest"
            rows[name] = {f"real {i + 1}": file for i, file in enumerate(found)}
        page.add_caption(caption, self.typed.get(caption, []), rows, self._heard(caption, text, base))

    def _heard(self, caption: str, text: Text, base: str) -> Heard:
        images, maps = self.model.attention(self.common[:1], text)
        maps = maps[0][text.mask[0].cpu()]
        tiles, most = attention_tiles(to_bytes(images)[0], maps)
        words = self.model.encoder.words(caption)
        files = [
            (word, self.save_image(tile, f"{base}_word_{i:02d}.png"))
            for i, (word, tile) in enumerate(zip(words, tiles, strict=True))
        ]
        return Heard(files, maps.amax((1, 2)).tolist(), most)

    def show_ways(self, page: Any) -> None:
        """From noise to noise for one caption, and from caption to caption with the same noise."""
        part, shown = torch.linspace(0, 1, STEPS), self.pages_captions()[:ROWS]
        ends = self.noise(2 * len(shown))
        rows = []
        for k, caption in enumerate(shown):
            text = self.model.encode([caption] * STEPS)
            rows.append((caption, self.draw(slerp(ends[2 * k], ends[2 * k + 1], part), text)))
        note = "each row from one noise vector to another along a great circle, its caption fixed"
        self.show_rows(page, "noise", "From noise to noise", note, rows, "step {}")
        pairs = one_word_apart(list(dict.fromkeys(self.captions)), self.model.encoder.words, ROWS)
        rows = []
        for one, other in pairs:
            way: Any = between(self.model.encode([one, other]), part)
            rows.append((f"{one} \u2192 {other}", self.draw(self.common[:1].expand(STEPS, -1), way)))
        if rows:
            note = "each row from one caption to one that differs in a word, its noise fixed"
            self.show_rows(page, "caption", "From caption to caption", note, rows, "step {}")
