"""Pictures of classes in a .zip or .tar, read in place: folders of classes, in those of phases where there are any."""

import io
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from data.loading.phases import PHASES, standard
from data.pictures.arrays import files_of
from data.pictures.folders import divided_or_whole
from data.pictures.label_files import annotations
from data.pictures.sources import Files, Missing, Pictures, Source
from options import UserError
from options.listed import in_words
from util import distributed
from util.heads import Head, head_of
from util.images import FORMATS, from_pillow
from util.listing import OF_THE_SYSTEM
from util.reading.packs import ENDINGS, Entry, Pack, open_pack
from util.reading.pixels import ORIENTATION, upright

PICTURES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp", ".gif", ".avif")
ANNOTATIONS = "val_annotations.txt"  # of Tiny-ImageNet


@dataclass(frozen=True)
class Packed(Files):
    """Pictures in an archive: ``paths`` are their names in it, ``rows`` the places of its entries."""

    rows: np.ndarray
    pack: Pack

    def path(self, row: int) -> str:
        return f"{self.pack.path}/{self.paths[row]}"

    def pixels(self, row: int, channels: int) -> np.ndarray:
        try:
            with self._opened(row) as image, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                turn = image.getexif().get(ORIENTATION, 1)
                return upright(from_pillow(image, channels), turn)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise UserError(f"{self.path(row)}: more than {Image.MAX_IMAGE_PIXELS} pixels; leave it out") from None
        except UserError as error:
            raise UserError(f"{self.path(row)}: {error}") from None
        except Exception as error:  # decoders of damaged files raise what they please
            reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else error
            raise UserError(f"{self.path(row)}: cannot be read ({reason})") from None

    def head(self, row: int) -> Head:
        with self._opened(row) as image:
            return head_of(image)

    def _opened(self, row: int) -> Image.Image:
        data = self.pack.read(self.pack.entries[self.rows[row]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)


def packed(kind: str, opt: Any, seed: int) -> Source:
    """An archive with folders of classes, or one for each phase, called ``train.zip`` and ``test.zip``.

    Raises:
        Missing: there is no such file.
        UserError: it is damaged, or has no pictures.
    """
    root = Path(opt.dataroot)
    files = files_of(root, ENDINGS[kind]) if root.exists() else {}
    if not files:
        raise Missing(f"--dataroot {root}: no file of {' '.join(ENDINGS[kind])}")
    parts: dict[str, tuple[Pack, dict[str, list[int]]]] = {}
    for phase, path in files.items():
        try:
            pack = open_pack(path, kind)
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: cannot be read as an archive of pictures ({error})") from None
        if pack.left:
            names = ", ".join(pack.left[:4]) + ", ..." * (len(pack.left) > 4)
            distributed.say_once(
                f"{path}: {len(pack.left)} files are left out, that lead out of it or are none: {names}"
            )
        for found, of_class in _laid_out(pack).items():
            parts[phase if found == "every" and phase else found] = pack, of_class
    first = parts.get("train") or next(iter(parts.values()))
    classes = tuple(sorted(first[1]))
    readers: dict[str, Callable[[], Pictures]] = {
        phase: partial(_read, pack, of_class, classes)
        for phase, (pack, of_class) in parts.items()
        if set(of_class) & set(classes)
    }
    for phase in parts.keys() - readers.keys():
        count = sum(map(len, parts[phase][1].values()))
        distributed.say_once(f"{root}: {count} pictures of {phase} are left out, of no class of the training")
    return divided_or_whole(
        kind, classes, readers, {phase: f"{phase} in {parts[phase][0].path.name}" for phase in readers}
    )


def _laid_out(pack: Pack) -> dict[str, dict[str, list[int]]]:
    """Phase, or "every" -> class -> places of its entries."""
    rows = [row for row, entry in enumerate(pack.entries) if entry.name.lower().endswith(PICTURES)]
    others = [e for e in pack.entries if not e.name.lower().endswith((*PICTURES, *OF_THE_SYSTEM, ANNOTATIONS))]
    if others:
        kinds = ", ".join(
            f"{n} {kind or 'without ending'}"
            for kind, n in Counter(PurePosixPath(entry.name).suffix.lower() for entry in others).most_common(4)
        )
        distributed.say_once(f"{pack.path}: {len(others)} files are not read: {kinds}")
    if not rows:
        raise UserError(f"{pack.path}: holds no pictures ({' '.join(PICTURES)}) in folders of classes")
    parts = {row: pack.entries[row].name.split("/") for row in rows}
    while (
        len({of[0] for of in parts.values()}) == 1
        and min(map(len, parts.values())) > 2
        and (standard(next(iter(parts.values()))[0]) not in PHASES)
    ):
        parts = {row: of[1:] for row, of in parts.items()}  # a folder around all
    phases = {standard(of[0]) for of in parts.values() if standard(of[0]) in PHASES and len(of) > 2}
    found: dict[str, dict[str, list[int]]] = {}
    loose = 0
    for row, of in parts.items():
        phase = standard(of[0]) if phases else "every"
        inside = of[1:] if phases else of
        if phase not in (*PHASES, "every") or len(inside) < 2:
            loose += 1
            continue
        found.setdefault(phase, {}).setdefault(inside[0], []).append(row)
    if loose:
        distributed.say_once(f"{pack.path}: {loose} pictures outside of folders of classes are left out")
    if not found:
        raise UserError(f"{pack.path}: no folders of classes; its {len(rows)} pictures lie beside one another")
    return _told(pack, found)


def _told(pack: Pack, found: dict[str, dict[str, list[int]]]) -> dict[str, dict[str, list[int]]]:
    """The same, the pictures of val by Tiny-ImageNet's file of their classes, where it is there."""
    file = next((e for e in pack.entries if PurePosixPath(e.name).name == ANNOTATIONS), None)
    if file is None or set(found.get("val", ())) != {"images"}:
        return found
    try:
        table = annotations(pack.read(file))
    except (ValueError, OSError) as error:
        raise UserError(f"{pack.path}/{file.name}: cannot be read as classes of pictures ({error})") from None
    of_class: dict[str, list[int]] = {}
    for row in found["val"]["images"]:
        of_class.setdefault(table.get(PurePosixPath(pack.entries[row].name).name, ""), []).append(row)
    return found | {"val": of_class}


def _read(pack: Pack, of_class: Mapping[str, Sequence[int]], classes: Sequence[str]) -> Pictures:
    if unknown := sorted(set(of_class) - set(classes)):
        are = "is" if len(unknown) == 1 else "are"
        distributed.say_once(f"{pack.path}: {in_words(unknown)} {are} no class of the training")
    rows = np.array([row for name in classes for row in of_class.get(name, ())], dtype=np.int64)
    labels = np.repeat(np.arange(len(classes)), [len(of_class.get(name, ())) for name in classes]).astype(np.int64)
    entries: list[Entry] = [pack.entries[row] for row in rows]
    names = np.array([entry.name for entry in entries], dtype=object)
    return Packed(labels, names, names, rows, pack)
