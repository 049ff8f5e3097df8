"""Two folders of unrelated images: <dataroot>/<phase>A and <dataroot>/<phase>B, or --A and --B."""

import dataclasses
import random
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.items import marks
from data.items.collection import Names
from data.loading import held_out
from data.loading.phases import standard
from options import UserError, option
from util import distributed
from util.listing import look_into

from .image_folder import FolderDataset


class UnalignedDataset(FolderDataset):
    """In training every item is an A with a random B, and an epoch has as many items as the larger side.

    Outside training nothing is repeated: item i has the i-th A and the i-th B as far as they exist, and one side is
    enough.

    Attributes:
        sides: {"A": files, "B": files} of the phase.
        held_out: what training never sees of --A and --B, by side; None where a test reads a folder of its own.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(FolderDataset.Options):
        section = "two folders"
        A: str | None = option(
            None,
            "folder of pictures of side A, with --B; in place of --dataroot",
            instead_of=("dataroot",),
            matters=True,
        )
        B: str | None = option(None, "folder of pictures of side B", instead_of=("dataroot",), matters=True)
        test_fraction: float = option(0.1, "part of the files of --A and --B that training never sees", least=0)
        split_seed: int = option(0, "seed that chooses them, whatever --seed is", least=0)
        second_A: bool = option(False, "in training items have a second image of side A, chosen at random, as A2")

        def validate(self) -> None:
            given = {side: folder for side in "AB" if (folder := getattr(self, side)) is not None}
            words = " ".join(f"--{side} {folder}" for side, folder in given.items())
            if len(given) == 1:
                other = "B" if "A" in given else "A"
                raise UserError(f"{words}: give --{other} too; one folder alone is read by --dataset_mode single")
            if given and self.dataroot != "placeholder":
                raise UserError(f"--dataroot {self.dataroot} {words}: say it once, by --dataroot or by --A and --B")
            if self.test_fraction >= 1:
                raise UserError(f"--test_fraction {self.test_fraction}: must be below 1")
            usual = {field.name: field.default for field in dataclasses.fields(self)}["test_fraction"]
            is_new = self.is_train and not getattr(self, "continue_train", False)
            if is_new and not given and self.test_fraction != usual:
                raise UserError(
                    f"--test_fraction {self.test_fraction}: divides --A and --B; --dataroot has folders for tests"
                )

    val_sides = ("A", "B")
    beyond = True

    def __init__(self, opt: Any):
        super().__init__(opt)
        self.held_out: dict[str, held_out.HeldOut | None] = {}
        kept = held_out.kept_by(opt)
        self.sides: dict[str, Any] = self._of_phase() if opt.A is None else self._divided(kept)

    def roots(self) -> dict[str, str]:
        return super().roots() if self.opt.A is None else {"A": self.opt.A, "B": self.opt.B}

    def has_val(self) -> bool:
        return self.opt.A is None and super().has_val()  # what is held out of --A and --B is the test

    @property
    def where(self) -> str:
        return super().where if self.opt.A is None else f"{self.opt.A} and {self.opt.B}"

    # -- <dataroot>/<phase>A and <dataroot>/<phase>B -------------------------------------------------------------------

    def _of_phase(self) -> dict[str, Any]:
        opt = self.opt
        phase = self.split_of(opt.phase)
        sides = {side: self.of_phase(phase, side) for side in "AB"}
        empty = [f"{phase}{side}" for side, files in sides.items() if not files]
        if len(empty) > (0 if opt.is_train else 1):
            need = f"{phase}A and {phase}B" if opt.is_train else f"{phase}A or {phase}B"
            if self.shards:
                hint = "; or give the shards of each side by --A and --B"
            elif look_into(self.folder_of(phase)).pictures:
                hint = "; images with both sides in one file are read by --dataset_mode aligned"
            elif not opt.is_train:
                hint = "; images in no such folder are read by --dataset_mode single"
            else:
                hint = ""
            raise UserError(
                f"--dataroot {opt.dataroot}: no images in {' and '.join(empty)}; {need} must hold images, "
                f"but {self.found()}{hint}"
            )
        for side in [side for side, files in sides.items() if not files]:
            if not self.shards:
                look_into(self.folder_of(phase, side)).tell()
        return sides

    # -- --A and --B ---------------------------------------------------------------------------------------------------

    def _divided(self, kept: dict[str, held_out.HeldOut]) -> dict[str, Any]:
        opt, sides, counts = self.opt, {}, []
        phases = ("train",) if opt.is_train else ("train", "test", "val", "all")
        if standard(opt.phase) not in phases:
            raise UserError(f"--phase {opt.phase}: --A and --B have {', '.join(phases)}")
        for side, root in self.roots().items():
            pictures, names = self._all_of(side, root)
            held = self.held_out[side] = held_out.of_side(opt, side, names, kept.get(side))
            files = held_out.of_phase(opt.phase, pictures, names, held)
            sides[side] = self.take(files, side)
            out = len(pictures) - len(files) if opt.is_train else len(files)
            every = " (a folder that the run was not trained on)" * (held is None)
            counts.append(f"{out} of {len(pictures)} of {side}{every}")
        if not any(sides.values()):
            raise UserError(f"--phase {opt.phase}: nothing is held out of {self.where}; --phase all reads all pictures")
        told = "held out for test.py" if opt.is_train else f"--phase {opt.phase}"
        distributed.say_once(f"{told}: {' and '.join(counts)}")
        self._warn_of_overlap()
        return sides

    def _all_of(self, side: str, root: str) -> tuple[Any, Collection[str]]:
        """Every picture of a side, and the names of their files."""
        if (shards := self.shards.get(side)) is not None:
            items = marks.whole(shards)
            if not len(items):
                raise UserError(f"--{side} {root}: no pictures in it")
            return items, Names(shards, items.rows)
        listing = look_into(Path(root))
        if not listing.pictures:
            raise UserError(f"--{side} {root}: no pictures in it{listing.unread(before='; ')}")
        return listing.pictures, held_out.names_of(listing.tell(), Path(root))

    def _warn_of_overlap(self) -> None:
        one, other = (Path(root).resolve() for root in self.roots().values())
        if one.is_relative_to(other) or other.is_relative_to(one):
            lies = "one lies in the other, whose pictures are of both sides"
            distributed.say_once(f"--A {self.opt.A} --B {self.opt.B}: {lies}")

    def save_files(self, folder: Path) -> None:
        super().save_files(folder)
        if self.held_out:
            held_out.save(folder, {side: held for side, held in self.held_out.items() if held is not None})

    # -- items ---------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return max(len(files) for files in self.sides.values())

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = self.random(index)
        if self.opt.is_train:
            chosen = self.pair(index, rng)
        else:
            chosen = {side: files[index] for side, files in self.sides.items() if index < len(files)}
        item: dict[str, Any] = {}
        for side, path in chosen.items():
            item |= {side: self.read(path, self.channels(side), rng, side), f"{side}_paths": str(path)}
        if self.opt.is_train and self.opt.second_A:
            side = self.opt.direction[0]  # which becomes A
            item["A2"] = self.read(rng.choice(self.sides[side]), self.channels(side), rng, side)
        return item

    def pair(self, index: int, rng: random.Random) -> dict[str, Any]:
        """The A of this index, round and round, and a random B."""
        files_A, files_B = self.sides["A"], self.sides["B"]
        other = index % len(files_B) if self.opt.serial_batches else rng.randrange(len(files_B))
        return {"A": files_A[index % len(files_A)], "B": files_B[other]}
