"""What captions of characters say: one table of words, from which captions are written and by which they are read."""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from data.captions.sources import UNSAID
from util.words import is_article

# attribute -> value -> the words for it, the plainest first; a value without words is said by saying nothing
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "weight": {"thin": ("thin", "light", "regular"), "bold": ("bold", "heavy")},
    "stroke": {"thin": ("thin", "light"), "bold": ("bold", "heavy")},
    "slant": {"upright": ("upright", "straight"), "italic": ("italic", "slanted")},
    "family": {"serif": ("serif",), "sans": ("sans-serif", "sans"), "mono": ("monospaced", "typewriter")},
    "turn": {"none": (), "left": ("rotated left", "turned left"), "right": ("rotated right", "turned right")},
    "lean": {
        "upright": ("upright", "straight"),
        "left": ("leaning left", "slanting left"),
        "right": ("leaning right", "slanting right"),
    },
}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
UPPER, LOWER = ("capital", "uppercase"), ("small", "lowercase")
CALLED = (*UPPER, *LOWER, "letter", "digit", "number", "character")
CHARACTERS = ("letter", "digit")  # the attributes whose values are characters

_NAMED = re.compile(rf"(?<!\w)((?:(?:{'|'.join(CALLED)})\s+)+)['\"]?(\S)(?!\w)", re.IGNORECASE)
_ALONE = re.compile(r"(?<!\S)['\"]?(\S)(?!['’‐-]?\w)")
_NUMBER = re.compile(rf"(?<!\w)({'|'.join(NUMBERS)})(?!\w)", re.IGNORECASE)


def parse_caption(caption: str, attributes: Mapping[str, tuple[str, ...]]) -> np.ndarray:
    """What a caption says of each attribute: (A,) int64, the place in its values, UNSAID where it says nothing.

    Words that are not in the table are passed over. Of two words for one attribute the first counts.
    """
    said = [
        _character(caption, values) if name in CHARACTERS else _value(caption, name, values)
        for name, values in attributes.items()
    ]
    return np.array(said, dtype=np.int64)


def _value(caption: str, name: str, values: Sequence[str]) -> int:
    table = WORDS[name]
    words = {word: value for value, all_of_it in table.items() for word in all_of_it}
    longest = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    found = re.search(rf"(?<![\w-])({longest})(?![\w-])", " ".join(caption.split()), re.IGNORECASE)
    silent = next((value for value, all_of_it in table.items() if not all_of_it), "")
    value = words[found[1].lower()] if found else silent
    return values.index(value) if value in values else UNSAID


def _character(caption: str, values: Sequence[str]) -> int:
    """A single character after a word such as letter, else one that stands alone and is no article, else a number."""
    for found in _NAMED.finditer(caption):
        called, character = found[1].lower().split(), found[2]
        character = cased(character, True) if set(called) & set(UPPER) else character
        character = cased(character, False) if set(called) & set(LOWER) else character
        if character in values:
            return values.index(character)
    for found in _ALONE.finditer(caption):
        first = not caption[: found.start(1)].strip()
        article = found[1] == "a" or (found[1] == "A" and first)  # within a caption only the letter is a capital
        if found[1] in values and not (article and is_article(caption[found.end(1) :])):
            return values.index(found[1])
    number = _NUMBER.search(caption)
    value = str(NUMBERS.index(number[1].lower())) if number else ""
    return values.index(value) if value in values else UNSAID


def cased(character: str, upper: bool) -> str:
    """The capital or the small form; the character itself where that is not one character."""
    other = character.upper() if upper else character.lower()
    return other if len(other) == 1 else character


def called(character: str, rng: random.Random | None = None) -> str:
    """Such as "capital R", "small g", "digit 7"; with ``rng`` one of several ways, "letter R" among them."""
    ways: tuple[str, ...] = ("character",)
    if character.isdecimal():
        ways = ("digit", "number")
    elif character.isalpha() and character.upper() != character.lower():
        ways = (*(UPPER if character.isupper() else LOWER), "letter")
    return f"{rng.choice(ways) if rng else ways[0]} {character}"


def article(words: str) -> str:
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def told(
    shown: Sequence[Mapping[str, str]],
    attributes: Mapping[str, tuple[str, ...]],
    captions: Callable[[Mapping[str, str]], Sequence[tuple[str, Mapping[str, str]]]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The columns ``captions``, ``said`` and ``shown`` of :class:`Captioned`.

    Args:
        shown: of each picture, attribute -> value; what is not known is left out.
        captions: from what a picture shows to its captions, each with what it says.
    """
    known: dict[tuple[tuple[str, str], ...], tuple[tuple[str, ...], np.ndarray]] = {}
    for each in shown:
        key = tuple(each.items())
        if key not in known:
            texts, sayings = zip(*captions(each), strict=True)
            known[key] = texts, np.stack([_places(saying, attributes) for saying in sayings])
    pairs = [known[tuple(each.items())] for each in shown]
    return (
        objects(texts for texts, _ in pairs),
        objects(said for _, said in pairs),
        np.stack([_places(each, attributes) for each in shown]),
    )


def _places(of: Mapping[str, str], attributes: Mapping[str, tuple[str, ...]]) -> np.ndarray:
    places = [values.index(of[name]) if name in of else UNSAID for name, values in attributes.items()]
    return np.array(places, dtype=np.int64)


def objects(items: Iterable[Any]) -> np.ndarray:
    """(N,) whatever the items are; numpy would make a table of tuples of one length."""
    column = list(items)
    array = np.empty(len(column), dtype=object)
    array[:] = column
    return array
