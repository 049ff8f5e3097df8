"""Pictures with captions: files and what is written of them, glyphs of fonts, or digits."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from data.captions.digits import digits
from data.captions.files import caption_number, files, normalised
from data.captions.glyphs import CaptionGlyphOptions, glyphs
from data.captions.sharded import captioned
from data.captions.sources import UNSAID, Captioned, CaptionSource
from data.captions.words import parse_caption
from data.items.collection import Rows
from data.items.opening import check_source
from data.items.roots import is_beyond
from data.pictures.sources import Missing
from options import UserError, option
from util import distributed
from util.seeding import derive
from util.vocabulary import Vocabulary
from util.writing import write_atomically

from .base_pictures import PictureDataset

FILE = "captions.json"
SHIPPED = ("glyphs", "digits")  # data that need no files
SIDES = re.compile(r"\b(?:left|right)\b", re.IGNORECASE)


SOURCES: Mapping[str, Callable[[Any, int], CaptionSource]] = {
    "glyphs": glyphs,
    "digits": digits,
    "files": files,
    "shards": captioned,
}


@dataclass(frozen=True)
class Levels:
    """Pictures of a phase with their captions, neither cut nor mirrored at random.

    Attributes:
        images: (N, C, S, S) bytes.
        captions: N strings, of each picture the first.
        said, shown: (N, A) int64, of that caption and of the picture.
        there: of how many pictures these were drawn.
    """

    images: torch.Tensor
    captions: list[str]
    said: torch.Tensor
    shown: torch.Tensor
    there: int


class CaptionDataset(PictureDataset):
    """Items are ``image``, ``caption``, ``said``, ``shown`` and ``image_paths``.

    ``said`` and ``shown`` are (A,) int64: what the caption says and what the picture shows of each attribute, as a
    place in its values; -1 is unsaid and unknown. A caption is true of every picture that shows all it says. Data
    without attributes have A = 1 and there a number of the caption, equal for equal captions.

    In training one of a picture's captions is drawn, a function of the seed, the epoch and the item; elsewhere it is
    the first, which says the most.

    Attributes:
        attributes: name -> values; empty where data have none.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(PictureDataset.Options, CaptionGlyphOptions):
        section = "captioned pictures"
        source: Literal["auto", "glyphs", "digits", "files", "shards"] = option(
            "auto",
            "kind of data; auto: --dataroot glyphs or digits are drawn or shipped, shards:FOLDER are shards, else what "
            "lies in --dataroot",
        )
        caption_file: str = option("", "a .json, .jsonl or .csv of pictures in --dataroot and their captions")
        caption_encoding: str = option("utf-8", "of files of captions that do not begin with a byte-order mark")
        on_bad_caption: Literal["error", "skip"] = option(
            "error", "when a row of captions cannot be used: stop, or go on without it", per_run=True
        )
        similar: int = option(
            1, "pictures of one letter or digit that meet in a batch: negatives of each other that are hard", least=1
        )
        flip: bool = option(
            False,
            "mirror every second picture in training; captions stay as they are, left and right too",
            per_run=True,
        )

    source: CaptionSource
    pictures: Captioned

    def __init__(self, opt: Any):
        super().__init__(opt)
        try:
            self.source = self._open()
            self.attributes = self._agreed(self.source.attributes)
            self.pictures = self._limited(self.half(opt.phase))
        except Missing as error:
            if opt.is_train or not self.saved:
                raise
            print(f"{error}; going on without the data", file=sys.stderr)
            self.present, self.mirrors, self.none_left = False, False, str(error)
            self.attributes = {name: tuple(values) for name, values in self.saved["attributes"].items()}
            self.pictures = _nothing(len(self.attributes) or 1)
            self.channels = opt.output_nc or self.saved["channels"]
            return
        self._prepare()
        self.mirrors = opt.flip
        self.none_left = f"--phase {opt.phase}: no pictures; see --dataroot {opt.dataroot} and --test_fraction"
        if opt.is_train and distributed.rank() == 0:
            self._report()

    # -- what there is -------------------------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        return self._facts(FILE, "what a run keeps of its captions", attributes={...: [str]})

    def _open(self) -> CaptionSource:
        opt = self.opt
        kind: str = opt.source
        if is_beyond(opt.dataroot) or kind == "shards":
            check_source(opt, ("auto", "shards"))
            kind = "shards"
        if kind == "auto":
            shipped = opt.dataroot in SHIPPED and not Path(opt.dataroot).is_dir() and not opt.caption_file
            kind = opt.dataroot if shipped else "files"
        return SOURCES[kind](opt, self.seed)

    def _agreed(self, found: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Attributes of the data, which are those of the run wherever both have some."""
        known = {name: tuple(values) for name, values in self.saved.get("attributes", {}).items()}
        if known and found and known != dict(found):
            name = next(name for name in (*known, *found) if known.get(name) != found.get(name))
            theirs, ours = (" ".join(values.get(name, ("nothing",))) for values in (found, known))
            raise UserError(
                f"--dataroot {self.opt.dataroot}: {name} is one of {theirs:.60}, in the training of {self.opt.name} it "
                f"was one of {ours:.60}; give the flags of that training"
            )
        return found

    def _report(self) -> None:
        every, sides = 0, 0
        for captions in self.pictures.captions:
            every += len(captions)
            sides += sum(bool(SIDES.search(caption)) for caption in captions) if self.mirrors else 0
        names = ", ".join(f"{len(values)} of {name}" for name, values in self.attributes.items())
        print(
            f"{self.source.kind}: {len(self)} pictures to train on, {every} captions, {len(self.captions)} "
            f"different{f'; values: {names}' if names else ''}; held out: {self._held_out()}"
        )
        if sides:
            print(f"--flip: {sides} captions say left or right, and pictures are mirrored", file=sys.stderr)

    def _held_out(self) -> str:
        if self.opt.phase == "all":
            return "nothing"
        try:
            test = self.half("test")
        except Missing:
            return "nothing"
        except UserError as error:  # a test will say so too; training has what it needs
            print(f"held-out pictures cannot be read: {error}", file=sys.stderr)
            return "nothing that can be read"
        apart = isinstance(test.names, Rows)  # pictures of shards are of one phase
        both = [] if apart else sorted(set(self.pictures.names) & set(test.names))
        if both:
            print(f"{len(both)} pictures are for training and for the test, the first: {both[0]}", file=sys.stderr)
        kinds = len(test) if test.groups is test.names else len(set(test.groups))
        return f"{len(test)} pictures" + (f" of {kinds} compositions" if kinds < len(test) else "")

    def save_files(self, folder: Path) -> None:
        """Write ``captions.json``: kind of data, attributes, channels, what divided them, and how many captions."""
        kept = {
            "source": self.source.kind,
            "attributes": {name: list(values) for name, values in self.attributes.items()},
            "channels": self.channels,
            "split_seed": self.seed,
            "test_fraction": self._test_fraction,
            "captions": len(self.captions),
        }
        write_atomically(folder / FILE, json.dumps(kept, indent=1, ensure_ascii=False))

    def order(self, generator: torch.Generator) -> list[int]:
        """At random, but that --similar pictures of one letter or digit follow one another; files have neither."""
        drawn = super().order(generator)
        if self.opt.similar < 2:
            return drawn
        piles: dict[int, list[int]] = {}
        groups: list[list[int]] = []
        for row in drawn:
            pile = piles.setdefault(int(self.pictures.labels[row]), [])
            if len(pile) % self.opt.similar == 0:
                pile = piles[int(self.pictures.labels[row])] = []
                groups.append(pile)
            pile.append(row)
        places = torch.randperm(len(groups), generator=generator).tolist()
        return [row for place in places for row in groups[place]]

    # -- items ---------------------------------------------------------------------------------------------------------

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """Every caption that an item can have, each once, in the order of the pictures."""
        most = None if self.opt.is_train else 1
        return tuple(dict.fromkeys(caption for captions in self.pictures.captions for caption in captions[:most]))

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng, pictures = self.random(index), self.pictures
        captions = pictures.captions[index]
        drawn = rng.randrange(len(captions)) if self.opt.is_train else 0
        said = torch.from_numpy(pictures.said[index][drawn].copy())
        return {
            "image": self._image(index, rng),
            "caption": captions[drawn],
            "said": said,
            "shown": torch.from_numpy(pictures.shown[index].copy()) if self.attributes else said.clone(),
            "image_paths": pictures.path(index),
        }

    def levels(self, phase: str, limit: int | None = None) -> Levels:
        """Pictures of train, test, val or all in the order of the data; unreadable ones left out where that is allowed.

        Args:
            limit: at most so many, drawn by the seed that divides the data.

        Raises:
            UserError: there is no such phase, or there are no data.
        """
        images, pictures, kept, count = self._read(phase, limit, torch.uint8, "levels")
        said = np.stack([numbers[0] for numbers in pictures.said[kept]])
        captions = [captions[0] for captions in pictures.captions[kept]]
        return Levels(
            images, captions, torch.from_numpy(said), torch.from_numpy(np.stack([*pictures.shown[kept]])), count
        )

    # -- what a user asks for ------------------------------------------------------------------------------------------

    @cached_property
    def _whole(self) -> Captioned:
        return self.half("all")

    def find(self, caption: str, count: int) -> tuple[torch.Tensor, bool]:
        """Real pictures for a caption that somebody typed, of all the data, drawn by the seed that divides them.

        Returns:
            images (K, C, S, S), bytes, K at most ``count``, 0 where data are gone; whether the caption is true of
            them. Where it is true of none, as it is written, they are of captions that share the most words with it.
        """
        if not self.present:
            return torch.empty(0, self.channels, self.opt.crop_size, self.opt.crop_size, dtype=torch.uint8), False
        pictures, rows = self._whole, self._true_of(caption)
        order = np.random.default_rng(derive(self.seed, "find", normalised(caption))).permutation(len(pictures))
        exact = bool(len(rows))
        if exact:
            rows = order[np.isin(order, rows)]
        else:
            rows = order[np.argsort(-self._shared_words(caption)[order], kind="stable")]
        return self._stack(pictures, rows[:count], torch.uint8)[0], exact

    def _true_of(self, caption: str) -> np.ndarray:
        """Rows of the whole data of which a caption is true; none where it has a word that no caption there has."""
        pictures = self._whole
        if not self.attributes:
            key = caption_number(normalised(caption))
            return np.array([row for row, numbers in enumerate(pictures.said) if key in numbers], dtype=np.int64)
        known = set().union(*self._texts.values())
        said = parse_caption(caption, self.attributes)
        strange = [word for word in Vocabulary.tokens(caption) if word not in known and word[0].isalnum()]
        if strange or np.array_equal(said, parse_caption("", self.attributes)):
            return np.zeros(0, np.int64)
        return np.flatnonzero(((said == UNSAID) | (pictures.shown == said)).all(1))

    @cached_property
    def _texts(self) -> dict[str, Counter[str]]:
        """Every caption of the whole data, and its words."""
        return {text: Counter(Vocabulary.tokens(text)) for texts in self._whole.captions for text in texts}

    def _shared_words(self, caption: str) -> np.ndarray:
        """(N,) the part of its words that a caption shares with the picture's own, the most alike of them; 0 to 1."""
        wanted, alike = Counter(Vocabulary.tokens(caption)), {}
        for text, words in self._texts.items():
            alike[text] = 2 * (wanted & words).total() / (wanted.total() + words.total())
        return np.array([max(alike[text] for text in texts) for texts in self._whole.captions])


def _nothing(attributes: int) -> Captioned:
    none = np.zeros(0, dtype=object)
    return Captioned(np.zeros(0, np.int64), none, none, none, np.zeros((0, attributes), np.int64))
