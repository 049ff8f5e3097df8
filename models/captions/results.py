"""What test.py leaves of a model that makes images from captions: samples, and a page of what became of which words."""

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.captions import CaptionData, add_clip, add_scores, real_pictures
from evaluation.judges import BATCH, load_caption_judge
from evaluation.metrics.shared.clip_score import Clip
from evaluation.samples import add_neighbours, to_bytes
from evaluation.testing import Evaluation, add_sets, refuse_ignored
from models.noise.results import ROWS, STEPS, Album, slerp
from networks.text import Text
from options import BaseOptions, UserError, option
from util.config import save_options
from util.html import write_atomically
from util.pages.attention_tiles import attention_tiles
from util.pages.captions import CaptionPage, Heard
from util.pages.files import ResultFiles, note_checkpoint
from util.pages.samples import read_curves
from util.seeding import derive
from util.stopwatch import Countdown
from util.vocabulary import Vocabulary, cleaned

SHOWN, SHOWN_TYPED = 10, 50  # captions on the page at most: of the data, and of those that a user gave
SLUG = 40  # characters of a caption in the name of its folder, and in a line that speaks of it


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


def typed_captions(opt: Any) -> list[str]:
    """Those of --caption or --caption_list, cleaned as those of data are, each once; none without either.

    Raises:
        UserError: the file cannot be read or is not UTF-8, or a caption has no words.
    """
    if opt.caption_list is None:
        captions = [] if opt.caption is None else [cleaned(opt.caption)]
        flag = "--caption"
    else:
        flag = f"--caption_list {opt.caption_list}"
        try:
            lines = Path(opt.caption_list).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise UserError(f"{flag}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
        except OSError as error:
            raise UserError(f"{flag}: {error.strerror or error}") from None
        captions = list(dict.fromkeys(filter(None, map(cleaned, lines))))
        if not captions:
            raise UserError(f"{flag}: holds no caption; write one a line")
    for caption in captions:
        if not any(character.isalnum() for character in caption):
            raise UserError(f"{flag}: {caption!r} has no words; write at least one")
    return captions


def doubts(encoder: Any, caption: str) -> list[str]:
    """What a user should know of a caption: words that the encoder never read, words that it leaves out."""
    lines, vocabulary, strange = [], getattr(encoder, "vocabulary", None), encoder.unknown(caption)
    if strange:
        known = len(strange) < len(Vocabulary.tokens(caption))
        left = " and reads the rest" if vocabulary and vocabulary.complete and known else ""
        lines.append(f"the text encoder does not know {', '.join(map(repr, strange))}{left}")
    if vocabulary:  # words that are spelt like a very short one mean something else
        hints = ((word, vocabulary.suggest(word)) for word in strange if len(word) > 3)
        lines += [f"{word!r}{hint}" for word, hint in hints if hint]
    read, there = len(encoder.words(caption)), len(vocabulary.read(caption)) if vocabulary else 0
    if read < there:
        lines.append(f"--max_words {read}: its last {there - read} words are not read")
    return lines


def spread(captions: Sequence[str], count: int) -> list[int]:
    """``count`` rows of captions, which may come twice: each text as often as any other, its rows in turn."""
    rows: dict[str, list[int]] = {}
    for row, caption in enumerate(captions):
        rows.setdefault(caption, []).append(row)
    groups = list(rows.values())
    if count < len(groups):
        groups = [groups[i] for i in evenly(len(groups), count)]
    return [(group := groups[i % len(groups)])[i // len(groups) % len(group)] for i in range(count)]


def evenly(there: int, count: int) -> list[int]:
    """``count`` places, or all, spread over those from 0 to ``there`` - 1."""
    return torch.linspace(0, there - 1, min(there, count)).round().long().tolist()


def slug(number: int, caption: str) -> str:
    """A name for files of a caption that every system takes; different for different numbers."""
    plain = unicodedata.normalize("NFKD", caption).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "-", plain)[:SLUG].strip("-")
    return f"{number:03d}_{words}" if words else f"{number:03d}"


def one_word_apart(captions: Sequence[str], words: Callable[[str], Sequence[str]], most: int) -> list[tuple[str, str]]:
    """Pairs of captions that differ in one word, at most so many; where they differ varies from pair to pair."""
    first: dict[tuple[int, tuple[str, ...]], str] = {}
    pairs: dict[int, list[tuple[str, str]]] = {}
    for caption in captions:
        own = tuple(words(caption))
        for place in range(len(own)):
            other = first.setdefault((place, (*own[:place], "", *own[place + 1 :])), caption)
            if words(other)[place] != own[place]:
                pairs.setdefault(place, []).append((other, caption))
    turns = zip_longest(*(pairs[place] for place in sorted(pairs)))
    return list(islice((pair for turn in turns for pair in turn if pair is not None), most))


def between(ends: Text, part: torch.Tensor) -> Text:
    """From the first of two captions of equal length to the second, straight, for parts (S,)."""

    def mix(x: torch.Tensor) -> torch.Tensor:
        t = part.to(x.device).view(-1, *[1] * (x.dim() - 1))
        return (1 - t) * x[:1] + t * x[1:]

    return Text(mix(ends.words), ends.mask[:1].expand(len(part), -1), mix(ends.sentence))


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
