"""Which pictures lie in a folder, and what else does that is not read."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from options import UserError
from util import distributed
from util.reading import heif, science
from util.reading.frames import pages_of

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy"})
EXTENSIONS |= {*heif.HEIC, *heif.AVIF, *science.DICOM, *science.NIFTI}
ENDINGS = tuple(EXTENSIONS)
FORMATS_READ = "read are " + " ".join(sorted(ending[1:] for ending in EXTENSIONS))
OF_THE_SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})  # Windows'; those of others are hidden
THUMBNAILS = "thumbnails"  # the folder, beside a page of results, of what it shows in place of large files
SHOWN = 6  # names in a message


@dataclass(frozen=True)
class Listing:
    """What a folder and all below hold.

    Attributes:
        pictures: sorted by their path within the folder; each page of a file of several.
        others: files that are no pictures by their names, sorted alike.
    """

    folder: Path
    pictures: list[Path]
    others: list[Path]

    def unread(self, read: Collection[Path] = (), before: str = "") -> str:
        """A line on the files that are not read, and what would be; empty where there are none.

        Args:
            read: files among the others that are read, such as captions.
            before: what the line begins with.
        """
        left = [path for path in self.others if path not in read]
        if not left:
            return ""
        of_kinds = {path.suffix.lower(): path for path in reversed(left)}  # the first of each, which tells most
        firsts = sorted(of_kinds.values(), key=str)
        names = [self._name(path) for path in dict.fromkeys([*firsts, *left])]
        some = ", ".join(map(printable, names[:SHOWN])) + ", ..." * (len(names) > SHOWN)
        count = "1 file of {} is" if len(left) == 1 else f"{len(left)} files of {{}} are"
        return f"{before}{count.format(self.folder)} not read: {some}; {FORMATS_READ}"

    def _name(self, path: Path) -> str:
        return (path.relative_to(self.folder) if path.is_relative_to(self.folder) else path).as_posix()

    def tell(self, read: Collection[Path] = ()) -> list[Path]:
        """Say once what is not read; returns the pictures."""
        line = self.unread(read)
        if line:
            distributed.say_once(line)
        return self.pictures


def look_into(folder: Path, below: bool = True) -> Listing:
    """What lies in ``folder``, and in all folders below it; nothing where there is no such folder.

    Links are followed, except one that leads back to a folder it lies in. Hidden files and folders are left out, and
    the small copies of a page of results.
    A dangling link is listed, so that reading it says what is wrong.
    """
    pictures: list[Path] = []
    others: list[Path] = []
    for path in _walk(folder, (), below) if folder.is_dir() else ():
        if path.name.lower().endswith(ENDINGS):
            pictures += pages_of(path)
        elif path.name.lower() not in OF_THE_SYSTEM:
            others.append(path)
    for found in (pictures, others):
        found.sort(key=lambda path: path.relative_to(folder).as_posix())
    return Listing(folder, pictures, others)


def list_images(folder: Path) -> list[Path]:
    """The pictures alone."""
    return look_into(folder).pictures


def _walk(folder: Path, above: tuple[tuple[int, int], ...], below: bool) -> Iterator[Path]:
    try:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.name == THUMBNAILS and (folder / "index.html").is_file():
                    continue
                if not entry.is_dir():
                    yield folder / entry.name
                elif below:
                    yield from _walk(folder / entry.name, (*above, here), below)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error.strerror})") from None


def printable(name: str) -> str:
    """A name that a terminal can show: without escapes, and halves of characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
