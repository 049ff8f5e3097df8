"""A folder with one picture for each character, such as a scanned hand or the results of a model."""

import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np

from options import UserError
from util.fonts.faces import character_name
from util.fonts.file_names import bare_base, code_of
from util.fonts.pictures import Fit, PictureGlyphs
from util.images import read_pixels
from util.listing import FORMATS_READ, Listing, look_into
from util.reading.json_file import read_json

ADVANCES = "advances.json"


class GlyphImages(PictureGlyphs):
    """Pictures whose names tell their characters (:func:`util.fonts.file_names.code_of`), also in sub-folders.

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
        self.files, nameless = self._files(look_into(self.folder))
        self._advances = self._read_advances()
        if nameless:
            print(
                f"{folder}: {len(nameless)} pictures are left out, since their names tell no character, such as "
                f"{nameless[0].name}; name them U+6C38.png, 永.png or 27704.png",
                file=sys.stderr,
            )

    def _files(self, listing: Listing) -> tuple[dict[int, Path], list[Path]]:
        files: dict[int, Path] = {}
        found, read = listing.pictures, {self.folder / ADVANCES}
        nameless = []
        for path in found:
            code = code_of(path.stem)
            if code is None:
                nameless.append(path)
            elif code in files:
                raise UserError(
                    f"{self.name}: {files[code].relative_to(self.folder)} and {path.relative_to(self.folder)} are both "
                    f"{character_name(code)}; remove one of them"
                )
            else:
                files[code] = path
        if not files:
            what = f"none of its {len(found)} pictures is named by a character" if found else "no pictures in it"
            facts = listing.unread(read) or FORMATS_READ
            raise UserError(f"{self.name}: {what}; expected names such as U+6C38.png, 永.png or 27704.png; {facts}")
        hexadecimal, decimal = ([p for p in files.values() if bare_base(p.stem) == base] for base in (16, 10))
        if hexadecimal and decimal:
            raise UserError(
                f"{self.name}: {hexadecimal[0].name} is hexadecimal and {decimal[0].name} would be decimal; name "
                f"them U+{hexadecimal[0].stem} and U+{decimal[0].stem}, or all in decimal"
            )
        listing.tell(read)
        return dict(sorted(files.items())), nameless

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

    def _pixels(self, code: int) -> np.ndarray:
        return read_pixels(self.files[code], 1)
