"""Which captions are drawn and shown: those a user typed, and some of the data, spread over them."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import torch

from networks.text import Text
from options import UserError
from util import distributed
from util.reading.json_file import MOST_BYTES, bytes_of
from util.table import plural
from util.vocabulary import Vocabulary
from util.words import UAX29, cleaned

SLUG = 40  # characters of a caption in the name of its folder, and in a line that speaks of it


def typed_captions(opt: Any) -> list[str]:
    """Those of --caption or --caption_list, cleaned as those of data are, each once; none without either.

    Raises:
        UserError: the file cannot be read or is not UTF-8, or a caption has no words.
    """
    if opt.caption_list is None:
        captions = [] if opt.caption is None else [cleaned(opt.caption)]
        flag = "--caption"
    else:
        flag = f"--caption_list {opt.caption_list}"
        try:
            lines = bytes_of(Path(opt.caption_list), MOST_BYTES).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise UserError(f"{flag}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
        except ValueError as error:
            raise UserError(f"{flag}: {error}") from None
        there = [caption for caption in map(cleaned, lines) if caption]
        captions = list(dict.fromkeys(there))
        for count, what in ((len(lines) - len(there), "blank"), (len(there) - len(captions), "as another one")):
            if count:
                distributed.say_once(f"{flag}: {plural(count, 'line')} {what}, passed over")
        if not captions:
            raise UserError(f"{flag}: holds no caption; write one a line")
    for caption in captions:
        if not any(character.isalnum() for character in caption):
            raise UserError(f"{flag}: {caption!r} has no words; write at least one")
    return captions


def doubts(encoder: Any, caption: str) -> list[str]:
    """What a user should know of a caption: words that the encoder never read, words that it leaves out."""
    lines, vocabulary, strange = [], getattr(encoder, "vocabulary", None), encoder.unknown(caption)
    words, now = (Vocabulary.tokens(caption, rule) for rule in (vocabulary.rule if vocabulary else UAX29, UAX29))
    if strange:
        known = len(strange) < len(words)
        left = " and reads the rest" if vocabulary and vocabulary.complete and known else ""
        lines.append(f"the text encoder does not know {', '.join(map(repr, strange))}{left}")
    if words != now:
        told = plural(len(words), "word")
        lines.append(f"read as {told}, as this run was trained; by Unicode's rules it has {len(now)}")
    if vocabulary:  # words that are spelt like a very short one mean something else
        hints = ((word, vocabulary.suggest(word)) for word in strange if len(word) > 3)
        lines += [f"{word!r}{hint}" for word, hint in hints if hint]
    read, there = len(encoder.words(caption)), len(vocabulary.read(caption)) if vocabulary else 0
    if read < there:
        lines.append(f"--max_words {read}: its last {there - read} words are not read")
    return lines


def rows_in_turn(captions: Sequence[str], count: int) -> list[int]:
    """``count`` rows of captions, which may come twice: each text as often as any other, its rows in turn."""
    rows: dict[str, list[int]] = {}
    for row, caption in enumerate(captions):
        rows.setdefault(caption, []).append(row)
    groups = list(rows.values())
    if count < len(groups):
        groups = [groups[i] for i in evenly(len(groups), count)]
    return [(group := groups[i % len(groups)])[i // len(groups) % len(group)] for i in range(count)]


def evenly(there: int, count: int) -> list[int]:
    """``count`` places, or all, spread over those from 0 to ``there`` - 1."""
    return torch.linspace(0, there - 1, min(there, count)).round().long().tolist()


def slug(number: int, caption: str) -> str:
    """A name for files of a caption that every system takes; different for different numbers."""
    plain = unicodedata.normalize("NFKD", caption).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "-", plain)[:SLUG].strip("-")
    return f"{number:03d}_{words}" if words else f"{number:03d}"


def one_word_apart(captions: Sequence[str], words: Callable[[str], Sequence[str]], most: int) -> list[tuple[str, str]]:
    """Pairs of captions that differ in one word, at most so many; where they differ varies from pair to pair."""
    first: dict[tuple[int, tuple[str, ...]], str] = {}
    pairs: dict[int, list[tuple[str, str]]] = {}
    for caption in captions:
        own = tuple(words(caption))
        for place in range(len(own)):
            other = first.setdefault((place, (*own[:place], "", *own[place + 1 :])), caption)
            if words(other)[place] != own[place]:
                pairs.setdefault(place, []).append((other, caption))
    turns = zip_longest(*(pairs[place] for place in sorted(pairs)))
    return list(islice((pair for turn in turns for pair in turn if pair is not None), most))


def between(ends: Text, part: torch.Tensor) -> Text:
    """From the first of two captions of equal length to the second, straight, for parts (S,)."""

    def mix(x: torch.Tensor) -> torch.Tensor:
        t = part.to(x.device).view(-1, *[1] * (x.dim() - 1))
        return (1 - t) * x[:1] + t * x[1:]

    return Text(mix(ends.words), ends.mask[:1].expand(len(part), -1), mix(ends.sentence))
