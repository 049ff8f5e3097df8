"""The same inputs through every model, as data inside the page of a comparison."""

import base64
import hashlib
import io
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from util.compare.families import FEW
from util.compare.run import CHECKPOINTS, ComparedRun
from util.compare.table import Comparison
from util.heads import head_of
from util.html import visible
from util.inputs import Input
from util.reading.json_file import bytes_of

INPUTS = 12  # shown unless told otherwise
OF_MANY = 16  # of more than a few variants, whose last checkpoints alone are shown
OF_A_CLASS, ROOM = 4, 48  # images of a class beside one another, and of all classes, of more than a few variants
MOST_BYTES = 256 << 20  # of a file that is shown
AS_THEY_ARE = 24 * 1024  # bytes of a PNG that is embedded without loss; larger ones become WebP
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")  # of results, and of inputs that a page shows where they lie
PNG = b"\x89PNG"
QUALITY = 88  # of WebP, in [0, 100]
SIDE = 512  # pixels of the longer side of an embedded image, at most
PIXELS = 40e6  # of all embedded images together, about
PAIRED = ("aligned", "font", "template")  # kinds of data whose real_B is what fake_B should be


class EmbeddedImages:
    """Images as data URIs, each file once. What cannot be read is None.

    Args:
        side: pixels of the longer side, at most.
    """

    def __init__(self, side: int = SIDE):
        self.side = side
        self.pictures: list[str] = []
        self.sizes: list[tuple[int, int]] = []  # width and height of the files
        self.lossy = 0  # images that are not embedded pixel by pixel
        self.gone: set[Path] = set()  # inputs that are no longer where they were, or no longer what they were
        self._places: dict[str, int] = {}
        self._sources: list[Path | Input] = []

    def add(self, found: Path | Input | None) -> int | None:
        """The place of an image in ``pictures``."""
        content = _content(found)
        if isinstance(found, Input) and content is None:
            self.gone.add(found.file)
        size = None if content is None else _size(content)
        if found is None or content is None or size is None:
            return None
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._places:
            as_it_is = content[:4] == PNG and len(content) <= AS_THEY_ARE and max(size) <= self.side
            kind, data = ("png", content) if as_it_is else ("webp", self._smaller(content))
            if data is None:
                return None
            self.lossy += not as_it_is
            self._places[digest] = len(self.pictures)
            self._sources.append(found)
            self.pictures.append(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")
            self.sizes.append(size)
        return self._places[digest]

    def holds(self, place: int, found: Path | Input) -> bool:
        """Whether an image is that of a place, if not byte by byte, for one is a copy of the other, by its pixels."""
        content = _content(found)
        if content is None:
            return False
        if self._places.get(hashlib.sha256(content).hexdigest()) == place:
            return True
        if isinstance(found, Input) == isinstance(self._sources[place], Input):
            return False
        one, other = (_picture(bytes_) for bytes_ in (content, _content(self._sources[place])))
        if one is None or other is None:
            return False
        return one.size == other.size and one.convert("RGB").tobytes() == other.convert("RGB").tobytes()

    def _smaller(self, content: bytes) -> bytes | None:
        small = _picture(content)
        if small is None:
            return None
        file = io.BytesIO()
        small.thumbnail((self.side, self.side), Image.Resampling.LANCZOS)
        small.save(file, "WEBP", quality=QUALITY)
        return file.getvalue()


def _content(found: Path | Input | None) -> bytes | None:
    """The bytes of a file; None where it cannot be read, or is not the input that it was."""
    try:
        content = None if found is None else bytes_of(found.file if isinstance(found, Input) else found, MOST_BYTES)
    except ValueError:
        return None
    changed = isinstance(found, Input) and content and hashlib.sha256(content).hexdigest() != found.sha256
    return None if changed else content


def _size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a picture that is upright, from its head."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            head = head_of(image)
    except Exception:  # decoders of damaged files raise what they please
        return None
    return head.width, head.height


def _picture(content: bytes | None) -> Image.Image | None:
    """In colours, upright; None where it is none."""
    try:
        with Image.open(io.BytesIO(content or b""), formats=FORMATS) as image:
            mode = "RGBA" if "transparency" in image.info or image.mode == "RGBA" else "RGB"
            return ImageOps.exif_transpose(image).convert(mode)
    except Exception:  # decoders of damaged files raise what they please
        return None


def side_by_side(comparison: Comparison, inputs: int | None = None) -> dict[str, Any]:
    """The images of the page, for its script; empty where no run has any.

    ``pictures`` are the data URIs that everything else names by their place. Each of ``seeds`` has its ``items``, which
    are rows, and for each of them a place or None: ``input``, ``truth`` and ``variants[k][checkpoint]``.
    """
    seen = [any(outputs(run, w) for run in runs for w in CHECKPOINTS) for runs in comparison.variants.values()]
    many = sum(seen) > FEW
    there = [w for w in CHECKPOINTS if any(outputs(run, w) for run in comparison.runs)]
    labels = there[:1] if many else there
    inputs = inputs or (OF_MANY if many else INPUTS)
    runs = [run for run in comparison.runs if any(outputs(run, label) for label in labels)]
    if not runs:
        return {}
    made = sum(bool(outputs(run, label)) for run in runs for label in labels)
    seeds = sorted({run.seed for run in runs})
    count = max(1, inputs * (made + 2 * len(seeds)))
    embedded = EmbeddedImages(min(SIDE, max(32, math.isqrt(int(PIXELS / count)))))
    rows, differ = {}, False
    for seed in seeds:
        mine = [run for run in runs if run.seed == seed]
        found = [files for run in mine for label in labels if (files := outputs(run, label))]
        of_classes = [files for files in found if has_classes(files)]
        items, total = (chosen_of_classes if many else chosen_items)(of_classes or found, inputs)
        paired = [run for run in mine if run.options.get("dataset_mode") in PAIRED]
        given, other = _common(mine, items, embedded, inputs_of)
        differ = differ or other
        rows[str(seed)] = {
            "items": [visible(item) for item in items],
            "total": total,
            "input": given,
            "truth": _common(paired, items, embedded, truths_of)[0],
            "variants": [_places(runs, seed, labels, items, embedded) for runs in comparison.variants.values()],
        }
    return {
        "pictures": embedded.pictures,
        "sizes": embedded.sizes,
        "seeds": rows,
        "which": labels,
        "left": there[len(labels) :],
        "families": list(comparison.families),
        "labels": [_label(comparison, variant, labels) for variant in comparison.variants],
        "lossy": embedded.lossy,
        "side": embedded.side,
        "differ": differ,
        "gone": len(embedded.gone),
    }


def _places(
    runs: Sequence[ComparedRun], seed: int, labels: Sequence[str], items: Sequence[str], embedded: EmbeddedImages
) -> dict[str, list[int | None]]:
    """{checkpoint: places of what a variant's run of this seed made}."""
    found = {}
    for run, label in itertools.product([run for run in runs if run.seed == seed], labels):
        if files := outputs(run, label):
            any_class = not has_classes(files) and has_classes(items)
            given = sorted(files) if any_class else items  # whatever class they are of, as many
            places = [embedded.add(files.get(item)) for item in given[: len(items)]]
            found[label] = [*places, *[None] * (len(items) - len(places))]
    return found


def has_classes(items: Iterable[str]) -> bool:
    """Whether images from noise lie by their classes, or glyphs by their styles, as ``class/0000``."""
    return any("/" in item for item in items)


def _label(comparison: Comparison, variant: str, labels: Sequence[str]) -> str:
    """The name of a variant; of one without classes among others with classes that is said."""
    made = {v: [outputs(run, w) for run in runs for w in labels] for v, runs in comparison.variants.items()}
    others = any(has_classes(files) for all_of_it in made.values() for files in all_of_it)
    without = others and any(made[variant]) and not any(map(has_classes, made[variant]))
    return visible(comparison.title_of(variant)) + " (any class)" * without


def outputs(run: ComparedRun, label: str) -> dict[str, Path | Input]:
    """{item: file} of what a run made."""
    visuals = run.images.get(label, {})
    name = next((v for v in ("fake_B", "samples", "fake_A", *visuals) if v in visuals and not v.startswith("real")), "")
    return dict(visuals.get(name, {}))


def inputs_of(run: ComparedRun, label: str) -> dict[str, Path | Input]:
    """{item: file} of what it was made of."""
    visuals = run.images.get(label, {})
    return dict(visuals.get("real_A" if "fake_B" in visuals else "real_B" if "fake_A" in visuals else "", {}))


def truths_of(run: ComparedRun, label: str) -> dict[str, Path | Input]:
    """{item: file} of what it should have become; for paired data alone, others share names by chance."""
    visuals = run.images.get(label, {})
    return dict(visuals.get("real_B" if "fake_B" in visuals else "real_A" if "fake_A" in visuals else "", {}))


def chosen_items(sets: Sequence[Iterable[str]], limit: int) -> tuple[list[str], int]:
    """Items that all of these have, evenly spread, at most ``limit``; and how many there were to choose from.

    Where they have none in common, those that most of them have.
    """
    counts: dict[str, int] = {}
    for items in sets:
        for item in items:
            counts[item] = counts.get(item, 0) + 1
    most = max(counts.values(), default=0)
    common = sorted(item for item, n in counts.items() if n == most)
    if len(common) <= limit:
        return common, len(common)
    return [common[i * len(common) // limit] for i in range(limit)], len(common)


def chosen_of_classes(sets: Sequence[Iterable[str]], limit: int) -> tuple[list[str], int]:
    """As ``chosen_items``; of images of classes, ``class/0000``, some of each class that makes not too many."""
    common, total = chosen_items(sets, sys.maxsize)
    classes: dict[str, list[str]] = {}
    for item in common:
        classes.setdefault(item.partition("/")[0], []).append(item)
    each = max(1, min(OF_A_CLASS, ROOM // max(1, len(classes))))
    if not all("/" in item for item in common) or len(classes) > ROOM:
        return chosen_items(sets, limit)
    return [item for items in classes.values() for item in chosen_items([items], each)[0]], total


def _common(
    runs: Sequence[ComparedRun],
    items: Sequence[str],
    embedded: EmbeddedImages,
    files_of: Callable[[ComparedRun, str], Mapping[str, Path | Input]],
) -> tuple[list[int | None] | None, bool]:
    """Places of what all runs share, of the first that has it, and whether they disagree; None where none has any."""
    places: list[int | None] = [None] * len(items)
    differ = False
    for run, label in itertools.product(runs, CHECKPOINTS):
        files = files_of(run, label)
        for i, item in enumerate(items):
            if item not in files:
                continue
            place = places[i]
            if place is None:
                places[i] = embedded.add(files[item])
            else:
                differ = differ or not embedded.holds(place, files[item])
    return (places if any(place is not None for place in places) else None), differ
