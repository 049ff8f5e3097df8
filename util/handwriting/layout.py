"""Where everything is on a page of a template, in millimetres from its upper left corner, and what its codes say.

A page tells all that reading it takes: its number and geometry in a code at the top, the character of each cell in a
code beside its label. Both are rows of squares, black for 1, and end with a checksum.
"""

import binascii
from dataclasses import dataclass

import numpy as np

from util.fonts.characters import SYNTHETIC

WIDTH, HEIGHT = 210.0, 297.0  # A4
MARK = 1.4  # module of a mark: rings of 7, 5 and 3 modules, black, white and black, as in a QR code
MARKS = np.array([(15, 15), (195, 15), (195, 282), (15, 282)], dtype=np.float64)  # centres, clockwise
LEFT, TOP, RIGHT, BOTTOM = 12.0, 24.0, 198.0, 272.0  # the grid of cells
GAP, STRIP = 2.0, 6.0  # between cells, and the height of the label above each
HEADER_AT, HEADER_MODULE, HEADER_COLUMNS = (65.0, 9.5), 2.5, 32
LABEL_MODULE, LABEL_COLUMNS, LABEL_ROWS = 0.8, 7, 4
STEP = 200  # scale and shift are multiples of 1 / 200: they have 8 bits each
VERSION = 1
FIELDS = {"version": 3, "page": 12, "pages": 12, "columns": 5, "scale": 8, "shift": 8}  # bits of the code at the top


@dataclass(frozen=True)
class Layout:
    """The cells of a page.

    Attributes:
        columns: cells in a row, 4 to 14.
        scale: part of a cell that the em box takes, as in :class:`util.fonts.faces.Geometry`.
        shift: height of the baseline above the bottom of the em box, in ems.
    """

    columns: int = 10
    scale: float = 0.8
    shift: float = 0.12

    @property
    def cell(self) -> float:
        """Side of the square that becomes a canvas."""
        return (RIGHT - LEFT) / self.columns - GAP

    @property
    def rows(self) -> int:
        return int((BOTTOM - TOP) / (self.cell + STRIP + 1))

    @property
    def em(self) -> float:
        return self.cell * self.scale

    def canvas(self, index: int) -> tuple[float, float]:
        """Upper left corner of the square of a cell; cells are numbered row by row."""
        row, column = divmod(index, self.columns)
        return (
            LEFT + GAP / 2 + column * (self.cell + GAP),
            TOP + STRIP + row * (BOTTOM - TOP) / self.rows,
        )

    def em_box(self, index: int) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the em box, which is in the middle of the square."""
        x, y = self.canvas(index)
        margin = (self.cell - self.em) / 2
        return x + margin, y + margin, x + self.cell - margin, y + self.cell - margin

    def label_modules(self, index: int) -> np.ndarray:
        """(28, 2): centres of the squares of a cell's code, at the right end of its label."""
        x, y = self.canvas(index)
        corner = x + self.cell - LABEL_MODULE * LABEL_COLUMNS, y - 0.9 - LABEL_MODULE * LABEL_ROWS
        return _centres(corner, LABEL_MODULE, LABEL_COLUMNS, LABEL_ROWS)


@dataclass(frozen=True)
class Header:
    """What the code at the top of a page says; pages are counted from 1."""

    page: int
    pages: int
    layout: Layout

    def bits(self) -> list[bool]:
        layout = self.layout
        scale, shift = round(layout.scale * STEP), round(layout.shift * STEP)
        value = 0
        for number, width in zip(
            (VERSION, self.page, self.pages, layout.columns, scale, shift), FIELDS.values(), strict=True
        ):
            value = value << width | number
        return _with_checksum(value, sum(FIELDS.values()), 16)

    @staticmethod
    def read(bits: list[bool]) -> "Header | None":
        """None where the checksum, the version or a number is wrong."""
        value = _checked(bits, 16)
        if value is None:
            return None
        found = {}
        for name, width in reversed(FIELDS.items()):
            found[name] = value & ((1 << width) - 1)
            value >>= width
        if found["version"] != VERSION or not 4 <= found["columns"] <= 14 or not found["scale"]:
            return None
        layout = Layout(found["columns"], found["scale"] / STEP, found["shift"] / STEP)
        return Header(found["page"], found["pages"], layout)


def header_modules() -> np.ndarray:
    """(64, 2): centres of the squares of the code at the top."""
    return _centres(HEADER_AT, HEADER_MODULE, HEADER_COLUMNS, 2)


def label_bits(code: int) -> list[bool]:
    return _with_checksum(code, 21, 7)


def read_label(bits: list[bool]) -> int | None:
    """The code point of a cell; 0 where no character is printed, None where the label cannot be read."""
    if not any(bits):
        return 0
    code = _checked(bits, 7)
    return code if code is not None and 0 < code < SYNTHETIC else None


def _centres(corner: tuple[float, float], module: float, columns: int, rows: int) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns] + 0.5
    return np.stack([corner[0] + x * module, corner[1] + y * module], -1).reshape(-1, 2)


def _checksum(value: int, size: int) -> int:
    return binascii.crc_hqx(value.to_bytes(8, "big"), 0xFFFF) & ((1 << size) - 1)


def _with_checksum(value: int, width: int, size: int) -> list[bool]:
    value, width = value << size | _checksum(value, size), width + size
    return [bool(value >> bit & 1) for bit in reversed(range(width))]


def _checked(bits: list[bool], size: int) -> int | None:
    value = sum(bit << i for i, bit in enumerate(reversed(bits)))
    value, found = value >> size, value & ((1 << size) - 1)
    return value if found == _checksum(value, size) else None
