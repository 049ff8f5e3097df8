"""Which picture becomes which file: from inputs that users name to results that replace nothing."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np
import torch

from options import Exit, UserError
from options.shown import shown
from util.reading import frames

from .images import encode, read_image, save_levels
from .listing import FORMATS_READ, look_into
from .patience import read_patiently
from .values import Units
from .writing import check_way

LONGEST = 200  # bytes of a name, of the 255 that file systems have, so that there is room for endings
KINDS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")  # of results


@dataclass(frozen=True)
class Job:
    source: Path
    target: Path
    root: Path | None = None  # of the results, if they are a folder's


def plan(inputs: Sequence[str], output: str, kind: str, overwrite: bool) -> list[Job]:
    """A result for every picture: sub-folders and stems are kept, and no two share a name.

    Raises:
        UserError: nothing to translate, a result exists, or it would replace an input. Nothing was written.
    """
    try:
        return _plan(inputs, output, kind, overwrite)
    except OSError as error:  # of looking alone: no permission, a name too long
        raise UserError(f"{error.filename}: cannot be looked at ({error.strerror})") from None


def _plan(inputs: Sequence[str], output: str, kind: str, overwrite: bool) -> list[Job]:
    out = Path(output)
    is_folder = out.is_dir() or output.endswith(("/", os.sep)) or not out.suffix
    whole = len(inputs) == 1 and Path(inputs[0]).is_file() and not is_folder
    if whole:
        if out.suffix.lower() not in KINDS:
            raise UserError(
                f"--output {output}: results are .png, .jpg, .tif or .npy; the name of a folder ends with /"
            )
        pages = len(frames.pages_of(Path(inputs[0])))
        if pages > 1:
            raise UserError(f"--input {inputs[0]}: has {pages} pages, each a picture; give --output a folder for them")
        jobs = [Job(Path(inputs[0]), out)]
    else:
        jobs = _jobs(inputs, out, kind)
    if out.is_file() and not whole:
        raise UserError(f"--output {output}: is a file; several results need a folder")
    for folder, root in {job.target.parent: job.root for job in jobs if job.root}.items():
        check_way(folder, root)
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if job.target.resolve() in sources:
            raise UserError(f"--output {output}: {job.target} is a picture to be translated; choose another folder")
    existing = [job.target for job in jobs if job.target.exists()]
    if existing and not overwrite:
        raise UserError(
            f"--output {output}: {len(existing)} of {len(jobs)} results exist, such as {existing[0]}; "
            "--overwrite replaces them"
        )
    return jobs


def _jobs(inputs: Sequence[str], out: Path, kind: str) -> list[Job]:
    names: dict[Path, ResultNames] = {}
    jobs: dict[Path, Job] = {}
    for word in inputs:
        path = Path(word)
        if not path.exists():
            raise UserError(f"--input {word}: no such file or folder")
        listing = look_into(path)
        files = frames.pages_of(path) if path.is_file() else listing.pictures
        if path.resolve() in out.resolve().parents:  # results of an earlier call are no pictures to translate
            files = [file for file in files if not file.resolve().is_relative_to(out.resolve())]
        if not files:
            raise UserError(f"--input {word}: no pictures in it; {listing.unread() or FORMATS_READ}")
        listing.tell()
        for file in files:
            folder = out if path.is_file() else out / frames.named(file).parent.relative_to(path)
            name = names.setdefault(folder, ResultNames())(str(file.absolute()))
            jobs.setdefault(file.absolute(), Job(file, folder / f"{name}.{kind}", out))
    return list(jobs.values())


Group = list[tuple[Job, torch.Tensor]]


def read_ahead(
    jobs: Sequence[Job], channels: int, batch_size: int, tile: int, units: Units | None = None, seconds: float = 0
) -> Iterator[tuple[Group, list[UserError]]]:
    """Neighbours of one size with their pictures (C, H, W), and what could not be read among them.

    While a group is in use the next picture is being read, and no more than that. Pictures larger than ``tile``
    come alone.

    Raises:
        UserError: a picture did not come in so many seconds (exit code 5); 0 waits for ever.
    """
    group: Group = []
    problems: list[UserError] = []
    sources = [job.source for job in jobs]
    pictures = read_patiently(sources, partial(_read, channels=channels, units=units), seconds, ahead=1)
    for job, picture in zip(jobs, pictures, strict=True):
        if isinstance(picture, UserError):
            problems.append(picture)
            yield [], problems
            problems = []
            continue
        large = bool(tile) and max(picture.shape[1:]) > tile
        if group and (large or len(group) == batch_size or group[0][1].shape != picture.shape):
            yield group, []
            group = []
        group.append((job, picture))
        if large:
            yield group, []
            group = []
    if group:
        yield group, []


def _read(source: Path, channels: int, units: Units | None) -> torch.Tensor | UserError:
    try:
        return read_image(source, channels, units)
    except UserError as error:
        return error


def write_picture(
    job: Job, bands: Iterable[tuple[int, torch.Tensor]], size: Sequence[int], units: Units | None = None
) -> None:
    """Write bands (top, (C, h, W)) in [-1, 1] as one file, in units where its kind has room for them; see ``encode``.

    Raises:
        UserError: the storage is full or not writable (exit code 5).
    """
    target, pixels = job.target, np.zeros(0, np.uint8)
    for top, band in bands:
        levels = encode(band, target.suffix.lower(), units)
        if top == 0:
            pixels = np.zeros((*size, levels.shape[2]), levels.dtype)
        pixels[top : top + len(levels)] = levels
    try:
        save_levels(pixels, target, job.root)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error})", code=Exit.STORAGE) from None


def _for_a_file(name: str) -> str:
    """A name that a file can have, with an ending: no controls, and not too long; a long one ends in its own digest."""
    plain = name if name.isprintable() else "".join(shown(c, "_") if c < "\udc80" or c > "\udcff" else c for c in name)
    data = os.fsencode(plain)
    if len(data) <= LONGEST:
        return plain
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return f"{data[: LONGEST - 9].decode('utf-8', 'ignore')}_{digest}"


class ResultNames:
    """A name for each source file: its stem, made longer where two sources share one. No two sources share a name."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.taken: set[str] = set()

    def __call__(self, path: str) -> str:
        """The name of the results made from ``path``, the same at each call; no separators, no extension."""
        if path not in self.of:
            candidates = map(_for_a_file, self._candidates(PurePath(path)))
            name = next(n for n in candidates if n.casefold() not in self.taken)
            self.of[path] = name
            self.taken.add(name.casefold())  # some file systems do not tell A from a
        return self.of[path]

    def _candidates(self, path: PurePath):
        yield path.stem
        yield path.name.replace(".", "_")
        for depth in range(2, len(path.parts) + 1):
            yield "__".join(part.strip("/\\:") for part in path.with_suffix("").parts[-depth:])
        n = 2
        while True:
            yield f"{path.stem}_{n}"
            n += 1
