"""scikit-learn's handwritten digits with captions that are true by measurement: the number, its stroke, its lean."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from data.captions.sources import Captioned, CaptionSource
from data.captions.words import NUMBERS, WORDS, article, parse_caption, told
from data.pictures.sources import Stored
from data.pictures.sources import digits as labeled_digits
from util.seeding import derive

__all__ = ["digits", "parse_caption"]

LEANING = 4.0  # degrees beside what is usual for the number: of each, half to four fifths are upright
SYNONYMS, SHORTER = 5, 3  # captions that say everything in other words, and that leave something out


@dataclass(frozen=True)
class StoredWithCaptions(Captioned, Stored):
    """Pictures in memory, with captions."""


def digits(opt: Any, seed: int) -> CaptionSource:
    """1797 digits, 8 x 8 pixels of 17 levels: bright strokes on black.

    ``stroke`` is bold for the third of each number with the most ink and thin for that with the least; of the others it
    is not known. ``lean`` is that of :func:`lean` against the median of its number, since a 7 leans by its shape.
    """
    attributes = {
        "digit": tuple("0123456789"),
        **{name: tuple(WORDS[name]) for name in ("stroke", "lean")},
    }
    return CaptionSource("digits", attributes, {"every": partial(_read, attributes)}, channels=1)


def _read(attributes: Mapping[str, tuple[str, ...]]) -> StoredWithCaptions:
    stored = labeled_digits(None, 0).phases["every"]()
    assert isinstance(stored, Stored)
    shown = measured(stored.array[..., 0], stored.labels)
    return StoredWithCaptions(stored.labels, stored.names, stored.array, *told(shown, attributes, captions))


def measured(array: np.ndarray, labels: np.ndarray) -> list[dict[str, str]]:
    """What each of (N, H, W) pictures shows, bright on black: ``digit``, ``lean``, and ``stroke`` where it is known."""
    ink, angle = array.mean((1, 2)), lean(array)
    shown = [{"digit": str(label)} for label in labels]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        low, high = np.quantile(ink[rows], (1 / 3, 2 / 3))
        middle = np.median(angle[rows])
        for row in rows:
            if ink[row] < low or ink[row] > high:
                shown[row]["stroke"] = "thin" if ink[row] < low else "bold"
            beside = angle[row] - middle
            shown[row]["lean"] = "upright" if abs(beside) <= LEANING else "left" if beside < 0 else "right"
    return shown


def lean(array: np.ndarray) -> np.ndarray:
    r"""How far strokes lean to the right of upright, by the second moments of (N, H, W) pictures: (N,) degrees.

    .. math:: \alpha = -\arctan(\mu_{11} / \mu_{02})

    with the centred moments of brightness, x to the right and y down. A picture without ink leans by 0.
    """
    weight = array / np.maximum(array.sum((1, 2), keepdims=True), 1)
    down, right = np.indices(array.shape[1:])
    down = down - (weight * down).sum((1, 2), keepdims=True)
    right = right - (weight * right).sum((1, 2), keepdims=True)
    along, across = (weight * down * down).sum((1, 2)), (weight * down * right).sum((1, 2))
    return np.degrees(np.arctan2(-across, np.maximum(along, 1e-6)))  # a flat stroke has no height to lean by


def captions(shown: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """True captions of a digit and what each says, the fullest first; which ones, is a function of what it shows."""
    digit, rng = shown["digit"], random.Random(derive("captions", sorted(shown.items())))
    traits = {name: shown[name] for name in ("stroke", "lean") if name in shown}
    word = NUMBERS[int(digit)]
    found = {_before({name: WORDS[name][value][0] for name, value in traits.items()}, word): {"digit": digit, **traits}}
    for place in range(SYNONYMS + SHORTER):
        kept = dict(traits)
        if place >= SYNONYMS:
            left_out = rng.sample(list(traits), rng.randint(1, len(traits)))
            kept = {name: value for name, value in traits.items() if name not in left_out}
        words = {name: rng.choice(WORDS[name][value]) for name, value in kept.items()}
        found.setdefault(_phrase(digit, words, rng), {"digit": digit, **kept})
    return list(found.items())


def _before(words: Mapping[str, str], noun: str) -> str:
    """Such as "a bold upright handwritten seven", "a bold handwritten seven leaning right"."""
    after = [word for word in words.values() if " " in word]
    before = [word for word in words.values() if " " not in word]
    return article(" ".join([*before, "handwritten", noun, *after]))


def _phrase(digit: str, words: Mapping[str, str], rng: random.Random) -> str:
    noun = rng.choice((NUMBERS[int(digit)], digit, f"digit {digit}", f"number {digit}"))
    order = rng.choice(("before", "by hand", "list"))
    if order == "before":
        return _before(words, noun)
    traits = rng.sample(list(words.values()), len(words))
    if order == "by hand":
        return ", ".join([f"the {rng.choice(('digit', 'number'))} {digit} written by hand", *traits])
    return ", ".join([noun, "handwritten", *traits])
