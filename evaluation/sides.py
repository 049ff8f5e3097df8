"""What evaluate.py compares: folders of pictures or of classes; archives of images, of features, of statistics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from evaluation.extractors.base import Extractor
from evaluation.metrics.shared.distances import frechet_of_moments, moments
from evaluation.metrics.shared.observed import Observed
from evaluation.sets import GENERATED, tagged
from options import Exit, UserError
from options.listed import in_words
from util.distributed import say_once
from util.inputs import LIST, Input, inputs_in
from util.listing import look_into
from util.reading import frames
from util.reading.labelled import IMAGES, LABELS, LAYOUTS, NAMES, channels_last, check_alike, labels_of
from util.reading.npz import Arrays, open_npz
from util.table import Row, Table, plural

MOST_CLASSES = 100_000  # each of which has a name and a row; ImageNet's largest has 21,841
HOLDS = "images (N, H, W, C) in bytes, feats (N, F), or mu and sigma"
RESIZED = {"_clean": "clean", "_legacy_pytorch": "legacy-pytorch", "_legacy_tensorflow": "legacy-tf"}  # by clean-fid


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        flag: without dashes; ``path``: what it names.
        files: pictures, where it is a folder; ``names``: theirs, relative to it.
        images: bytes (N, H, W, C), where it is an archive of images.
        features: (N, F), where an extractor saw the images already; ``statistics``: their mean and covariance alone.
        labels: (N,) numbers of classes; ``classes``: their names, where files tell them.
    """

    flag: str
    path: Path
    files: Sequence[Path] = ()
    names: Sequence[Path] = ()
    images: np.ndarray | None = None
    features: torch.Tensor | None = None
    statistics: tuple[torch.Tensor, torch.Tensor] | None = None
    labels: torch.Tensor | None = None
    classes: Sequence[str] = ()

    def __str__(self) -> str:
        return f"--{self.flag} {self.path}"


def open_side(flag: str, path: Path) -> Side:
    """A folder with all below, or a .npz.

    Raises:
        UserError: there is nothing to compare (exit code 2), or an archive is damaged (exit code 4).
    """
    if path.suffix.lower() == ".npz" and path.is_file():
        return _of_archive(Side(flag, path))
    given = inputs_in(path)  # of a page of results, which shows them where they lie
    if not path.is_dir() and not given:
        what = "a file that is neither a folder nor a .npz" if path.exists() else "no such folder, and no .npz"
        raise UserError(f"--{flag} {path}: {what} of {HOLDS}")
    listing = look_into(path)
    pictures = [(frames.named(file).relative_to(path), file) for file in listing.pictures]
    pictures += [(Path(name), _unchanged(one, f"--{flag} {path}")) for name, one in given.items()]
    count = len(pictures)
    if count < 2:
        raise UserError(
            f"--{flag} {path}: holds {count} picture{'s' * (count != 1)}; at least two are needed"
            f"{listing.unread(before='; ')}"
        )
    listing.tell(read=[path / LIST])
    pictures.sort(key=lambda picture: picture[0].as_posix())
    names = [name for name, _ in pictures]
    side = Side(flag, path, [file for _, file in pictures], names)
    if any(len(name.parts) < 2 for name in names):
        return side
    classes = sorted({name.parts[0] for name in names})
    labels = torch.tensor([classes.index(name.parts[0]) for name in names])
    return replace(side, labels=labels, classes=classes)


def _unchanged(given: Input, where: str) -> Path:
    """Raises:
    UserError: the input of a test is no longer where it was, or no longer what it was.
    """
    if not given.is_there():
        gone = f"{given.file}, an input of these results, is not there, or has changed since"
        raise UserError(f"{where}: {gone}; test it again, with --copy_inputs to keep copies")
    return given.file


def _of_archive(side: Side) -> Side:
    try:
        with open_npz(side.path) as arrays:
            if "mu" in arrays and "sigma" in arrays:
                return replace(side, statistics=_statistics(arrays))
            if "feats" in arrays:
                return replace(side, features=_features(arrays["feats"]))
            if (name := arrays.first(*IMAGES)) is None:
                raise UserError(f"{side}: holds {', '.join(arrays)[:80]}; wanted are {HOLDS}")
            images, of = arrays[name], arrays.first(*LABELS)
            if images.dtype != np.uint8 or images.ndim < 3 or len(images) < 2 or not images.size:
                shape = " x ".join(map(str, images.shape))
                wanted = f"at least two images {LAYOUTS} in bytes"
                raise UserError(f"{side}: {name} is {images.dtype}, {shape}; wanted are {wanted}")
            labels = None if of is None else labels_of(arrays, of)
            if labels is not None:
                check_alike(len(images), name, len(labels), of)  # type: ignore[arg-type]
            names = arrays.first(*NAMES)
            side = replace(side, images=channels_last(images, name), classes=arrays.words(names) if names else ())
    except (ValueError, OSError) as error:
        raise UserError(f"{side}: {error}", code=Exit.CHECKPOINT) from None
    return replace(side, classes=()) if labels is None else _with_labels(side, labels)


def _with_labels(side: Side, labels: np.ndarray) -> Side:
    """Numbers are classes from 0 on, texts their names; below 0 is what images of no class have."""
    if labels.dtype.kind != "i":
        classes = np.unique(labels)
        return replace(side, labels=torch.from_numpy(np.searchsorted(classes, labels)), classes=classes.tolist())
    if without := int((labels < 0).sum()):
        if without < len(labels):
            say_once(f"{side}: {without} of {len(labels)} labels are below 0, which is no class; taken as without any")
        return replace(side, classes=())
    if int(labels.max()) >= MOST_CLASSES:
        raise UserError(f"{side}: labels count to {labels.max():,}; classes are numbered below {MOST_CLASSES:,}")
    if side.classes and labels.max() >= len(side.classes):
        say_once(f"{side}: labels up to {labels.max()} and {len(side.classes)} names of classes; taken without names")
        side = replace(side, classes=())
    return replace(side, labels=torch.from_numpy(labels))


def _statistics(arrays: Arrays) -> tuple[torch.Tensor, torch.Tensor]:
    mean, covariance = (torch.from_numpy(arrays[name].astype(np.float64)) for name in ("mu", "sigma"))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or not 0 < len(mean) <= 1 << 14:
        raise ValueError("its mu (F,) and sigma (F, F) do not belong together")
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise ValueError("its mu or sigma is not finite")
    return mean, (covariance + covariance.T) / 2


def _features(found: np.ndarray) -> torch.Tensor:
    with np.errstate(over="ignore"):  # what becomes infinite is told below
        features = torch.from_numpy(found.astype(np.float32))
    if features.ndim != 2 or len(features) < 2 or not features.numel() or not features.isfinite().all():
        raise ValueError("its feats are no finite numbers (N, F) of two images or more")
    return features


def check_sides(sides: Sequence[Side], extractor: Extractor, resize: str, only_fid: bool) -> list[str]:
    """What is to be known of features that an extractor saw elsewhere, a line each.

    Raises:
        UserError: they cannot be compared.
    """
    lines = []
    for side in (side for side in sides if side.statistics is not None or side.features is not None):
        if side.statistics is not None and not only_fid:
            raise UserError(f"{side}: mean and covariance alone; they give --metrics fid and nothing else")
        check_width(side, extractor)
        kept = next((way for word, way in RESIZED.items() if word in side.path.name.lower()), None)
        if kept not in (None, resize):
            raise UserError(f"{side}: by its name of --resize {kept}, not {resize}; give --resize {kept}")
        if kept is None:
            lines.append(
                f"{side}: does not say how its images were resized; pytorch-fid's are --resize legacy-pytorch; taken "
                f"for --resize {resize}"
            )
    return lines


def check_width(side: Side, extractor: Extractor) -> None:
    """Raises:
    UserError: these features are not those of this extractor, as far as it knows how many it sees.
    """
    kept = side.features if side.statistics is None else side.statistics[0]
    if kept is not None and extractor.features and kept.shape[-1] != extractor.features:
        raise UserError(f"{side}: of {kept.shape[-1]:,} features; {extractor.flag} sees {extractor.features:,}")


def of_one_kind(sides: dict[str, Side], channels: int) -> dict[str, Side]:
    """The sides with images of as many channels: grey ones of an archive become three alike beside colours.

    Args:
        channels: that pictures in folders are read in.

    Raises:
        UserError: there are others.
    """
    of = {flag: side.images.shape[3] for flag, side in sides.items() if side.images is not None}
    counts = {*of.values(), *(channels for side in sides.values() if side.files)}
    if len(counts) < 2:
        return sides
    for flag, count in of.items():
        if counts != {1, 3} or (count == 3 and channels == 1 and any(side.files for side in sides.values())):
            read = f", and folders are read in {channels} (--channels)" if any(s.files for s in sides.values()) else ""
            raise UserError(f"{sides[flag]}: its images have {count} channels{read}; compare images of as many")
    return {
        flag: replace(side, images=np.broadcast_to(side.images, (*side.images.shape[:3], 3)))
        if of.get(flag) == 1 and side.images is not None
        else side
        for flag, side in sides.items()
    }


def one_numbering(sides: dict[str, Side]) -> tuple[dict[str, Side], list[str]]:
    """The sides with labels that mean the same on each, and the classes' names; without labels where one has none.

    A single folder is a class where another side has one of its name; else it is just where the pictures are.
    """
    for flag, side in sides.items():
        others = {name for other in sides.values() if other is not side for name in other.classes}
        if len(side.classes) == 1 and side.classes[0] not in others:
            sides = sides | {flag: replace(side, labels=None, classes=())}
    named = [side for side in sides.values() if side.classes]
    if any(side.labels is None for side in sides.values()):
        return {flag: replace(side, labels=None) for flag, side in sides.items()}, []
    classes = sorted({name for side in named for name in side.classes})
    if named and len(named) < len(sides):  # an archive without names numbers those of the others, in their order
        most = max(int(side.labels.max()) for side in sides.values() if not side.classes)  # type: ignore[union-attr]
        if most >= len(classes):
            return {flag: replace(side, labels=None) for flag, side in sides.items()}, []
        for side in (side for side in sides.values() if not side.classes):
            say_once(f"{side}: its labels have no names and are taken for the other side's: {in_words(classes)}")
    if not named:
        most = max(int(side.labels.max()) for side in sides.values())  # type: ignore[union-attr]
        return sides, [str(number) for number in range(most + 1)]
    moved = {
        flag: replace(side, labels=torch.tensor([classes.index(name) for name in side.classes])[side.labels])
        if side.classes
        else side
        for flag, side in sides.items()
    }
    return moved, classes


def against_statistics(
    extractor: Extractor, seen: dict[str, Observed], sides: dict[str, Side], remarks: Sequence[str]
) -> Table:
    """FID, where one side or more are statistics; training images give the floor."""

    def of(flag: str) -> tuple[torch.Tensor, torch.Tensor]:
        return sides[flag].statistics or moments(seen[flag].features)

    name = tagged("FID", extractor.tag)
    rows = [Row(label=GENERATED, kind="result", values={name: frechet_of_moments(*of("fake"), *of("real"))})]
    if "train" in sides:
        value = frechet_of_moments(*of("train"), *of("real"))
        rows.append(Row(label="real training images", values={name: value}))
    counts = {flag: plural(len(seen[flag]), "image") if flag in seen else "statistics" for flag in ("fake", "real")}
    few = [
        f"FID: {len(seen[flag]):,} images of --{flag} are few for {seen[flag].features.shape[1]:,} features, which "
        "makes it higher; compare it with values of as many images alone"
        for flag in ("fake", "real")
        if flag in seen and len(seen[flag]) <= seen[flag].features.shape[1]
    ]
    facts = {"extractor": extractor.name, "resize": extractor.resize, "comparable": extractor.comparable}
    return Table(
        rows=rows,
        better={name: "lower"},
        of=f"{counts['fake']} against {counts['real']}",
        remarks=[*remarks, *few],
        facts=facts,
        unlike={} if extractor.comparable else {name: "FID"},
    )
