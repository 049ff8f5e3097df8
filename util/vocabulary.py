"""The words of captions, and their numbers."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from options import nearest
from options.shown import shown
from util import distributed
from util.words import EARLIER, SPLITS, UAX29, letters_of, words_of

PADDING, UNKNOWN, FIRST = 0, 1, 2
LONG = 40  # letters of a word at most, before it is asked whether it is one


class Vocabulary:
    """The words a caption may hold: 0 is padding, 1 any unknown word, the rest follow in the order given.

    Args:
        words: each once, as ``tokens`` spells them.
        complete: no training caption has another one. The vector of unknown words is then one that nothing taught, so
            they are left out of what is read.
        rule: by which captions are split into words; a run keeps the one it was trained with.
    """

    def __init__(self, words: Iterable[str], complete: bool = False, rule: str = UAX29):
        self.known, self.complete, self.rule = tuple(words), complete, rule
        if rule not in SPLITS:
            raise ValueError(f"a vocabulary of words by the rule {rule[:40]!r}, which a newer version may know")
        self.number = {word: FIRST + i for i, word in enumerate(self.known)}
        if len(self.number) < len(self.known):
            twice = next(word for word, times in Counter(self.known).items() if times > 1)
            raise ValueError(f"a vocabulary holds each word once, but {twice!r} comes twice")

    @classmethod
    def build(cls, captions: Iterable[str], most: int, rule: str = UAX29) -> "Vocabulary":
        """Of the ``most`` most frequent words, the first to occur before others as frequent."""
        counts = Counter(word for caption in captions for word in cls.tokens(caption, rule))
        return cls((word for word, _ in counts.most_common(most)), len(counts) <= most, rule)

    @staticmethod
    def tokens(caption: str, rule: str = UAX29) -> list[str]:
        """The words of a caption, as :func:`util.words.words_of` has them."""
        return words_of(caption, rule)

    def __len__(self) -> int:
        """How many numbers there are, those of padding and of unknown words included."""
        return FIRST + len(self.known)

    def read(self, caption: str) -> list[str]:
        """The words of a caption that are read: all, but for unknown ones where no training caption has any."""
        words = self.tokens(caption, self.rule)
        known = [word for word in words if word in self.number]
        return known if self.complete and known else words

    def row(self, caption: str, most: int) -> list[int]:
        """The numbers of the first ``most`` words that are read."""
        return [self.number.get(word, UNKNOWN) for word in self.read(caption)[:most]]

    def ids(self, captions: Sequence[str], most: int) -> torch.Tensor:
        """(B, T) int64: each caption's ``row``, T being the most words that any of them has."""
        return pad([self.row(caption, most) for caption in captions])

    def unknown(self, caption: str) -> list[str]:
        """The words of a caption that have no number of their own, each once."""
        return list(dict.fromkeys(word for word in self.tokens(caption, self.rule) if word not in self.number))

    def suggest(self, word: str) -> str:
        """ "; did you mean X?" when a known word is spelt like this one, else nothing."""
        return nearest(word, self.known)

    def digest(self) -> str:
        """sha256 of the words in their order and of their rule, in hexadecimal."""
        told = self.known if self.rule == EARLIER else [self.rule, *self.known]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``from_dict`` reads it."""
        rule = {} if self.rule == EARLIER else {"rule": self.rule}
        return {"words": list(self.known), "complete": self.complete, **rule}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Vocabulary":
        words, complete = (value.get(key) if isinstance(value, Mapping) else None for key in ("words", "complete"))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError('a vocabulary is {"words": [...]}, a list of texts')
        rule = value.get("rule", EARLIER)
        return cls(words, bool(complete), rule if isinstance(rule, str) else str(rule))


def pad(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """(B, T) int64 of rows of numbers, zeros behind a row's end; T is at least 1."""
    longest = max((len(row) for row in rows), default=1)
    return torch.tensor([[*row, *[PADDING] * (longest - len(row))] for row in rows], dtype=torch.int64).view(
        len(rows), longest
    )


def tell_of_words(vocabulary: Vocabulary, captions: Sequence[str], most: int) -> None:
    """Say what is lost of captions of which ``most`` words are read, and what is odd about their words."""
    cut, other, long = 0, list[str](), list[str]()
    for caption in captions:
        words = vocabulary.tokens(caption, vocabulary.rule)
        cut += len(words) > most and len(vocabulary.read(caption)) > most
        if vocabulary.rule == EARLIER and words != vocabulary.tokens(caption):
            other.append(caption)
        elif odd := next((word for word in words if len(word) > LONG and letters_of(word) > LONG), ""):
            long.append(odd)
    of = f"of {len(captions)} captions"
    if cut and distributed.rank() == 0:
        print(f"--max_words {most}: {cut} {of} are longer and are cut")
    if other:
        then, now = (len(vocabulary.tokens(other[0], rule)) for rule in (EARLIER, UAX29))
        distributed.say_once(
            f"this run keeps the words that it was trained with, which are not yet Unicode's: {len(other)} {of} would "
            f"be split otherwise today, the first, {shown(other[0][:LONG])!r}, into {now} words and not {then}; a run "
            "that is trained anew has today's words"
        )
    if long:
        distributed.say_once(
            f"{len(long)} {of} have a word of over {LONG} letters, the first: {shown(long[0][:LONG])}..."
        )
