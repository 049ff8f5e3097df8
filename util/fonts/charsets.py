"""Sets of characters by name: national standards, scripts, signs; and those of a text file."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from options import UserError, nearest
from options.listed import listed
from util.fonts.characters import SYNTHETIC, composed, refuse_shaped
from util.reading.json_file import bytes_of

MOST_TEXT = 64 << 20
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
HAN = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")
TWO_BYTES = [(lead, trail) for lead in range(0x81, 0xFF) for trail in range(0x40, 0xFF) if trail != 0x7F]
SECOND_PLANE = (1, *(3, 4, 5), 8, *range(12, 16), *range(78, 95))  # rows of JIS X 0213's plane 2
EXTENSION_A = range(0x3400, 0x4DB6)  # as of Unicode 3.0, which GB 18030-2000 takes over


def _rows(codec: str, rows: Iterable[int], prefix: bytes = b"") -> Iterator[str]:
    """Rows of a 94 x 94 national standard, decoded from its EUC form."""
    for row in rows:
        for cell in range(1, 95):
            yield (prefix + bytes((0xA0 + row, 0xA0 + cell))).decode(codec, errors="ignore")


def _big5(first: int, last: int, codec: str = "big5") -> Iterator[str]:
    for code in range(first, last + 1):
        if 0x40 <= code & 0xFF <= 0x7E or 0xA1 <= code & 0xFF <= 0xFE:
            yield code.to_bytes(2, "big").decode(codec, errors="ignore")


def _han(texts: Iterable[str]) -> Iterator[str]:
    return (character for character in chain.from_iterable(texts) if _name(character).startswith(HAN))


def _two_bytes(codec: str) -> Iterator[str]:
    return _han(bytes(pair).decode(codec, errors="ignore") for pair in TWO_BYTES)


def _jisx0213(level: int) -> Iterator[str]:
    """The kanji of a level that are in none below."""
    below = set(_rows("euc_jp", range(16, 85)))
    third = [kanji for kanji in _han(_rows("euc_jis_2004", range(14, 95))) if kanji not in below]
    fourth = _han(_rows("euc_jis_2004", SECOND_PLANE, b"\x8f"))
    return iter(third) if level == 3 else (kanji for kanji in fourth if kanji not in below.union(third))


def _letters(script: str, *codecs: str) -> Iterator[str]:
    """Letters of one script in 8-bit encodings."""
    for codec in codecs:
        for character in bytes(range(128, 256)).decode(codec, errors="ignore"):
            if unicodedata.category(character) in ("Lu", "Ll", "Lo") and _name(character).startswith(script):
                yield character


def _signs(*categories: str) -> Iterator[str]:
    """Of ASCII, Windows' Western set and the signs of four national standards, those of these categories."""
    western = bytes(range(128, 256)).decode("cp1252", errors="ignore")
    national = (_rows(codec, range(1, 13)) for codec in ("gb2312", "euc_jp", "euc_kr"))
    every = chain(_ascii(), western, chain.from_iterable(chain(*national)), chain.from_iterable(_big5(0xA140, 0xA3BF)))
    return (c for c in every if unicodedata.category(c).startswith(categories) and not "\uff00" <= c <= "\uffef")


def _name(character: str) -> str:
    return unicodedata.name(character, "")


def _ascii() -> Iterator[str]:
    return map(chr, range(0x21, 0x7F))


def _between(*ranges: tuple[int, int]) -> Iterator[str]:
    return (chr(code) for first, last in ranges for code in range(first, last + 1) if _name(chr(code)))


# Of standards with several parts, the ideographs or the syllables; their letters and signs have sets of their own.
CHARSETS: dict[str, Callable[[], Iterable[str]]] = {
    "ascii": _ascii,
    "letters": lambda: filter(str.isalpha, _ascii()),
    "latin": lambda: [
        *filter(str.isalpha, _ascii()),
        *_letters("LATIN", *(f"iso8859_{n}" for n in (1, 2, 3, 4, 9, 10, 13, 14, 15, 16))),
    ],
    "greek": lambda: _letters("GREEK", "iso8859_7"),
    "cyrillic": lambda: _letters("CYRILLIC", "iso8859_5", "koi8_u", "cp1251", "ptcp154"),
    "kana": lambda: _rows("euc_jp", (4, 5)),
    "bopomofo": lambda: _between((0x3105, 0x3129)),
    "punctuation": lambda: _signs("P"),
    "symbols": lambda: _signs("S", "No", "Nl"),
    "fullwidth": lambda: _between((0xFF01, 0xFF5E), (0xFFE0, 0xFFE6)),
    "halfwidth": lambda: _between((0xFF61, 0xFF9F)),
    "gb2312-1": lambda: _rows("gb2312", range(16, 56)),
    "gb2312-2": lambda: _rows("gb2312", range(56, 88)),
    "gb2312": lambda: _rows("gb2312", range(16, 88)),
    "gbk": lambda: _two_bytes("gbk"),
    "gb18030": lambda: [*_two_bytes("gbk"), *map(chr, EXTENSION_A)],
    "big5-1": lambda: _big5(0xA440, 0xC67E),
    "big5-2": lambda: _big5(0xC940, 0xF9D5),
    "big5": lambda: chain(_big5(0xA440, 0xC67E), _big5(0xC940, 0xF9D5)),
    "jisx0208-1": lambda: _rows("euc_jp", range(16, 48)),
    "jisx0208-2": lambda: _rows("euc_jp", range(48, 85)),
    "jisx0208": lambda: _rows("euc_jp", range(16, 85)),
    "jisx0213-3": lambda: _jisx0213(3),
    "jisx0213-4": lambda: _jisx0213(4),
    "jisx0213": lambda: chain(_rows("euc_jp", range(16, 85)), _jisx0213(3), _jisx0213(4)),
    "hangul": lambda: _rows("euc_kr", range(16, 41)),
    "hangul-all": lambda: _between((0xAC00, 0xD7A3)),
    "hanja": lambda: _rows("euc_kr", range(42, 94)),
    "ksx1001": lambda: chain(_rows("euc_kr", range(16, 41)), _rows("euc_kr", range(42, 94))),
    # The ideographs and syllables of Adobe's collections, where a standard says which they are.
    "adobe-gb1-0": lambda: CHARSETS["gb2312"](),
    "adobe-gb1-2": lambda: CHARSETS["gbk"](),
    "adobe-gb1-3": lambda: CHARSETS["gbk"](),  # it adds turned forms of Latin letters alone
    "adobe-gb1-4": lambda: CHARSETS["gb18030"](),
    "adobe-cns1-0": lambda: [*CHARSETS["big5"](), *_big5(0xF9D6, 0xF9DC, "cp950")],  # with seven of ETen's
    "adobe-japan1-0": lambda: CHARSETS["jisx0208"](),
    "adobe-japan1-1": lambda: CHARSETS["jisx0208"](),
    "adobe-korea1-0": lambda: CHARSETS["ksx1001"](),
    "adobe-korea1-1": lambda: chain(CHARSETS["hangul-all"](), CHARSETS["hanja"]()),
}
# A collection that no list here states -> what comes nearest to it.
NEAREST = {
    "adobe-gb1": "gb18030",
    "adobe-cns1": "big5",
    "adobe-japan1": "jisx0213",
    "adobe-korea1": "adobe-korea1-1",
    "adobe-kr": "adobe-korea1-1",
}
SETS = f"{', '.join(CHARSETS)}; several may be joined by commas, such as gb2312-1,ascii"


def charset(name: str, faces: Iterable[Any] = (), flag: str = "--charset") -> list[int]:
    """Code points of a named set of characters, or of every character in a text file; sorted, each once.

    Sets and files are joined by commas. ``auto`` is what the character maps of the faces promise, in scripts that need
    no shaping.

    Raises:
        UserError: neither a name nor a readable UTF-8 file, or characters that are no glyph of their own.
    """
    found: set[int] = set()
    for part in _parts(name):
        known = part.lower()
        if known == "auto":
            promised = [set(face.characters) for face in faces]
            found |= {code for code in set.union(set(), *promised) if code < SYNTHETIC and _is_plain(chr(code))}
        elif known in CHARSETS and not Path(part).is_file():
            found |= {ord(character) for text in CHARSETS[known]() for character in text}
        else:
            found |= _of_file(part, name, flag)
    return sorted(found)


def _parts(name: str) -> list[str]:
    """Names and files between commas; a file may have commas in its name."""
    if Path(name).is_file():
        return [name]
    words = [word.strip() for word in name.split(",") if word.strip()]
    ends = range(len(words) + 1) if len(words) < 20 else ()
    joined = (",".join(words[a:b]) for a in ends for b in ends[a + 2 :])
    return listed(words, [file for file in joined if Path(file).is_file()]) or [name]


def _of_file(part: str, name: str, flag: str) -> set[int]:
    said, path = f"{flag} {name}" + f": {part}" * (part != name), Path(part)
    if not path.is_file():
        stem, _, number = part.lower().rpartition("-")
        family = stem if number.isdecimal() else part.lower()
        if family in NEAREST:
            there = ", ".join(known for known in CHARSETS if known.startswith(f"{family}-"))
            raise UserError(
                f"{said}: Adobe's list of this collection is not here, and no standard says what is in it"
                + f"; {there} are known" * bool(there)
                + f"; {NEAREST[family]} comes nearest"
            )
        raise UserError(f"{said}: neither a file nor one of auto, {SETS}{nearest(part, ['auto', *CHARSETS])}")
    try:
        text = composed(bytes_of(path, MOST_TEXT).decode("utf-8-sig"))
    except ValueError as error:
        raise UserError(f"{said}: cannot be read as UTF-8 text ({error})") from None
    codes = {ord(character) for character in text if unicodedata.category(character)[0] not in "ZC"}
    if not codes:
        raise UserError(f"{said}: holds no characters")
    refuse_shaped(sorted(codes), said)
    return codes


def _is_plain(character: str) -> bool:
    if "!" <= character <= "~":
        return True
    return (
        unicodedata.category(character) in ("Lu", "Ll", "Lo")
        and _name(character).startswith(PLAIN_SCRIPTS)
        and not unicodedata.decomposition(character).startswith("<")
    )
