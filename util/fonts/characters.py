"""Characters: their names in files and messages, those that no single glyph shows, and their division in two."""

import unicodedata
from collections.abc import Iterable

import regex

from options import UserError
from util.seeding import derive

SYNTHETIC = 0x110000  # the first number that is no code point
FIRST = 8  # that a message names
PIECES = regex.compile(r"\P{M}\p{M}+|[\u1100-\u11ff]+")  # a letter with its marks, and a syllable in its parts
# The scripts whose letters join, change or move by their neighbours, as Unicode's names of characters begin. What their
# digits and punctuation look like does not depend on others.
SHAPED = regex.compile(
    r"ADLAM|AHOM|ARABIC|BALINESE|BATAK|BENGALI|BHAIKSUKI|BRAHMI|BUGINESE|BUHID|CHAKMA|CHAM|CHORASMIAN|DEVANAGARI|"
    r"DIVES|DOGRA|ELYMAIC|GRANTHA|GUJARATI|GUNJALA|GURMUKHI|HANIFI|HANUNOO|JAVANESE|KAITHI|KANNADA|KAWI|KAYAH|"
    r"KHAROSHTHI|KHMER|KHOJKI|KHUDAWADI|LAO|LEPCHA|LIMBU|MAHAJANI|MAKASAR|MALAYALAM|MANDAIC|MANICHAEAN|MARCHEN|"
    r"MASARAM|MEETEI|MODI|MONGOLIAN|MULTANI|MYANMAR|NANDINAGARI|NEWA|NKO|ORIYA|PHAGS-PA|PSALTER|REJANG|SAURASHTRA|"
    r"SHARADA|SIDDHAM|SINHALA|SOGDIAN|SOYOMBO|SUNDANESE|SYLOTI|SYRIAC|TAGALOG|TAGBANWA|TAI|TAKRI|TAMIL|TELUGU|"
    r"THAANA|THAI|TIBETAN|TIRHUTA|TULU-TIGALARI|VEDIC|ZANABAZAR"
)


def character_name(code: int) -> str:
    """A name for files, such as ``U+0041_A``; a character that is no letter or digit is left out of it.

    From SYNTHETIC up it is ``glyph_000012``: a glyph that was told from others without knowing its character.
    """
    if code >= SYNTHETIC:
        return f"glyph_{code - SYNTHETIC:06d}"
    character = chr(code)
    return f"U+{code:04X}" + (f"_{character}" if unicodedata.category(character)[0] in "LN" else "")


def first_names(codes: Iterable[int], count: int = FIRST) -> str:
    """The first of these characters, for a message."""
    codes = list(codes)
    return " ".join(map(character_name, codes[:count])) + " ..." * (len(codes) > count)


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


# ---- what no single glyph shows --------------------------------------------------------------------------------------


def composed(text: str) -> str:
    """The text with one character for a letter and its marks where Unicode has one, and without variation selectors.

    Other characters stay as they are: Unicode's normal form would exchange compatibility ideographs.
    """
    joined = PIECES.sub(lambda match: unicodedata.normalize("NFC", match[0]), text)
    return "".join(character for character in joined if not _selects(character))


def refuse_shaped(codes: Iterable[int], flag: str) -> None:
    """Refuse characters that are no glyph of their own, for a network is shown one character at a time.

    Raises:
        UserError: names the flag, the first of them, and what they are.
    """
    codes = list(codes)
    shaped = [code for code in codes if code < SYNTHETIC and why_shaped(chr(code))]
    if shaped:
        kinds = ", ".join(dict.fromkeys(why_shaped(chr(code)) for code in shaped[: 4 * FIRST]))
        raise UserError(
            f"{flag}: {len(shaped)} of {len(codes)} characters take their shape from their neighbours ({kinds}), and "
            f"glyphs are drawn one by one: {first_names(shaped)}; leave them out"
        )


def why_shaped(character: str) -> str:
    """The script, or kind, of a character that has no glyph of its own; empty for any other."""
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    script = name.partition(" ")[0]
    if category[0] not in "LM" or unicodedata.decomposition(character).startswith("<"):  # one form of a letter is one
        return ""
    if SHAPED.fullmatch(script):
        return script.capitalize()
    if name.startswith(("HANGUL CHOSEONG", "HANGUL JUNGSEONG", "HANGUL JONGSEONG")):
        return "parts of Hangul syllables"
    return f"{script.capitalize()} marks" if category[0] == "M" else ""


def runs_leftwards(text: str, flag: str) -> bool:
    """Whether a text runs from right to left, all of it.

    Raises:
        UserError: a part of it runs the other way, or its brackets would have to be turned.
    """
    ways = [unicodedata.bidirectional(character) for character in text]
    if not {"R", "AL"} & set(ways):
        return False
    other = [ord(c) for c, way in zip(text, ways, strict=True) if way in ("L", "EN", "AN") or unicodedata.mirrored(c)]
    if other:
        raise UserError(
            f"{flag}: is set from right to left, and {first_names(dict.fromkeys(other))} would run the other way or be "
            "turned, which is not done; leave them out, or the rest"
        )
    return True


def _selects(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
