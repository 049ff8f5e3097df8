"""The words of captions, and their numbers."""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from options import UserError, nearest

PADDING, UNKNOWN, FIRST = 0, 1, 2

# A word holds letters and digits of any script, with apostrophes and hyphens between them; the rest are marks.
WORD = re.compile(r"[^\W_]+(?:['’‐-][^\W_]+)*|[^\w\s]|_")
# No words: control characters, byte-order marks, and marks that turn the direction of whatever follows on a page.
UNSEEN = re.compile("[\\s\x00-\x1f\x7f-\x9f\ufeff\u200b\u202a-\u202e\u2066-\u2069]+")
AFTER_LETTER = frozenset(("in", "and", "or", "with", "as"))  # these follow a letter and no article: "A in bold"


def cleaned(text: str) -> str:
    """One line in Unicode's composed form: white space and control characters become single spaces."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair, which JSON can hold, has no UTF-8
    return UNSEEN.sub(" ", unicodedata.normalize("NFC", text)).strip()


def is_article(following: str) -> bool:
    """Whether an A in front of this text is the article; in front of a mark, "in" and the like it is the letter."""
    word = WORD.search(following)
    return word is not None and word[0][0].isalnum() and word[0].lower() not in AFTER_LETTER


class Vocabulary:
    """The words a caption may hold: 0 is padding, 1 any unknown word, the rest follow in the order given.

    Args:
        words: each once, as ``tokens`` spells them.
        complete: no training caption has another one. The vector of unknown words is then one that nothing taught, so
            they are left out of what is read.
    """

    def __init__(self, words: Iterable[str], complete: bool = False):
        self.known, self.complete = tuple(words), complete
        self.number = {word: FIRST + i for i, word in enumerate(self.known)}
        if len(self.number) < len(self.known):
            twice = next(word for word, times in Counter(self.known).items() if times > 1)
            raise ValueError(f"a vocabulary holds each word once, but {twice!r} comes twice")

    @classmethod
    def build(cls, captions: Iterable[str], most: int) -> "Vocabulary":
        """Of the ``most`` most frequent words, the first to occur before others as frequent."""
        counts = Counter(word for caption in captions for word in cls.tokens(caption))
        return cls((word for word, _ in counts.most_common(most)), complete=len(counts) <= most)

    @staticmethod
    def tokens(caption: str) -> list[str]:
        """The words of a caption, lower-cased but for single characters, which captions of glyphs tell apart.

        ``The letter G, sans-serif.`` becomes ``the letter G , sans-serif .``: a mark is a word of its own. An A in
        front is the article or the letter, by what follows. Refuses a caption without any.
        """
        words = WORD.findall(unicodedata.normalize("NFC", caption))
        if not words:
            raise UserError(f"caption {caption!r}: it has no words; write at least one")
        if words[0] == "A" and is_article("".join(words[1:2])):
            words[0] = "a"
        return [word if len(word) == 1 else word.lower() for word in words]

    def __len__(self) -> int:
        """How many numbers there are, those of padding and of unknown words included."""
        return FIRST + len(self.known)

    def read(self, caption: str) -> list[str]:
        """The words of a caption that are read: all, but for unknown ones where no training caption has any."""
        words = self.tokens(caption)
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
        return list(dict.fromkeys(word for word in self.tokens(caption) if word not in self.number))

    def suggest(self, word: str) -> str:
        """ "; did you mean X?" when a known word is spelt like this one, else nothing."""
        return nearest(word, self.known)

    def digest(self) -> str:
        """sha256 of the words in their order, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.known).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``from_dict`` reads it."""
        return {"words": list(self.known), "complete": self.complete}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Vocabulary":
        words, complete = (value.get(key) if isinstance(value, Mapping) else None for key in ("words", "complete"))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError('a vocabulary is {"words": [...]}, a list of texts')
        return cls(words, bool(complete))


def pad(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """(B, T) int64 of rows of numbers, zeros behind a row's end; T is at least 1."""
    longest = max((len(row) for row in rows), default=1)
    return torch.tensor([[*row, *[PADDING] * (longest - len(row))] for row in rows], dtype=torch.int64).view(
        len(rows), longest
    )
