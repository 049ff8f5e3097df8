"""Glyphs of two fonts, drawn when they are needed."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from options import UserError, default, option
from util.fonts import CHARSETS, Face, Geometry, character_name, charset, split
from util.images import to_tensor

from .base_dataset import BaseDataset

CACHE = 64 * 2**20  # bytes of drawn glyphs that a process keeps


class FontDataset(BaseDataset):
    """A is a character in the source font, B one in the target font.

    In training B is another character unless ``--paired``; outside training it is the same one, since the true
    target is known. The characters are divided into a training and a test half before anything is drawn.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options):
        section = "font"
        source_font: tuple[str, ...] = option(
            ("DejaVuSans",),
            "font files of A; a character missing in one is taken from the next. <file>#2 is a face of a collection, "
            "a bare name a font that matplotlib ships",
        )
        target_font: str = option("DejaVuSerif", "font file of B, likewise")
        charset: str = option(
            "auto", f"characters: {', '.join(CHARSETS)}, a text file, or auto (all letters that the fonts share)"
        )
        glyph_scale: float = option(0.8, "part of the canvas that an em takes", above=0)
        glyph_shift: float = option(0.12, "height of the baseline above the bottom of the em, in ems")
        test_fraction: float = option(0.1, "part of the characters that training never sees", least=0)
        paired: bool = option(False, "training: A and B are the same character")
        input_nc: int = default(1)
        output_nc: int = default(1)
        crop_size: int = default(64)

        def validate(self) -> None:
            if self.test_fraction >= 1:
                raise UserError(f"--test_fraction {self.test_fraction}: must be below 1")
            if not self.source_font:
                raise UserError("--source_font: give at least one font")

    def __init__(self, opt: Any):
        super().__init__(opt)
        self.faces = {"A": [Face(name) for name in opt.source_font], "B": [Face(opt.target_font)]}
        self.geometry = Geometry(opt.crop_size, opt.glyph_scale, opt.glyph_shift)
        self.face_of = self._real_characters()
        self.train, self.test = self._halves()
        halves = {"train": self.train, "all": sorted(self.train + self.test)}
        self.characters = halves.get(opt.phase, self.test)[: opt.max_dataset_size]
        if not self.characters:
            raise UserError(
                f"--phase {opt.phase}: no characters; {len(self.train)} are for training and "
                f"{len(self.test)} for testing, see --test_fraction and --charset"
            )
        self.paired = opt.paired or not opt.is_train
        self._drawn: dict[tuple[str, int], np.ndarray] = {}
        self._report_overflow()

    def _real_characters(self) -> dict[str, dict[int, Face]]:
        """{side: {character: the face that draws it}} of the characters that both sides really have."""
        opt = self.opt
        wanted = charset(opt.charset, self.faces["B"])
        face_of = {
            side: {code: face for face in reversed(faces) for code in face.real(wanted)}
            for side, faces in self.faces.items()
        }
        both = face_of["A"].keys() & face_of["B"].keys()
        for side, flag in (("A", "--source_font"), ("B", "--target_font")):
            missing = [code for code in wanted if code not in face_of[side]]
            if missing and opt.charset != "auto":
                first = " ".join(map(character_name, missing[:8])) + " ..." * (len(missing) > 8)
                print(
                    f"{flag}: {len(missing)} of {len(wanted)} characters are not in the font and left out: {first}",
                    file=sys.stderr,
                )
        if not both:
            raise UserError(
                f"--charset {opt.charset}: --source_font {','.join(opt.source_font)} and "
                f"--target_font {opt.target_font} share none of its {len(wanted)} characters"
            )
        return {side: {code: chosen[code] for code in sorted(both)} for side, chosen in face_of.items()}

    def _halves(self) -> tuple[list[int], list[int]]:
        """Training and test characters: those of the run where it has them, else drawn from the seed."""
        opt, present = self.opt, set(self.face_of["A"])
        path = Path(opt.checkpoints_dir, opt.name, "split.json")
        goes_on = not opt.is_train or getattr(opt, "continue_train", False)
        if not goes_on or not path.is_file():
            return split(present, opt.seed, opt.test_fraction)
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            train, test = ({int(word.removeprefix("U+"), 16) for word in saved[half]} for half in ("train", "test"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a split of characters ({error}); delete it to draw a new one") from None
        gone, new = (train | test) - present, present - train - test
        if gone or new:
            print(
                f"{path}: the fonts or the charset differ from the training run's: {len(gone)} of its characters are "
                f"missing, {len(new)} are new and count as unseen",
                file=sys.stderr,
            )
        return sorted(present & train), sorted(present - train)

    def save_files(self, folder: Path) -> None:
        """Write ``split.json``, so that a test knows which characters training has seen."""
        opt = self.opt
        origin = {
            "source_font": list(opt.source_font),
            "target_font": opt.target_font,
            "charset": opt.charset,
            "seed": opt.seed,
            "test_fraction": opt.test_fraction,
        }
        halves = {
            half: [f"U+{code:04X}" for code in codes] for half, codes in (("train", self.train), ("test", self.test))
        }
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / "split.json.tmp"
        temporary.write_text(json.dumps(origin | halves, indent=1), encoding="utf-8")
        temporary.replace(folder / "split.json")

    def _report_overflow(self) -> None:
        for side, faces in self.face_of.items():
            outside = [c for c in self.characters if faces[c].leaves_canvas(c, self.geometry)]
            if outside:
                first = " ".join(map(character_name, outside[:5]))
                print(
                    f"side {side}: the canvas cuts off {len(outside)} of {len(self.characters)} glyphs, {first} first; "
                    f"lower --glyph_scale {self.opt.glyph_scale} or change --glyph_shift",
                    file=sys.stderr,
                )

    def __len__(self) -> int:
        return len(self.characters)

    def __getitem__(self, index: int) -> dict[str, Any]:
        opt, code = self.opt, self.characters[index]
        other = code
        if opt.is_train and not opt.paired and len(self) > 1:
            step = 1 if opt.serial_batches else self.random(index).randrange(1, len(self))
            other = self.characters[(index + step) % len(self)]
        channels = (opt.input_nc, opt.output_nc) if opt.direction == "AtoB" else (opt.output_nc, opt.input_nc)
        return {
            "A": self.glyph("A", code, channels[0]),
            "B": self.glyph("B", other, channels[1]),
            "A_paths": character_name(code),
            "B_paths": character_name(other),
            "label": 0,
            "character": code,
        }

    def glyph(self, side: str, code: int, channels: int) -> torch.Tensor:
        """One glyph (C, H, H): white +1, ink -1."""
        drawn = self._drawn.get((side, code))
        if drawn is None:
            drawn = self.face_of[side][code].draw(code, self.geometry)
            if (len(self._drawn) + 1) * drawn.size <= CACHE:
                self._drawn[side, code] = drawn
        return to_tensor(drawn[..., None]).repeat(channels, 1, 1)
