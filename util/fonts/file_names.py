"""Which character a picture shows, as its file's name tells."""

import re
import unicodedata

from util.fonts.characters import SYNTHETIC

PLUS = re.compile(r"(?:[uU]\+|0[xX])([0-9a-fA-F]{1,6})(?:_(.*))?", re.DOTALL)
GLYPH_NAME = re.compile(r"uni([0-9a-fA-F]{4})|u([0-9a-fA-F]{4,6})")  # Adobe Glyph List Specification, section 2
DECIMAL = re.compile(r"[0-9]{2,7}")
HEXADECIMAL = re.compile(r"[0-9a-fA-F]{4,6}")
NUMBERED = re.compile(r"glyph_([0-9]{1,6})")
AGAIN = re.compile(r"(.+?)(?:[-_ ]([0-9]{1,2})| ?\(([0-9]{1,2})\))", re.DOTALL)


def code_of(stem: str) -> int | None:
    """The code point that a file's name (without extension) stands for, or None.

    The forms, the first that fits: a single character (``永``, and ``7`` is the digit); ``U+6C38`` or ``0x6C38``,
    alone or followed by ``_永`` or any other text of several letters; ``uni6C38`` and ``u6C38``; ``glyph_000012``, a
    character outside Unicode (:func:`.faces.character_name`); two to seven digits, which are decimal as in the
    published handwriting workflow, so ``5341`` is U+14DD and not 十; four to six hexadecimal digits with a letter
    among them. ``U+6C38_水`` contradicts itself and stands for nothing, and so do numbers of no possible character.
    """
    text = stem if len(stem) == 1 else unicodedata.normalize("NFC", stem)  # some systems store が in two parts
    if len(text) == 1:
        return _possible(ord(text))
    if match := PLUS.fullmatch(text):
        code = _possible(int(match[1], 16))
        said = match[2] or ""
        if code is not None and len(said) == 1 and said != unicodedata.normalize("NFC", chr(code)):
            return None
        return code
    if match := GLYPH_NAME.fullmatch(text):
        return _possible(int(match[1] or match[2], 16))
    if match := NUMBERED.fullmatch(text):
        return SYNTHETIC + int(match[1])
    if DECIMAL.fullmatch(text):
        return None if text.startswith("0") else _possible(int(text))
    if HEXADECIMAL.fullmatch(text):
        return _possible(int(text, 16))
    return None


def writing_of(stem: str) -> tuple[int | None, int]:
    """The code point, and which of several writings of it: 1 unless ``-2``, ``_2`` or ``(2)`` stands behind a name.

    ``U+6C38_2``, ``永-2``, ``永 (2)`` and ``U+6C38_永_2`` are second writings of 永; ``U+0032_2`` is the digit itself.
    """
    code, again, plus = code_of(stem), AGAIN.fullmatch(stem), PLUS.fullmatch(stem)
    itself = code is not None and plus is not None and plus[2] == chr(code)
    if again is None or itself or (known := code_of(again[1])) is None:
        return code, 1
    return known, int(again[2] or again[3])


def bare_base(stem: str) -> int:
    """16 or 10 for a bare number of four digits or more, which a folder of the other kind would mean otherwise."""
    if not HEXADECIMAL.fullmatch(stem):
        return 0
    return 10 if DECIMAL.fullmatch(stem) else 16


def _possible(code: int) -> int | None:
    """A code point that may have a glyph: no control, no surrogate, within Unicode."""
    if code >= SYNTHETIC or unicodedata.category(chr(code)) in ("Cc", "Cs"):
        return None
    return code
