"""Fonts: which characters they really have, and what their glyphs look like on a square canvas."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from options import UserError, nearest
from util.fonts.font_file import SECONDS, open_font
from util.reading.child import in_child
from util.reading.json_file import bytes_of
from util.seeding import derive

MOST_TEXT = 64 << 20
SYNTHETIC = 0x110000  # the first number that is no code point
OVERSAMPLING = 4  # glyphs are drawn this much larger and averaged down: hinting no longer bends them


@dataclass(frozen=True)
class Geometry:
    """One affine map from font units to pixels for a whole font, so a glyph can be carried back into a font.

    .. math:: p_x = T_x + \\frac{F H}{U} x, \\qquad p_y = T_y - \\frac{F H}{U} y

    with T_y = H/2 (1 + F) - B F H, and T_x such that the advance box is centred. U is units per em; y points up in
    the font and down on the canvas.

    Attributes:
        canvas: H, height and width of the canvas in pixels.
        scale: F, the part of the canvas that an em takes.
        shift: B, how far the baseline lies above the bottom of the em, in ems.
    """

    canvas: int
    scale: float = 0.8
    shift: float = 0.12

    @property
    def em(self) -> float:
        """Pixels of one em."""
        return self.canvas * self.scale

    def origin(self, advance: float) -> tuple[float, float]:
        """Where a glyph's origin lies, in pixels; its advance is in ems, and 1 for a full-width glyph."""
        return (self.canvas - self.em * advance) / 2, self.canvas / 2 * (1 + self.scale) - self.shift * self.em

    def forward(self, x: float, y: float, advance: float, units_per_em: int) -> tuple[float, float]:
        """From font units to pixels."""
        left, base = self.origin(advance)
        return left + self.em * x / units_per_em, base - self.em * y / units_per_em

    def inverse(self, x: float, y: float, advance: float, units_per_em: int) -> tuple[float, float]:
        """From pixels to font units."""
        left, base = self.origin(advance)
        return (x - left) * units_per_em / self.em, (base - y) * units_per_em / self.em


class Face:
    """One face of a font file.

    Args:
        name: a path; with ``#2`` after it the face of that number in a collection; or the bare name of a font that
            matplotlib ships, such as ``DejaVuSans``.

    Raises:
        UserError: no such file, no such face, or a damaged font.
    """

    def __init__(self, name: str, known: bool = False):
        self.name = name
        self.path, self.index = _locate(name)
        self._shipped = _fonts_of_matplotlib() in self.path.parents
        try:
            if not (known or self._shipped):
                in_child("util.fonts.font_file:probe", self.path, self.index, seconds=SECONDS)
            self._file = open_font(self.path, self.index)
        except Exception as error:  # fontTools raises what a damaged table leads it to
            raise UserError(f"font {name}: cannot be read ({error or type(error).__name__})") from None
        self.font, self.units_per_em = self._file.font, self._file.units_per_em
        self.cmap, self.widths = self._file.cmap, self._file.widths
        self._sized: tuple[float, ImageFont.FreeTypeFont] | None = None

    @property
    def characters(self) -> Iterable[int]:
        """Code points that the font's map promises; see :meth:`real`."""
        return self.cmap

    @property
    def licence(self) -> str:
        """What the font says of its licence, the first line; empty where it says nothing."""
        names = self.font.get("name", None)
        text = (names.getDebugName(13) or names.getDebugName(14) or "") if names else ""
        return text.strip().splitlines()[0][:200] if text.strip() else ""

    def __reduce__(self) -> tuple[Any, ...]:  # open files do not travel to worker processes
        return Face, (self.name, True)

    def real(self, characters: Iterable[int]) -> set[int]:
        """Those characters that the font draws: mapped to a glyph whose outline is neither empty nor .notdef's.

        A character map alone promises too much: fonts from template editors map thousands of characters to nothing.
        """
        codes = [code for code in characters if code in self.cmap]
        try:
            if self._shipped:
                return self._file.real(codes)
            return set(in_child("util.fonts.font_file:find_real", self.path, self.index, codes, seconds=SECONDS))
        except Exception as error:
            raise UserError(f"font {self.name}: damaged outlines ({error or type(error).__name__})") from None

    def advance(self, code: int) -> float:
        """Width of a character's box in ems; 1 for full-width characters, whatever the font says."""
        if unicodedata.east_asian_width(chr(code)) in "WF":
            return 1.0
        return self.widths[self.cmap[code]][0] / self.units_per_em

    def draw(self, code: int, geometry: Geometry, box: float | None = None) -> np.ndarray:
        """The glyph in grey levels, (H, H) bytes: white 255, ink 0; ``box`` is centred where it is not the advance."""
        left, base = geometry.origin(self.advance(code) if box is None else box)
        canvas = Image.new("L", (geometry.canvas * OVERSAMPLING,) * 2, 255)
        try:
            ImageDraw.Draw(canvas).text(
                (left * OVERSAMPLING, base * OVERSAMPLING),
                chr(code),
                fill=0,
                anchor="ls",
                font=self._drawn_at(geometry.em * OVERSAMPLING),
            )
        except (OSError, ValueError, Image.DecompressionBombError) as error:  # the last of glyphs of a thousand ems
            raise UserError(f"font {self.name}: cannot draw U+{code:04X} ({error})") from None
        return np.array(canvas.reduce(OVERSAMPLING))

    def leaves_canvas(self, code: int, geometry: Geometry) -> bool:
        """Whether some ink of this glyph falls outside the canvas."""
        left, base = geometry.origin(self.advance(code))
        try:
            box = self._drawn_at(geometry.em * OVERSAMPLING).getbbox(chr(code), anchor="ls")
        except (OSError, ValueError, Image.DecompressionBombError) as error:  # the last of glyphs of a thousand ems
            raise UserError(f"font {self.name}: cannot draw U+{code:04X} ({error})") from None
        x0, y0, x1, y1 = (side / OVERSAMPLING for side in box)
        slack = 0.5  # of a pixel: antialiasing, not ink
        return min(x0 + left, y0 + base) < -slack or max(x1 + left, y1 + base) > geometry.canvas + slack

    def _drawn_at(self, size: float) -> ImageFont.FreeTypeFont:
        """FreeType's face; BASIC layout, since shaping would depend on how Pillow was built."""
        if self._sized is None or self._sized[0] != size:
            try:
                font = ImageFont.truetype(self.path, size, self.index, layout_engine=ImageFont.Layout.BASIC)
            except OSError as error:
                raise UserError(f"font {self.name}: cannot be drawn ({error})") from None
            self._sized = (size, font)
        return self._sized[1]


@cache
def _fonts_of_matplotlib() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf")


def _locate(name: str) -> tuple[Path, int]:
    text, _, number = name.rpartition("#") if name.rpartition("#")[2].isdecimal() else (name, "", "0")
    path = Path(text)
    if path.is_file():
        return path, int(number)
    if path.name == text and not path.suffix:
        folder = _fonts_of_matplotlib()
        if (folder / f"{text}.ttf").is_file():
            return folder / f"{text}.ttf", int(number)
        hint = nearest(text, (p.stem for p in folder.glob("*.ttf")))
        raise UserError(f"font {name}: neither a file nor a font that matplotlib ships{hint}")
    raise UserError(f"font {name}: no such file")


# ---- characters ------------------------------------------------------------------------------------------------------

# Scripts in which a character is a glyph; others need shaping.
PLAIN_SCRIPTS = (
    "LATIN",
    "GREEK",
    "CYRILLIC",
    "ARMENIAN",
    "GEORGIAN",
    "HIRAGANA",
    "KATAKANA",
    "BOPOMOFO",
    "CJK UNIFIED",
    "HANGUL SYLLABLE",
)


def _rows(codec: str, first: int, last: int) -> Iterator[str]:
    """Rows of a 94 x 94 national standard, decoded from its EUC form."""
    for row in range(first, last + 1):
        for cell in range(1, 95):
            yield bytes((0xA0 + row, 0xA0 + cell)).decode(codec, errors="ignore")


def _big5(first: int, last: int) -> Iterator[str]:
    for code in range(first, last + 1):
        if 0x40 <= code & 0xFF <= 0x7E or 0xA1 <= code & 0xFF <= 0xFE:
            yield code.to_bytes(2, "big").decode("big5", errors="ignore")


def _letters(script: str, *codecs: str) -> Iterator[str]:
    """Letters of one script in 8-bit encodings."""
    for codec in codecs:
        for character in bytes(range(128, 256)).decode(codec, errors="ignore"):
            if unicodedata.category(character) in ("Lu", "Ll", "Lo") and _name(character).startswith(script):
                yield character


def _name(character: str) -> str:
    return unicodedata.name(character, "")


def _ascii() -> Iterator[str]:
    return map(chr, range(0x21, 0x7F))


CHARSETS: dict[str, Callable[[], Iterable[str]]] = {
    "ascii": _ascii,  # 94
    "letters": lambda: filter(str.isalpha, _ascii()),  # 52
    "latin": lambda: [
        *filter(str.isalpha, _ascii()),
        *_letters("LATIN", *(f"iso8859_{n}" for n in (1, 2, 3, 4, 9, 10, 13, 14, 15, 16))),
    ],
    "greek": lambda: _letters("GREEK", "iso8859_7"),
    "cyrillic": lambda: _letters("CYRILLIC", "iso8859_5", "koi8_u", "cp1251", "ptcp154"),
    "kana": lambda: _rows("euc_jp", 4, 5),  # 169
    "gb2312-1": lambda: _rows("gb2312", 16, 55),  # 3755
    "gb2312": lambda: _rows("gb2312", 16, 87),  # 6763
    "big5-1": lambda: _big5(0xA440, 0xC67E),  # 5401
    "jisx0208-1": lambda: _rows("euc_jp", 16, 47),  # 2965
    "jisx0208": lambda: _rows("euc_jp", 16, 84),  # 6355
    "hangul": lambda: _rows("euc_kr", 16, 40),  # 2350
}


def charset(name: str, faces: Iterable[Any] = ()) -> list[int]:
    """Code points of a named set of characters, or of every character in a text file; sorted, each once.

    ``auto`` is what the character maps of the faces promise, in scripts that need no shaping.

    Raises:
        UserError: neither a name nor a readable UTF-8 file.
    """
    if name == "auto":
        promised = [set(face.characters) for face in faces]
        return sorted(code for code in set.union(set(), *promised) if code < SYNTHETIC and _is_plain(chr(code)))
    if name in CHARSETS:
        return sorted({ord(character) for text in CHARSETS[name]() for character in text})
    path = Path(name)
    if not path.is_file():
        raise UserError(
            f"--charset {name}: neither a file nor one of auto, {', '.join(CHARSETS)}"
            f"{nearest(name, ['auto', *CHARSETS])}"
        )
    try:
        text = bytes_of(path, MOST_TEXT).decode("utf-8-sig")
    except ValueError as error:
        raise UserError(f"--charset {name}: cannot be read as UTF-8 text ({error})") from None
    codes = sorted({ord(character) for character in text if unicodedata.category(character)[0] not in "ZC"})
    if not codes:
        raise UserError(f"--charset {name}: holds no characters")
    return codes


def _is_plain(character: str) -> bool:
    if "!" <= character <= "~":
        return True
    return (
        unicodedata.category(character) in ("Lu", "Ll", "Lo")
        and _name(character).startswith(PLAIN_SCRIPTS)
        and not unicodedata.decomposition(character).startswith("<")
    )


def character_name(code: int) -> str:
    """A name for files, such as ``U+0041_A``; a character that is no letter or digit is left out of it.

    From SYNTHETIC up it is ``glyph_000012``: a glyph that was told from others without knowing its character.
    """
    if code >= SYNTHETIC:
        return f"glyph_{code - SYNTHETIC:06d}"
    character = chr(code)
    return f"U+{code:04X}" + (f"_{character}" if unicodedata.category(character)[0] in "LN" else "")


def split(
    characters: Iterable[int], seed: int, fraction: float, test: int | None = None, train: int | None = None
) -> tuple[list[int], list[int]]:
    """Training and test characters, disjoint; a function of the set and the seed, whatever the order.

    Both halves get at least one character where there are two and ``fraction`` is above 0. ``test`` is their number
    for the test in place of ``fraction``, ``train`` the most for training.
    """
    drawn = sorted(set(characters), key=lambda code: derive(seed, "split", code))
    count = round(len(drawn) * fraction) if test is None else min(test, len(drawn))
    if test is None and fraction > 0 and len(drawn) > 1:
        count = min(max(count, 1), len(drawn) - 1)
    return sorted(drawn[count:][:train]), sorted(drawn[:count])
