"""Which code pages a font serves (OS/2 ulCodePageRange): what Word and Windows ask before they offer it for a script.

A page is marked where the font has ENOUGH of the page's own characters. A font of few characters, a hand of 300 Han
or the kana alone, has enough of no page: then that page is marked which holds the most of what no marked page holds.

ENOUGH was measured on the national standards, level 1 of each against the others: kanji of JIS X 0208 are 82 % of Big5
level 1, all 13,051 of Big5 with kana 86 % of what Japanese needs. So a font of one standard has one page, and up to a
twentieth of it may have come out blank. One character, which is what fontTools asks for, marks a Simplified Chinese
font as Traditional.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache

from util.fonts.charsets import charset

ENOUGH = 0.95
ALPHABETS = {  # bit: encoding and what the names of its letters begin with; ASCII is Latin 1's alone
    1: ("cp1250", "LATIN"),
    2: ("cp1251", "CYRILLIC"),
    3: ("cp1253", "GREEK"),
    4: ("cp1254", "LATIN"),
    5: ("cp1255", "HEBREW"),
    6: ("cp1256", "ARABIC"),
    7: ("cp1257", "LATIN"),
    8: ("cp1258", "LATIN"),
    16: ("cp874", "THAI"),
}
WHOLE = {  # of the Macintosh and of DOS, with the lines that boxes are drawn with: all that is above ASCII
    29: "mac_roman",
    48: "cp869",
    49: "cp866",
    50: "cp865",
    51: "cp864",
    52: "cp863",
    53: "cp862",
    54: "cp861",
    55: "cp860",
    56: "cp857",
    57: "cp855",
    58: "cp852",
    59: "cp775",
    60: "cp737",
    62: "cp850",
    63: "cp437",
}
BASIC = {2: set(range(0x410, 0x450)), 3: set(range(0x391, 0x3CA))}  # all that Russian and Greek ask for
LATIN_1, JAPAN, SIMPLIFIED, KOREA, TRADITIONAL, JOHAB = 0, 17, 18, 19, 20, 21
LETTERS = ("L", "M")  # of Unicode's categories


def code_pages(characters: Iterable[int]) -> set[int]:
    """The bits of the pages, at least one: Latin 1 where nothing else is known, since Word shows no font without."""
    has = set(characters)
    marked = {page for page, own in _needed().items() if len(own & has) >= ENOUGH * len(own)}
    held = _held()
    letters = {code for code in has if unicodedata.category(chr(code))[0] in LETTERS}
    while len(rest := letters.difference(*(held.get(page, ()) for page in marked))) > (1 - ENOUGH) * len(letters):
        most = max(len(rest & held[page]) for page in held)
        if not most:
            break
        marked |= {page for page in held if len(rest & held[page]) == most}
    return marked or {LATIN_1}


@cache
def _needed() -> dict[int, set[int]]:
    """{page: what a font must have, nearly all of it}."""
    kana, ascii_letters = set(charset("kana")), set(charset("letters"))
    pages = {LATIN_1: ascii_letters, SIMPLIFIED: set(charset("gb2312-1")), TRADITIONAL: set(charset("big5-1"))}
    pages |= {JAPAN: kana | set(charset("jisx0208-1")), KOREA: set(charset("hangul"))}
    pages |= {JOHAB: {code for code in _codes("johab") if 0xAC00 <= code <= 0xD7A3}}
    for page, (codec, script) in ALPHABETS.items():
        letters = _letters(codec, script)
        pages[page] = letters & BASIC.get(page, letters)
    return pages | {page: set(_codes(codec)) for page, codec in WHOLE.items()}


@cache
def _held() -> dict[int, set[int]]:
    """{page: letters that a font may have for the sake of this page}; Han are no reason to call a font Korean."""
    kana = set(charset("kana"))
    han = {codec: {code for code in _codes(codec) if _is_han(code)} for codec in ("gb2312", "big5", "euc_jp")}
    bopomofo = set(range(0x3105, 0x312A))
    pages = {LATIN_1: set(charset("letters")) | _letters("cp1252", "LATIN")}
    pages |= {SIMPLIFIED: han["gb2312"], TRADITIONAL: han["big5"] | bopomofo, JAPAN: han["euc_jp"] | kana}
    pages |= {KOREA: set(range(0xAC00, 0xD7A4))}
    return pages | {page: _letters(codec, script) for page, (codec, script) in ALPHABETS.items()}


def _letters(codec: str, script: str) -> set[int]:
    return {
        code
        for code in _codes(codec)
        if unicodedata.category(chr(code))[0] in LETTERS and unicodedata.name(chr(code), "").startswith(script)
    }


def _codes(codec: str) -> set[int]:
    """Characters of an encoding of one or two bytes, without ASCII and controls."""
    words = [bytes((high,)) for high in range(0x80, 0x100)]
    if codec in ("gb2312", "big5", "euc_jp", "johab"):
        words = [bytes((high, low)) for high in range(0x81, 0x100) for low in range(0x31, 0x100)]
    texts = (word.decode(codec, errors="ignore") for word in words)
    return {ord(text) for text in texts if len(text) == 1 and text > "\x9f"}


def _is_han(code: int) -> bool:
    return 0x4E00 <= code <= 0x9FFF or code >= 0x20000
