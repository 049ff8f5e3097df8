"""Tables of Hugging Face's ``datasets``: Arrow files that are mapped into memory, Parquet, or a name of their hub.

Columns are found by their types and names: pictures as ``image``, or both sides as ``imageA`` and ``imageB``; classes
as ``label``, captions as ``text`` or ``caption``. The parts of a table (train, test, trainA ...) are its phases.
"""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.items.collection import Collection
from data.items.index import CAPTIONS, MOST_CHARACTERS
from data.items.index import LABELS as LABEL_KEYS
from data.items.roots import PARTS, TABLE, NoShards
from data.loading.phases import PHASES, standard
from options import UserError
from util.extras import package
from util.words import cleaned

IMAGES = ("image", "img", "picture", "jpg", "png", "jpeg")
SIDES = (("imageA", "imageB"), ("image_A", "image_B"), ("A", "B"))
LABELS = (*LABEL_KEYS, "labels")
NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?(?::[\w.-]+)?")  # of the hub, and of one of its configurations
WHOLE = "pictures"  # what the only part of a table is called
OLDEST = 4  # major version: those before it run code that lies with data


def open_table(root: str, flag: str, cache: Path, allow_download: bool) -> "Table":
    """``hf:FOLDER``, ``hf:FILE.parquet``, or ``hf:NAME`` and ``hf:NAME:CONFIGURATION`` of the hub.

    Raises:
        NoShards: there is no such folder, or the name is not on this machine and nothing may be fetched.
        UserError: it is no table, or has no pictures.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    datasets = package("datasets", "hf", root)
    if int(datasets.__version__.partition(".")[0]) < OLDEST:
        raise UserError(f"--{flag} {root}: datasets {datasets.__version__} may run code of others; install {OLDEST} on")
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)  # what is wrong is said here
    spec = root.removeprefix(TABLE)
    path = Path(spec).expanduser()
    try:
        if path.exists():
            parts = _local(datasets, path, cache)
        elif NAME.fullmatch(spec) and not spec.startswith("."):
            parts = _named(datasets, spec, allow_download)
        else:
            raise NoShards(f"--{flag} {root}: no such folder or file, and no name of the hub")
    except UserError:
        raise
    except Exception as error:  # of a dozen packages, each with errors of its own
        if not path.exists() and not allow_download:
            raise NoShards(
                f"--{flag} {root}: no such folder, and no data of that name on this machine; give a local folder or "
                "--allow_download"
            ) from None
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"--{flag} {root}: cannot be read as a table ({why[:200]})") from None
    return Table(root, flag, parts)


def _local(datasets: Any, path: Path, cache: Path) -> Mapping[str, Any]:
    if path.is_dir() and any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        found = datasets.load_from_disk(str(path))
        return found if isinstance(found, dict) else {WHOLE: found}
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    if not files or files[0].suffix != ".parquet":
        raise ValueError("no .parquet in it, nor what save_to_disk writes")
    of: dict[str, list[str]] = {}
    for file in files:
        of.setdefault(_part_of(file, path), []).append(str(file))
    return datasets.load_dataset("parquet", data_files=of, cache_dir=str(cache))


def _part_of(file: Path, root: Path) -> str:
    """Of ``train-00000-of-00002.parquet``, or any name in ``train/``, the phase, with the side if there is one."""
    folders = file.relative_to(root).parts[:-1] if file != root else ()
    for word in (*folders, *PARTS.split(file.stem)):
        phase = word[:-1] if word[-1:] in ("A", "B") and standard(word[:-1]) in PHASES else word
        if standard(phase) in PHASES:
            return word
    return WHOLE


def _named(datasets: Any, spec: str, allow_download: bool) -> Mapping[str, Any]:
    name, _, configuration = spec.partition(":")
    how = datasets.DownloadConfig(local_files_only=not allow_download)
    found = datasets.load_dataset(name, configuration or None, download_config=how)
    return found if isinstance(found, dict) else {WHOLE: found}


class Table(Collection):
    """The pictures of all parts, one part after another, of two sides A before B."""

    def __init__(self, root: str, flag: str, parts: Mapping[str, Any]):
        self.root, self.flag, self.groups = root, flag, tuple(parts)
        self._pictures: list[tuple[Any, str]] = []  # (part without its other columns, column), a block of rows each
        self._texts: list[tuple[Any, str] | None] = []
        self.folders, self.labels = [""], []
        starts, shard, folder, label = [0], [], [], []
        for number, (name, part) in enumerate(parts.items()):
            for side, column in self._columns(name, part.features):
                view = part.select_columns([column])
                if type(part.features[column]).__name__ == "Image":
                    view = view.cast_column(column, type(part.features[column])(decode=False))
                self._pictures.append((view, column))
                text = next((key for key in CAPTIONS if key in part.features), None)
                self._texts.append(None if text is None else (part.select_columns([text]), text))
                if side and f"{name}{side}" not in self.folders:
                    self.folders.append(f"{name}{side}")
                starts.append(starts[-1] + len(part))
                shard.append(np.full(len(part), number, np.int32))
                folder.append(np.full(len(part), self.folders.index(f"{name}{side}" if side else ""), np.int32))
                label.append(self._labels_of(part))
        self._starts = np.array(starts)
        self.shard, self.folder, self.label = (np.concatenate(column) for column in (shard, folder, label))

    def _columns(self, name: str, features: Mapping[str, Any]) -> list[tuple[str, str]]:
        """[(side, column)] of the pictures of a part; a side is "" where there is one column."""
        for pair in SIDES:
            if all(column in features for column in pair):
                return list(zip("AB", pair, strict=True))
        typed = [key for key, kind in features.items() if type(kind).__name__ == "Image"]
        named = [key for key in IMAGES if key in features and key not in typed]
        if not typed and not named:
            there = ", ".join(list(features)[:8])
            raise UserError(
                f"--{self.flag} {self.root}: no column of pictures, such as image, in {name}; it has {there}"
            )
        return [("", (sorted(typed, key=lambda key: key not in IMAGES) or named)[0])]

    def _labels_of(self, part: Any) -> np.ndarray:
        """(N,) places in ``labels``, which grow; -1 where there is none."""
        column = next((key for key in LABELS if key in part.features), None)
        if column is None or type(part.features[column]).__name__ not in ("ClassLabel", "Value"):
            return np.full(len(part), -1, np.int32)
        values = part.select_columns([column]).with_format("arrow")[:].column(column).combine_chunks()
        encoded = values.dictionary_encode()
        names = getattr(part.features[column], "names", None)
        known = [value.as_py() for value in encoded.dictionary]
        if names:  # a number that has no name is of no class, as -1 in tests without answers
            texts = [_plain(names[value]) if 0 <= value < len(names) else "" for value in known]
        else:
            texts = [_plain(str(value)) for value in known]
        self.labels += [
            text for text in dict.fromkeys(map(_plain, names) if names else texts) if text not in self.labels
        ]
        place = {text: number for number, text in enumerate(self.labels) if text}
        places = np.array([place.get(text, -1) for text in texts] + [-1], np.int32)
        return places[encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)]

    # -- pictures ------------------------------------------------------------------------------------------------------

    def _at(self, row: int) -> tuple[int, int]:
        """Which block, and which of its rows."""
        block = int(np.searchsorted(self._starts, row, side="right")) - 1
        return block, row - int(self._starts[block])

    def read(self, row: int) -> bytes:
        block, number = self._at(row)
        view, column = self._pictures[block]
        try:
            value = view[number][column]
        except Exception as error:  # of damaged files
            raise UserError(f"{self.place(row)}: cannot be read ({type(error).__name__})") from None
        data = value.get("bytes") if isinstance(value, dict) else value
        if data is None and isinstance(value, dict) and value.get("path"):
            raise UserError(f"{self.place(row)}: lies in a file elsewhere, which a table does not have read")
        if not isinstance(data, bytes):
            raise UserError(f"{self.place(row)}: has no picture")
        return data

    def file_name(self, row: int) -> str:
        return f"{self._at(row)[1]:08}"

    def name(self, row: int) -> str:
        folder = self.folders[int(self.folder[row])]
        return f"{folder or self.groups[self.shard[row]]}/{self.file_name(row)}"

    def place(self, row: int) -> str:
        return f"{self.root}/{self.name(row)}"

    def captions_of(self, row: int) -> list[str]:
        block, number = self._at(row)
        told = self._texts[block]
        value = None if told is None else told[0][number][told[1]]
        texts = value if isinstance(value, list) else [value]
        found = (cleaned(text) for text in texts if isinstance(text, str) and len(text) <= MOST_CHARACTERS)
        return [text for text in found if text]

    def captioned(self) -> np.ndarray:
        found = [np.zeros(0, bool)]
        for (view, _), told in zip(self._pictures, self._texts, strict=True):
            found.append(np.zeros(len(view), bool) if told is None else _filled(*told))
        return np.concatenate(found)


def _filled(part: Any, column: str) -> np.ndarray:
    """Which rows of a column have a text, or a list that is not empty."""
    import pyarrow
    from pyarrow import compute

    values = part.with_format("arrow")[:].column(column)
    if pyarrow.types.is_string(values.type) or pyarrow.types.is_large_string(values.type):
        lengths = compute.utf8_length(compute.utf8_trim_whitespace(values))
    elif pyarrow.types.is_list(values.type) or pyarrow.types.is_large_list(values.type):
        lengths = compute.list_value_length(values)
    else:
        return np.zeros(len(values), bool)
    return compute.fill_null(lengths, 0).to_numpy() > 0


def _plain(name: str) -> str:
    """The name of a class as that of a file too."""
    return name.strip().replace("/", "-")
