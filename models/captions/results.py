"""What test.py leaves of a model that makes images from captions: samples, and a page of what became of which words."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.captions import ROW_NAMES, CaptionData, CaptionScores, real_pictures, score_captions, warnings
from evaluation.judges import BATCH, CaptionJudge, load_caption_judge
from evaluation.metrics.base_captioned import Seen
from evaluation.metrics.r_precision_metric import DEVIATION
from evaluation.metrics.shared.clip_score import Clip
from evaluation.testing import Evaluation, refuse_ignored
from models.captions.selection import SLUG, between, doubts, evenly, one_word_apart, slug, spread, typed_captions
from models.noise.results import ROWS, STEPS, Album, add_neighbours, add_sets, slerp
from networks.text import Text
from options import BaseOptions, UserError, option
from util.config import save_options
from util.files import write_atomically
from util.images import to_bytes
from util.pages.attention_tiles import attention_tiles
from util.pages.captions import CaptionPage, Heard
from util.pages.curves import read_curves
from util.pages.files import ResultFiles, note_checkpoint
from util.seeding import derive
from util.stopwatch import Countdown
from util.table import ARROWS, decimals

IDS = "r_precision_ids.npz"

SHOWN, SHOWN_TYPED = 10, 50  # captions on the page at most: of the data, and of those that a user gave


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
    typed, which = typed_captions(opt), folder.name.removeprefix(f"{opt.phase}_")
    if typed:
        refuse_ignored(opt, ("metrics",), "captions that were typed have no real images to compare with")
        folder = folder.with_name(f"captions_{which}")
    judge: Any = load_caption_judge(opt.caption_judge, dataset.attributes, engine.device) if opt.caption_judge else None
    evaluation = Evaluation(opt, dataset, engine.device, translates=False) if opt.metrics and not typed else None
    clip = Clip(opt.clip, engine.device) if opt.clip else None
    notes = {caption: doubts(model.encoder, caption) for caption in typed}
    for caption, lines in notes.items():
        for line in lines:
            print(f"caption {caption[:SLUG]!r}{'...' * (len(caption) > SLUG)}: {line}", file=sys.stderr)
    data = None if typed else real_pictures(dataset, opt.phase)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        album = CaptionAlbum(model, dataset, notes, data, ResultFiles(folder))
        album.files.clear()
        save_options(replace(opt, caption=typed[0]) if opt.caption else opt, folder, opt.phase)  # it may be no UTF-8
        note_checkpoint(album.files, Path(opt.checkpoints_dir, opt.name), which)
        album.save_samples()
        results: dict[str, Any] = {
            "samples": len(album.levels),
            "captions": len(set(album.captions)),
            "text encoder": {"name": model.encoder.name, "sha256": model.encoder.digest},
        }
        if data is not None:
            results["real images"] = data.images().as_dict()
        album.add_captions()
        if evaluation is not None and data is not None:
            add_sets(evaluation, album, data.images(), results)
        seen: Any = add_scores(album, data, judge, results) if data is not None and judge is not None else ()
        if clip is not None:
            add_clip(album, data, clip, results)
        album.add_ways()
        if data is not None:
            add_neighbours(album, data.images(), judge, seen, results)
        curves, ended = read_curves(Path(opt.checkpoints_dir, opt.name, "metrics.jsonl"))
        if ended:
            album.page.add_curves(curves, ended)
        album.files.note("index.html")
        album.page.save()
        write_atomically(folder / "metrics.json", json.dumps(results, indent=1, allow_nan=False, ensure_ascii=False))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})", code=5) from None
    print(f"{len(album.levels)} images: {folder / 'index.html'}")


# -- captions --------------------------------------------------------------------------------------------------------


# -- images ----------------------------------------------------------------------------------------------------------


class CaptionAlbum(Album):
    """Draws and keeps images of captions.

    Args:
        typed: captions that a user gave, with what there is to know about each; none for those of the data.

    Attributes:
        captions: of the samples, N.
        meaning: (N, A) int64 twice: what these say, and what real pictures of them show; None where it is not known.
    """

    page: CaptionPage
    meaning: tuple[torch.Tensor, torch.Tensor] | None = None

    def __init__(
        self, model: Any, dataset: Any, typed: dict[str, list[str]], data: CaptionData | None, files: ResultFiles
    ):
        self.model, self.dataset, self.typed, self.files = model, dataset, typed, files
        self.generator = torch.Generator().manual_seed(derive(model.opt.seed, "samples"))
        self.labels, each = None, model.opt.images_per_caption
        if typed:
            self.captions = [caption for caption in typed for _ in range(each)]
            return
        known = data.asked.captions if data is not None else list(dataset.captions or model.fixed_captions)
        rows = spread(known, model.opt.num_samples)
        self.captions = [known[row] for row in rows]
        if data is not None:
            self.meaning = data.asked.said[rows], data.asked.shown[rows]

    def noise(self, count: int) -> torch.Tensor:
        return self.model.noise(count, self.generator).float().cpu()

    def save_samples(self) -> None:
        """``samples/``, ``samples.npz`` and ``captions.json``, and a page that says what it is of."""
        opt, folder, each = self.model.opt, self.files.folder, self.model.opt.images_per_caption
        self.common = self.noise(each)  # of the page: a column is a noise vector
        different = list(dict.fromkeys(self.captions))
        z = self.common.repeat(len(different), 1) if self.typed else self.noise(len(self.captions))
        folders = {caption: slug(number, caption) for number, caption in enumerate(different)}
        self.paths, parts, counts = [], [], dict.fromkeys(different, 0)
        countdown = Countdown(len(z), "image")
        for start in range(0, len(z), BATCH):
            captions = self.captions[start : start + BATCH]
            parts.append(self.draw(z[start : start + BATCH], self.model.encode(captions)))
            for caption, levels in zip(captions, parts[-1], strict=True):
                self.paths.append(self.save(levels, f"samples/{folders[caption]}/{counts[caption]:04d}.png"))
                counts[caption] += 1
            countdown.step(len(captions))
        self.levels = torch.cat(parts)
        np.savez(self.files.note("samples.npz"), images=self.levels.permute(0, 2, 3, 1).numpy(), z=z.numpy())
        rows = [{"file": file, "caption": text} for file, text in zip(self.paths, self.captions, strict=True)]
        write_atomically(self.files.note("captions.json"), json.dumps(rows, indent=1, ensure_ascii=False))
        self.page = CaptionPage(folder, f"{opt.name}: images from captions", self.levels.shape[2])
        facts = {"images": f"{len(z):,}", "captions": f"{len(different):,}", "checkpoint": opt.epoch, "seed": opt.seed}
        facts["text encoder"] = self.model.encoder.name
        self.page.add_facts(facts | ({"truncation": opt.truncation} if opt.truncation else {}))

    # -- the page ------------------------------------------------------------------------------------------------------

    def pages_captions(self) -> list[str]:
        """What the page has room for."""
        different = list(dict.fromkeys(self.captions))
        return [different[i] for i in evenly(len(different), SHOWN_TYPED if self.typed else SHOWN)]

    def add_captions(self) -> None:
        """A section for each caption: samples, what the first listened to, real pictures."""
        shown, there = self.pages_captions(), len(set(self.captions))
        of = "captions as given" if self.typed else f"captions of --phase {self.model.opt.phase}"
        self.page.add_text(
            f"{len(shown):,} of {there:,} {of}" if len(shown) < there else f"{there:,} {of}",
            "A column is one noise vector, the same for every caption. Click a picture to enlarge it.",
            "Words: the redder a place of the first picture, the more it listened to that word. At each place the "
            "parts of all words sum to 1; below a word is the greatest part that any place gave it, and full red is "
            "the greatest of the caption.",
        )
        for number, caption in enumerate(shown):
            self._add_caption(number, caption)

    def _add_caption(self, number: int, caption: str) -> None:
        text, each, base = self.model.encode([caption]), len(self.common), f"images/captions/{number:03d}"
        if self.typed:
            start = self.captions.index(caption)
            files = self.paths[start : start + each]
        else:
            several = text[torch.zeros(each, dtype=torch.int64, device=text.mask.device)]
            levels = self.draw(self.common, several)
            files = [self.save(image, f"{base}_{i:02d}.png") for i, image in enumerate(levels)]
        rows = {"generated": {f"noise {i + 1}": file for i, file in enumerate(files)}}
        real, exact = self.dataset.find(caption, each) if self.dataset.present else (torch.empty(0), False)
        if len(real):
            found = (self.save(image, f"{base}_real_{i:02d}.png") for i, image in enumerate(real))
            name = "real pictures of this caption" if exact else "no real picture has this caption; the nearest"
            rows[name] = {f"real {i + 1}": file for i, file in enumerate(found)}
        self.page.add_caption(caption, self.typed.get(caption, []), rows, self._heard(caption, text, base))

    def _heard(self, caption: str, text: Text, base: str) -> Heard:
        images, maps = self.model.attention(self.common[:1], text)
        maps = maps[0][text.mask[0].cpu()]
        tiles, most = attention_tiles(to_bytes(images)[0], maps)
        words = self.model.encoder.words(caption)
        files = [
            (word, self.save(tile, f"{base}_word_{i:02d}.png"))
            for i, (word, tile) in enumerate(zip(words, tiles, strict=True))
        ]
        return Heard(files, maps.amax((1, 2)).tolist(), most)

    def add_ways(self) -> None:
        """From noise to noise for one caption, and from caption to caption with the same noise."""
        part, shown = torch.linspace(0, 1, STEPS), self.pages_captions()[:ROWS]
        ends = self.noise(2 * len(shown))
        rows = []
        for k, caption in enumerate(shown):
            text = self.model.encode([caption] * STEPS)
            rows.append((caption, self.draw(slerp(ends[2 * k], ends[2 * k + 1], part), text)))
        note = "each row from one noise vector to another along a great circle, its caption fixed"
        self._add_rows("noise", "From noise to noise", note, rows, "step {}")
        pairs = one_word_apart(list(dict.fromkeys(self.captions)), self.model.encoder.words, ROWS)
        rows = []
        for one, other in pairs:
            way: Any = between(self.model.encode([one, other]), part)
            rows.append((f"{one} \u2192 {other}", self.draw(self.common[:1].expand(STEPS, -1), way)))
        if rows:
            note = "each row from one caption to one that differs in a word, its noise fixed"
            self._add_rows("caption", "From caption to caption", note, rows, "step {}")


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


def table_of_scores(page: Any, scores: CaptionScores, judge: CaptionJudge, remarks: Sequence[str]) -> None:
    names = {name: better for name, better in scores.better.items() if name != DEVIATION}
    rows: dict[str, Sequence[float | str]] = {}
    for row, values in scores.values.items():
        cells: dict[str, float | str] = {name: values[name] for name in names}
        precision = next(name for name in names if name.startswith("R-precision"))
        if np.isfinite(values[DEVIATION]):
            cells[precision] = f"{values[precision]:.3f} \u00b1 {values[DEVIATION]:.3f}"
        rows[f"{ROW_NAMES[row]} ({scores.counts[row]:,})"] = list(cells.values())
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
    cells = {f"{ROW_NAMES[row]} ({len(rows[row][1]):,})": [value] for row, value in found.items()}
    notes = ["0 to 100; pictures unlike photographs mean little to CLIP; comparable with the same weights only"]
    if set(clip.digests.values()) & set(getattr(encoder, "digests", {}).values()):
        notes.append(
            f"the generator learnt from what these very weights make of captions ({encoder.name}): its pictures may "
            "please this CLIP more than others"
        )
        print(f"CLIP score: {notes[1]}")
    album.page.add_table("CLIP score", f"by {clip.name}", [f"CLIP score {ARROWS['higher']}"], cells, notes)
    print(f"CLIP score ({clip.name}): " + ", ".join(f"{row} {decimals(value)}" for row, value in found.items()))
