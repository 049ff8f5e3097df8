"""The index of a set of shards: where each picture lies, its class and its captions. Made once, kept, mapped.

A sample is the files of one name up to its first dot: ``cat/0001.jpg``, ``cat/0001.cls``, ``cat/0001.txt``. Every
picture is an item, but not what lies beside one under a longer ending, as ``0001.seg.png``.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from data.items.columns import Growing
from options.shown import shown
from util.listing import ENDINGS, OF_THE_SYSTEM
from util.reading.json_file import decode_json
from util.reading.tar import Broken, Member, Read, members
from util.words import cleaned

VERSION = 1
MOST_FILE = 256 << 20  # bytes of a picture
MOST_TEXT = 1 << 20  # bytes of what is written of one
MOST_LABEL = 200  # characters
MOST_CHARACTERS = 100_000  # of a caption
LABELS, CAPTIONS = ("cls", "class", "label"), ("caption", "captions", "text")  # keys of a .json
TOLD = ("cls", "txt", "caption", "json")  # endings of what is written of a picture
SEPARATOR = "\n"  # between captions of a picture, each of which is one line
NAMED = 4  # in a message


class Builder:
    """Collects rows, a shard at a time, in little memory: numbers in arrays, texts one after another."""

    def __init__(self) -> None:
        self.shard, self.folder, self.label = array("i"), array("i"), array("i")
        self.offset, self.size = array("q"), array("i")
        self.names, self.captions, self.folders, self.labels = Growing(), Growing(), Growing(), Growing()
        self.left, self.odd, self.empty = Cases(), Cases(), Cases()
        self.others: Counter[str] = Counter()
        self.broken: list[list[Any]] = []  # [name of a shard, why, pictures before]

    def add(self, number: int, name: str, read: Read, size: int) -> None:
        """The pictures of one shard."""
        found, broken = _Shard(self), ""
        try:
            for member in members(read, size):
                found.see(member, read)
        except Broken as error:
            broken = str(error)
        rows = list(found.rows())
        if broken:
            self.broken.append([name, broken, len(rows)])
        elif not rows:
            self.empty.add(name)
        for member, label, captions in rows:
            folder, _, base = member.name.rpartition("/")
            self.shard.append(number)
            self.folder.append(self.folders.number(folder))
            self.label.append(self.labels.number(label) if label else -1)
            self.offset.append(member.offset)
            self.size.append(member.size)
            self.names.add(base)
            self.captions.add(SEPARATOR.join(captions))

    def notes(self) -> list[str]:
        """What is not read, a line each."""
        found = [
            self.empty.line("shards hold no pictures"),
            self.left.line("files are left out, that lead out of a shard, are links or devices, or are too large"),
            self.odd.line("classes or captions cannot be used"),
        ]
        if self.others:
            kinds = ", ".join(f"{count} {shown(kind[:20])}" for kind, count in self.others.most_common(NAMED))
            found.append(f"{sum(self.others.values())} files are not read: {kinds}")
        return [line for line in found if line]

    def columns(self) -> dict[str, Any]:
        numbers = {key: getattr(self, key) for key in ("shard", "folder", "label", "offset", "size")}
        texts = {"name": self.names, "caption": self.captions, "folders": self.folders, "labels": self.labels}
        found = dict(numbers)
        for name, growing in texts.items():
            found |= growing.columns(name)
        return found


def key_of(names: Sequence[str], base: str = "") -> str:
    """What the index of a set is called."""
    return hashlib.sha256(json.dumps([VERSION, base, *names]).encode("utf-8", "surrogateescape")).hexdigest()[:24]


class Cases:
    """How many there are of something, and the first of them."""

    def __init__(self) -> None:
        self.count, self.first = 0, list[str]()

    def add(self, case: str) -> None:
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(shown(case[:100]))

    def line(self, what: str) -> str:
        some = ", ".join(self.first) + ", ..." * (self.count > NAMED)
        return f"{self.count} {what}: {some}" if self.count else ""


class _Shard:
    """The members of one shard by their names; what is not read is counted by the builder."""

    def __init__(self, builder: Builder):
        self.pictures: dict[str, Member] = {}
        self.told: dict[str, dict[str, str]] = {}  # sample -> ending -> what is written
        self.left, self.odd, self.others = builder.left, builder.odd, builder.others

    def see(self, member: Member, read: Read) -> None:
        name = member.name
        while name.startswith("./"):
            name = name[2:]
        parts = [part for part in name.split("/") if part not in ("", ".")]
        leads_out = ".." in parts or name.startswith("/") or "\\" in name or ":" in name[:2] or "\0" in name
        if leads_out or not parts or not member.plain or member.size > MOST_FILE:
            self.left.add(member.name)
            return
        if any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() in OF_THE_SYSTEM:
            return
        name = "/".join(parts)
        ending = name.rpartition(".")[2].lower()
        if name.lower().endswith(ENDINGS):
            self.pictures[name] = member._replace(name=name)  # of two of one name the later one, as tar has it
        elif ending in TOLD and sample_of(name)[1].lower() == ending and member.size <= MOST_TEXT:
            data = read(member.offset, member.size)
            try:
                self.told.setdefault(sample_of(name)[0], {})[ending] = data.decode("utf-8-sig")
            except UnicodeDecodeError:
                self.odd.add(f"{name} is not UTF-8")
        else:
            self.others[f".{ending}" if "." in parts[-1] else "without ending"] += 1

    def rows(self) -> Iterator[tuple[Member, str, list[str]]]:
        """Pictures with their class, empty where none is told, and their captions, in the order of the shard."""
        whole = {sample for sample, ending in map(sample_of, self.pictures) if _is_single(ending)}
        for name, member in self.pictures.items():
            sample, ending = sample_of(name)
            if sample in whole and not _is_single(ending):
                self.others[f".{ending}"] += 1
                continue
            told = self.told.get(sample, {})
            fields = self._fields(sample, told.get("json"))
            yield member, self._label(sample, told.get("cls"), fields), _captions(told, fields)

    def _fields(self, sample: str, text: str | None) -> dict[str, Any]:
        try:
            value: Any = {} if text is None else decode_json(text)
        except ValueError as error:
            self.odd.add(f"{sample}.json: {error}")
            return {}
        return value if isinstance(value, dict) else {}

    def _label(self, sample: str, text: str | None, fields: dict[str, Any]) -> str:
        value: Any = next((fields[key] for key in LABELS if key in fields), "") if text is None else text
        if isinstance(value, bool) or not isinstance(value, str | int):
            return ""
        label = str(value).strip()
        if len(label) > MOST_LABEL or not label.isprintable() or "/" in label or label in (".", ".."):
            self.odd.add(f"the class of {sample} is no name: {label[:40]}")
            return ""
        return label


def sample_of(name: str) -> tuple[str, str]:
    """A file's sample, with its folder, and its ending: all after the first dot."""
    folder, mark, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return folder + mark + stem, ending


def _is_single(ending: str) -> bool:
    return "." not in ending or ending.lower() == "nii.gz"


def _captions(told: dict[str, str], fields: dict[str, Any]) -> list[str]:
    """Of a .txt a line each; of a .json a text, or a list of them."""
    text = told.get("txt", told.get("caption"))
    if text is not None:
        found: list[Any] = text.splitlines()
    else:
        value: Any = next((fields[key] for key in CAPTIONS if key in fields), [])
        found = value if isinstance(value, list) else [value]
    texts = (item for item in found if isinstance(item, str) and len(item) <= MOST_CHARACTERS)
    return [text for text in map(cleaned, texts) if text]
