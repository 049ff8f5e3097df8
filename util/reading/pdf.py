"""Pages of PDF files as pictures, by the extra ``pdf``. PDFium, which is C++, runs in a child alone."""

from pathlib import Path
from typing import Any

import numpy as np

from util.extras import require
from util.reading.child import in_child

HEAD = b"%PDF-"
DPI = 300
MOST_PIXELS = 60_000_000  # of a page: a sheet of A2 at 300 dpi has 35 million; a larger one is scaled down
MOST_PAGES = 4095  # of a template


def knows(path: Path) -> bool:
    with path.open("rb") as file:
        return HEAD in file.read(1024)


def count(path: Path) -> int:
    """Raises:
    UserError: the package is not installed.
    ValueError: it is damaged, locked by a password, or has more than MOST_PAGES.
    """
    require("pypdfium2", "pdf", path)
    return in_child("util.reading.pdf:find_count", path)


def read(path: Path, page: int) -> np.ndarray:
    """Red of a page, (H, W) bytes, at DPI; pages are counted from 0."""
    return in_child("util.reading.pdf:draw", path, page)


# -- in a child --------------------------------------------------------------------------------------------------------


def find_count(path: Path) -> int:
    pages = len(_opened(path))
    if not 0 < pages <= MOST_PAGES:
        raise ValueError(f"a PDF of {pages:,} pages; 1 to {MOST_PAGES:,} are read")
    return pages


def draw(path: Path, page: int) -> np.ndarray:
    sheet = _opened(path)[page]
    width, height = sheet.get_size()  # in points
    if not (width > 0 and height > 0):
        raise ValueError(f"a page of {width:g} x {height:g} points")
    scale = min(DPI / 72, (MOST_PIXELS / (width * height)) ** 0.5)
    return np.ascontiguousarray(sheet.render(scale=scale, rev_byteorder=True).to_numpy()[..., 0])


def _opened(path: Path) -> Any:
    import pypdfium2

    return pypdfium2.PdfDocument(path)
