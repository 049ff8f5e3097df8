"""Pictures with classes in shards: of a .cls or .json beside each, or of the folder that it lies in."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from data.items import marks
from data.items.collection import Collection, Items, Names
from data.items.opening import open_collection
from data.items.roots import NoShards
from data.pictures.folders import divided_or_whole
from data.pictures.sources import Files, Missing, Pictures, Source
from options import UserError
from util import distributed


def opened(opt: Any) -> Collection:
    """The shards of --dataroot.

    Raises:
        Missing: they are not there.
        UserError: they hold no pictures, or something is wrong with one.
    """
    try:
        shards = open_collection(opt, opt.dataroot)
    except NoShards as error:
        raise Missing(str(error)) from None
    if shards is None or not len(shards):
        raise UserError(f"--dataroot {opt.dataroot}: no pictures in these shards")
    return shards


def sharded(opt: Any, seed: int) -> Source:
    """``train/cat/0001.jpg``, ``cat/0001.jpg``, or ``0001.jpg`` with ``0001.cls``, in any shard.

    Raises:
        Missing: there are no shards.
        UserError: they hold no pictures.
    """
    shards = opened(opt)
    if not len(shards.labels) and marks.has_sides(shards):
        raise UserError(
            f"--dataroot {opt.dataroot}: trainA and trainB hold no classes; they are for --dataset_mode unaligned"
        )
    classes, labels = marks.classes_of(shards)
    if unknown := int((labels < 0).sum()):
        distributed.say_once(f"{opt.dataroot}: {unknown} of {len(labels)} pictures are left out, which have no class")
    readers: dict[str, Callable[[], Pictures]] = {
        phase: partial(_read, shards, labels, rows[labels[rows] >= 0])
        for phase, rows in marks.phases_in(shards).items()
    }
    if "every" in readers:
        return Source("shards", classes, readers, channels=0, mirrors=True)
    places = {phase: f"{phase} in {opt.dataroot}" for phase in readers}
    return dataclasses.replace(divided_or_whole("shards", classes, readers, places), kind="shards")


def _read(shards: Collection, labels: np.ndarray, rows: np.ndarray) -> Files:
    return Files(labels[rows], Names(shards, rows), Items(shards, rows))
