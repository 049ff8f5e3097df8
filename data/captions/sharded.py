"""Pictures with captions in shards: of a .txt, a caption a line, or a .json beside each."""

from functools import partial
from typing import Any

import numpy as np

from data.captions.files import CaptionedFiles, caption_number, normalised
from data.captions.sources import CaptionSource
from data.items import marks
from data.items.collection import Collection, Items, Names, Rows
from data.pictures.sharded import opened
from options import UserError
from util import distributed


class Captions(Rows):
    """The captions of a picture, each once."""

    def one(self, row: int) -> tuple[str, ...]:
        found: dict[str, str] = {}
        for text in self.collection.captions_of(row):
            found.setdefault(normalised(text), text)
        return tuple(found.values()) or ("",)  # a table may have what is no text


class Said(Captions):
    """(K, 1) int64: their numbers."""

    def one(self, row: int) -> Any:
        return np.array([[caption_number(normalised(text))] for text in super().one(row)], np.int64)


class Shown(Said):
    """(1,) int64: that of the first."""

    def one(self, row: int) -> Any:
        return super().one(row)[0]


def captioned(opt: Any, seed: int) -> CaptionSource:
    """``0001.jpg`` with ``0001.txt`` or ``0001.json``, in any shard.

    Raises:
        Missing: there are no shards.
        UserError: they hold no pictures with captions.
    """
    if opt.caption_file:
        raise UserError(f"--caption_file {opt.caption_file}: captions of shards lie in them; leave the flag out")
    shards = opened(opt)
    told = shards.captioned()
    if not told.any():
        raise UserError(f"--dataroot {opt.dataroot}: no captions; expected a .txt or a .json beside each picture")
    if not told.all():
        left = int((~told).sum())
        distributed.say_once(f"{opt.dataroot}: {left} of {len(told)} pictures are left out, which have no caption")
    found = {phase: rows[told[rows]] for phase, rows in marks.phases_in(shards).items()}
    if "val" in found:
        found.setdefault("test", found["val"])
    if not {"train", "test"} <= found.keys():
        found = {"every": next(iter(found.values()))}
    return CaptionSource("shards", {}, {phase: partial(_read, shards, rows) for phase, rows in found.items()}, 0)


def _read(shards: Collection, rows: np.ndarray) -> CaptionedFiles:
    columns = {name: kind(shards, rows) for name, kind in (("captions", Captions), ("said", Said), ("shown", Shown))}
    labels = np.zeros(len(rows), np.int64)
    return CaptionedFiles(labels=labels, names=Names(shards, rows), paths=Items(shards, rows), **columns)
