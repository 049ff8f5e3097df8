"""A pen, a scanner and a telephone: what happens to a page of a template between printing and reading."""

import io

import numpy as np
from PIL import Image
from skimage.transform import ProjectiveTransform, warp

from util.fonts.faces import Geometry
from util.fonts.pictures import place
from util.handwriting.layout import Layout

BLACK_PEN, BLUE_PEN, PENCIL = (25, 22, 28), (30, 50, 140), (105, 105, 110)


def write(page, codes, face, layout=None, pen=BLACK_PEN):
    """Ink of a font in the cells of the first page, (H, W, 3) bytes; each fills its square as on a canvas."""
    layout = layout or Layout()
    scale = round(page.width / 210 * 25.4) / 25.4  # pixels in a millimetre: dpi are whole, sides are rounded
    geometry = Geometry(512, layout.scale, layout.shift)
    for index, code in enumerate(codes):
        x, y = layout.canvas(index)
        left, top = int(x * scale), int(y * scale)
        side = int(layout.cell * scale) + 2
        grain = 512 / (layout.cell * scale)  # points of the drawing in a pixel of the page
        start = (left - x * scale) * grain, (top - y * scale) * grain
        levels = place(face.draw(code, geometry).astype(np.float32), start, side * grain, side)
        page.paste(pen, (left, top), Image.fromarray(255 - levels))
    return page


def photograph(page, degrees=0.0, perspective=0.0, scale=1.0, table=None, shade=0.0, noise=0.0, quality=None, seed=0):
    """(H, W, 3) bytes.

    Args:
        degrees: rotation, clockwise.
        perspective: how much shorter the upper edge is than the lower one.
        table: grey level around the page; None, the picture ends with the page.
        shade: how much darker the right end is than the left.
        noise: standard deviation in grey levels.
        quality: of JPEG; None, none.
    """
    levels = np.asarray(page.convert("RGB")).astype(np.float32)
    height, width = levels.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    seen = corners + np.array([(1, 0), (-1, 0), (0, 0), (0, 0)]) * perspective * width / 2
    angle = np.deg2rad(degrees)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    seen = (seen - (width / 2, height / 2)) @ turn * scale
    margin = 0.08 * width * scale if table is not None else 0
    seen += margin - seen.min(0)
    size = np.ceil(seen.max(0) + margin).astype(int)
    transform = ProjectiveTransform.from_estimate(seen, corners)
    fill = 255 if table is None else table
    levels = warp(levels, transform, output_shape=size[::-1], order=1, cval=fill, preserve_range=True)
    levels = levels * np.linspace(1, 1 - shade, size[0])[None, :, None]
    levels += np.random.default_rng(seed).normal(0, noise, levels.shape) if noise else 0
    picture = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
    if quality is not None:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        picture = Image.open(file)
    return picture


def overlap(canvas, true):
    """Intersection over union of the ink of two canvases, cut at half."""
    a, b = canvas < 128, true < 128
    return float((a & b).sum() / max((a | b).sum(), 1))
