"""A folder with one picture for each character, such as a scanned hand or the results of a model."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from options import UserError
from util.fonts.characters import character_name
from util.fonts.faces import Geometry
from util.fonts.file_names import bare_base, code_of, writing_of
from util.fonts.pictures import Fit, PictureGlyphs, to_levels, to_square, window_of
from util.images import read_pixels
from util.listing import FORMATS_READ, Listing, look_into
from util.reading.json_file import read_json

ADVANCES = "advances.json"
NOTE = "glyph geometry"  # of a PNG's texts: the scale and the shift that its picture was made with


class GlyphImages(PictureGlyphs):
    """Pictures whose names tell their characters (:func:`util.fonts.file_names.writing_of`), also in sub-folders.

    A character may have several writings, ``U+6C38.png`` and ``U+6C38_2.png``; where one glyph is asked for, it is the
    first.

    An all-digit name is decimal. In a folder that also holds bare hexadecimal names, such as ``6c38.png``, it could
    be either; that is refused rather than guessed.

    Args:
        folder: pictures, and perhaps ``advances.json``, {"U+0041": 0.62}: widths of boxes in ems, 1 where not given.
        fit: see :class:`PictureGlyphs`.

    Raises:
        UserError: no such folder, no picture with a character's name, two pictures of one character, or a mixture of
            decimal and hexadecimal names.
    """

    def __init__(self, folder: str | Path, fit: Fit = "canvas"):
        super().__init__(str(folder), fit)
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f"{folder}: {'is not a folder' if self.folder.exists() else 'no such folder'}")
        self._every, nameless = self._files(look_into(self.folder))
        self.files = {code: next(iter(paths.values())) for code, paths in self._every.items()}
        self._advances = self._read_advances()
        self.made_with = _noted(next(iter(self.files.values())))
        if nameless:
            print(
                f"{folder}: {len(nameless)} pictures are left out, since their names tell no character, such as "
                f"{nameless[0].name}; name them U+6C38.png, 永.png or 27704.png",
                file=sys.stderr,
            )

    def _files(self, listing: Listing) -> tuple[dict[int, dict[int, Path]], list[Path]]:
        """{character: {number of the writing: file}}, and the files whose names tell none."""
        files: dict[int, dict[int, Path]] = {}
        found, read = listing.pictures, {self.folder / ADVANCES}
        nameless = []
        for path in found:
            code, number = writing_of(path.stem)
            if code is None:
                nameless.append(path)
            elif (other := files.setdefault(code, {}).setdefault(number, path)) is not path:
                raise UserError(
                    f"{self.name}: {other.relative_to(self.folder)} and {path.relative_to(self.folder)} are both "
                    f"{character_name(code)}; remove one of them, or name it as another writing, such as "
                    f"{character_name(code)}_2{path.suffix}"
                )
        if not files:
            what = f"none of its {len(found)} pictures is named by a character" if found else "no pictures in it"
            facts = listing.unread(read) or FORMATS_READ
            raise UserError(f"{self.name}: {what}; expected names such as U+6C38.png, 永.png or 27704.png; {facts}")
        every = [path for paths in files.values() for path in paths.values()]
        hexadecimal, decimal = ([p for p in every if bare_base(p.stem) == base] for base in (16, 10))
        if hexadecimal and decimal:
            raise UserError(
                f"{self.name}: {hexadecimal[0].name} is hexadecimal and {decimal[0].name} would be decimal; name "
                f"them U+{hexadecimal[0].stem} and U+{decimal[0].stem}, or all in decimal"
            )
        listing.tell(read)
        return {code: dict(sorted(paths.items())) for code, paths in sorted(files.items())}, nameless

    def _read_advances(self) -> dict[int, float]:
        path = self.folder / ADVANCES
        if not path.is_file():
            return {}
        read = read_json(path, {...: float}, 'widths in ems, {"U+0041": 0.62}')
        advances = {code_of(name): float(width) for name, width in read.items()}
        wrong = next((name for name in read if code_of(name) is None or not 0 < read[name] < 10), None)
        if wrong is not None:
            raise UserError(f'{path}: {wrong!r}: {read[wrong]}: expected "U+0041": 0.62, a width above 0 in ems')
        return {code: width for code, width in advances.items() if code is not None}

    @property
    def characters(self) -> Collection[int]:
        return self.files.keys()

    def advance(self, code: int) -> float:
        return self._advances.get(code, 1.0)

    @property
    def told_advances(self) -> Mapping[int, float]:
        """Widths that the folder itself tells, in ems."""
        return self._advances

    def writings(self, code: int) -> list[np.ndarray]:
        """Every writing of a character on a square, float32 (n, n), 0 (ink) to 255, at its own size."""
        return [to_square(to_levels(read_pixels(path, 1))) for path in self._every[code].values()]

    def _shows_all(self, geometry: Geometry) -> bool:
        return self._as_made(geometry) and super()._shows_all(geometry)

    def _as_made(self, geometry: Geometry) -> bool:
        return self.fit == "em" or self.made_with in (None, (geometry.scale, geometry.shift))

    def _window(self, size: int, geometry: Geometry) -> tuple[float | tuple[float, float], float]:
        if self._as_made(geometry) or self.made_with is None:
            return super()._window(size, geometry)
        return window_of(Geometry(size, *self.made_with), geometry)

    def _pixels(self, code: int) -> np.ndarray:
        return read_pixels(self.files[code], 1)


def geometry_note(geometry: Geometry) -> PngInfo:
    """To be saved with a picture, see :attr:`GlyphImages.made_with`."""
    note = PngInfo()
    note.add_text(NOTE, f"{geometry.scale} {geometry.shift}")
    return note


def _noted(path: Path) -> tuple[float, float] | None:
    if path.suffix.lower() != ".png":
        return None
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            scale, shift = map(float, str(picture.info.get(NOTE)).split())
    except Exception:  # no note, or no picture, of which reading it says more
        return None
    return (scale, shift) if 0 < scale < 10 and abs(shift) < 10 else None
