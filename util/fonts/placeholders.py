"""One outline for many characters: letters that look alike, or a sign for those that a font does not have?

Some outlines are rightly shared: A, Greek Alpha and Cyrillic A; an ideograph and its compatibility form; letters with
and without accents, capitals and small ones in plain fonts; hyphens and dashes. What is left after such relations are
taken away is counted script by script, since a shape stands for no more than a few letters of one script (I, l and the
click ǀ; Ð, Đ and Ɖ). A box stands for as many as the font lacks.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable

LETTERS = 5  # of one script, from which on an outline is a sign, as among pictures (util.fonts.pictures.ALIKE)
SIGNS = 12  # not letters: nine hyphens, dashes and lines are one bar in many fonts, eight dots one point
LETTER, PRIVATE = ("L", "Nl"), ("Co", "Cn")


def is_placeholder(codes: Iterable[int]) -> bool:
    """Whether characters that have one and the same outline have it for want of their own."""
    characters = [chr(code) for code in set(codes)]
    if len(characters) < LETTERS:
        return False
    distinct = Counter(script for script, _ in {(_script(c), _skeleton(c)) for c in characters})
    return any(count >= (LETTERS if script else SIGNS) for script, count in distinct.items())


def _script(character: str) -> str:
    """The first word of a letter's name; "" for any other sign. Private characters are no kin."""
    category, plain = unicodedata.category(character), unicodedata.normalize("NFKC", character)
    if category in PRIVATE:
        return category
    if not category.startswith(LETTER):
        return ""
    return unicodedata.name(plain[:1], "").partition(" ")[0]


def _skeleton(character: str) -> str:
    """What letters that may share an outline have in common: no accents, capitals or compatibility forms."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.category(c).startswith("M"))
    return (plain or character).casefold()
