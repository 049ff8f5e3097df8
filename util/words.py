"""The words of a text in any script, by Unicode's rules (UAX 29), and by the rule of runs before these.

A word is what lies between two boundaries of words, a mark (anything that is neither letter, digit nor white space) is
a word of its own. Tailored, as UAX 29 leaves to its users:

- scripts that put no spaces between words have a word for each letter as a reader sees it, a grapheme cluster;
- hyphens and apostrophes between letters join them, whatever stands beside them (sans-serif, 90's);
- full stops, commas, colons and underscores never do (a bike.he is four words), nor do spaces.

Hence ASCII has the words that it had by the earlier rule; which others differ, docs/captions.md says.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from options import UserError

UAX29, EARLIER = "UAX 29", ""  # as a run's vocabulary names the rule that its captions were read by

# The earlier rule: letters and digits with apostrophes and hyphens between them. A vowel sign above or beside a letter
# counts as a mark, and a clause without spaces is one word.
ASCII = re.compile(r"[^\W_]+(?:['’‐-][^\W_]+)*|[^\w\s]|_")
UNSPACED = (
    r"(?=\p{L})(?=[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{Bopomofo}\p{Yi}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Ahom}\p{Javanese}\p{Balinese}])"
)
LETTER = rf"(?!{UNSPACED})(?=[\p{{L}}\p{{N}}])\X"
WORD = (  # with (?w) no boundary, \B, is what UAX 29 says, whose classes WB=... are
    rf"(?w){UNSPACED}\X\p{{M}}*"
    rf"|{LETTER}(?:{LETTER}|['’‐-]{LETTER}|\B(?!{UNSPACED})(?![\s:\ufe13\ufe55\uff1a\p{{WB=MN}}\p{{WB=MB}}\p{{WB=EX}}])\X)*"
    r"|(?!\s)\X"
)
# What nobody sees and no word is told by: soft hyphens, word joiners, marks of direction. Joiners inside words stay.
INVISIBLE = re.compile("[\xad\u061c\u180e\u200e\u200f\u2060-\u2064\u206a-\u206f]")
# No words: control characters, byte-order marks, and marks that turn the direction of whatever follows on a page.
UNSEEN = re.compile("[\\s\x00-\x1f\x7f-\x9f\ufeff\u200b\u202a-\u202e\u2066-\u2069]+")
AFTER_LETTER = frozenset(("in", "and", "or", "with", "as"))  # these follow a letter and no article: "A in bold"


def cleaned(text: str) -> str:
    """One line in Unicode's composed form: white space and control characters become single spaces."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair, which JSON can hold, has no UTF-8
    return UNSEEN.sub(" ", unicodedata.normalize("NFC", text)).strip()


def words_of(text: str, rule: str = UAX29) -> list[str]:
    """The words of a text, small but for single letters, which captions of glyphs tell apart.

    ``The letter G, sans-serif.`` becomes ``the letter G , sans-serif .``. An A in front is the article or the letter,
    by what follows.

    Raises:
        UserError: there are none.
    """
    words = SPLITS[rule](text)
    if not words:
        raise UserError(f"caption {text!r}: it has no words; write at least one")
    if words[0] == "A" and _follows_article(words[1:2]):
        words[0] = "a"
    small = _lower if rule == EARLIER else _folded
    return [small(word) for word in words]


def is_article(following: str) -> bool:
    """Whether an A in front of this text is the article; in front of a mark, "in" and the like it is the letter."""
    return _follows_article(_by_uax29(following)[:1])


def letters_of(word: str) -> int:
    """How many a reader sees in it."""
    return len(word) if word.isascii() else len(pattern(r"\X").findall(word))


@cache
def pattern(text: str) -> Any:
    """Compiled where it is first used: English and scripts without captions do without, and start sooner."""
    import regex

    return regex.compile(text)


def _follows_article(words: list[str]) -> bool:
    return any(word[0].isalnum() and word.lower() not in AFTER_LETTER for word in words)


def _earlier(text: str) -> list[str]:
    return ASCII.findall(unicodedata.normalize("NFC", text))


def _by_uax29(text: str) -> list[str]:
    if text.isascii():  # the same words ten times as fast
        return ASCII.findall(text)
    return pattern(WORD).findall(INVISIBLE.sub("", unicodedata.normalize("NFC", text)))


def _lower(word: str) -> str:
    return word if len(word) == 1 else word.lower()


def _folded(word: str) -> str:
    return word if letters_of(word) == 1 else unicodedata.normalize("NFC", word.casefold())


SPLITS: Mapping[str, Callable[[str], list[str]]] = {UAX29: _by_uax29, EARLIER: _earlier}
