"""Pages to print and write on."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from util.fonts.faces import Face, Geometry

from .layout import (
    HEADER_MODULE,
    HEIGHT,
    LABEL_MODULE,
    MARK,
    MARKS,
    STEP,
    STRIP,
    WIDTH,
    Header,
    Layout,
    header_modules,
    label_bits,
)

# Guides are pale red: in the red channel of a scan they are as light as paper, while black and blue ink are dark.
GUIDE, FAINT_GUIDE, BLACK, GREY = (255, 176, 176), (255, 215, 215), (0, 0, 0), (90, 90, 90)
INCH = 25.4
ADVICE = "Print at actual size, in colour. Write with a black or blue pen. Scan in colour at 300 dpi, one page a file."


def draw_pages(
    codes: Sequence[int], layout: Layout, samples: dict[int, Face], dpi: float = 300
) -> Iterator[Image.Image]:
    """A4 pages for these characters, in colour.

    Args:
        codes: code points, in the order in which they are to be written.
        samples: the face that shows how a character looks, beside its code point; it may be missing.
        dpi: pixels in an inch.
    """
    # what the reader will see of them
    layout = Layout(layout.columns, round(layout.scale * STEP) / STEP, round(layout.shift * STEP) / STEP)
    size = layout.columns * layout.rows
    pages = math.ceil(len(codes) / size)
    for page in range(pages):
        header = Header(page + 1, pages, layout)
        yield _Sheet(dpi).draw(header, codes[page * size : (page + 1) * size], samples)


class _Sheet:
    def __init__(self, dpi: float):
        self.scale = dpi / INCH  # pixels in a millimetre
        self.image = Image.new("RGB", (round(WIDTH * self.scale), round(HEIGHT * self.scale)), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.font = Face("DejaVuSans").path

    def draw(self, header: Header, codes: Sequence[int], samples: dict[int, Face]) -> Image.Image:
        for x, y in MARKS:
            for modules, colour in ((7, "black"), (5, "white"), (3, "black")):
                self.square(x, y, modules * MARK, colour)
        self.squares(header_modules(), header.bits(), HEADER_MODULE)
        self.text(WIDTH / 2, 17.2, 2.2, f"page {header.page} of {header.pages}", "mm")
        self.text(WIDTH / 2, 20.6, 2.2, ADVICE, "mm")
        for index, code in enumerate(codes):
            self.guides(header.layout, index)
            self.label(header.layout, index, code, samples.get(code))
        return self.image

    def guides(self, layout: Layout, index: int) -> None:
        x, y = layout.canvas(index)
        x0, y0, x1, y1 = layout.em_box(index)
        base = y1 - layout.shift * layout.em
        middle = x + layout.cell / 2, y + layout.cell / 2
        self.box(x, y, x + layout.cell, y + layout.cell, FAINT_GUIDE)
        self.box(x0, y0, x1, y1, GUIDE)
        self.dashes(x0, base, x1, base, GUIDE)
        self.dashes(middle[0], y0, middle[0], y1, FAINT_GUIDE)
        self.dashes(x0, middle[1], x1, middle[1], FAINT_GUIDE)

    def label(self, layout: Layout, index: int, code: int, face: Face | None) -> None:
        x, y = layout.canvas(index)
        self.squares(layout.label_modules(index), label_bits(code), LABEL_MODULE)
        self.text(x + layout.cell, y - STRIP + 0.9, 1.7, f"U+{code:04X}", "rm")
        if face is not None:
            side = round((STRIP - 0.7) * self.scale)
            glyph = Image.fromarray(face.draw(code, Geometry(side)))
            corner = round(x * self.scale), round((y - STRIP) * self.scale)
            self.image.paste(BLACK, corner, glyph.point(lambda level: 255 - level))

    def squares(self, centres: np.ndarray, bits: Sequence[bool], module: float) -> None:
        for (x, y), bit in zip(centres, bits, strict=True):
            if bit:
                self.square(x, y, module, "black")

    def square(self, x: float, y: float, side: float, colour: str) -> None:
        """With edges where they belong, between pixels if need be: a page is measured by its marks."""
        edges = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2]) * self.scale
        left, top, right, bottom = (
            math.floor(edges[0]),
            math.floor(edges[1]),
            math.ceil(edges[2]),
            math.ceil(edges[3]),
        )
        across, down = (
            np.minimum(np.arange(first, end) + 1, high) - np.maximum(np.arange(first, end), low)
            for first, end, low, high in ((left, right, edges[0], edges[2]), (top, bottom, edges[1], edges[3]))
        )
        cover = np.outer(down, across) * 255
        self.image.paste(colour, (left, top), Image.fromarray(cover.round().astype(np.uint8)))

    @property
    def thickness(self) -> int:
        return max(1, round(0.2 * self.scale))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        corners = tuple(round(v * self.scale) for v in (x0, y0, x1, y1))
        self.pen.rectangle(corners, outline=colour, width=self.thickness)

    def dashes(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        count = round(math.hypot(x1 - x0, y1 - y0))  # a dash and its gap take a millimetre
        for i in range(count):
            ends = ((x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for t in ((i + 0.25) / count, (i + 0.75) / count))
            self.pen.line([(x * self.scale, y * self.scale) for x, y in ends], fill=colour, width=self.thickness)

    def text(self, x: float, y: float, height: float, text: str, anchor: str) -> None:
        font = ImageFont.truetype(self.font, height * self.scale, layout_engine=ImageFont.Layout.BASIC)
        self.pen.text((x * self.scale, y * self.scale), text, fill=GREY, font=font, anchor=anchor)
