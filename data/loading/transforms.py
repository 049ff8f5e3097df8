"""The language of --preprocess: how an image becomes an item of the size that training wants."""

import math
import random
from collections.abc import Sequence

import numpy as np
from PIL import Image

from options import UserError, nearest

STEPS = ("resize", "scale_width", "scale_shortside", "scale_longside", "zoom", "crop", "trim", "none")
SCALING = frozenset(STEPS[:4])
MULTIPLE = 4  # both sides in training: the generators halve an image twice


def parse_steps(preprocess: str, is_train: bool = True, more: Sequence[str] = ()) -> frozenset[str]:
    """The words of ``--preprocess``, joined by ``_and_`` in any order; they are done in the order of STEPS.

    resize              both sides to load_size, whatever the aspect ratio
    scale_width         the width to load_size; scale_shortside, scale_longside likewise. The aspect ratio is kept.
    zoom                each side by its own random factor in [1 / scale_max, 1]
    crop                a random square of crop_size; an image smaller than that is scaled up to it
    trim                a random crop of at most crop_size a side; a smaller image stays as it is
    none                nothing of these
    auto                resize_and_crop in training, none in testing

    ``more`` are words that a dataset understands beyond these.

    Raises:
        UserError: a word that is none of these, or two that contradict each other.
    """
    if preprocess == "auto":
        preprocess = "resize_and_crop" if is_train else "none"
    words = preprocess.split("_and_")
    for word in words:
        if word == "patch" and word not in more:
            raise UserError(f"--preprocess {preprocess}: patch needs --dataset_mode singleimage")
        if word not in (*STEPS, *more):
            raise UserError(
                f"--preprocess {preprocess}: no step {word!r}{nearest(word, (*STEPS, *more))}; "
                f"join some of {', '.join((*STEPS, *more))} by _and_"
            )
    scaling = [word for word in words if word in SCALING]
    if len(scaling) > 1 or (len(words) > 1 and "none" in words):
        raise UserError(f"--preprocess {preprocess}: {' and '.join(scaling or words)} contradict each other")
    return frozenset(words)


def transform(
    pixels: np.ndarray,
    steps: frozenset[str],
    load_size: int,
    crop_size: int,
    scale_max: float = 1.0,
    flip: bool = False,
    rng: random.Random | None = None,
) -> np.ndarray:
    """Scale, crop and flip one image.

    How many numbers are drawn depends on ``steps`` alone, so two images of one size given equal generators are
    treated alike: that is how an aligned pair keeps together.

    Args:
        pixels: (H, W, C), bytes or floats in [-1, 1].
        steps: from :func:`parse_steps`.
        load_size, crop_size: in pixels.
        scale_max: the strongest zoom.
        flip: mirror every second image.
        rng: the only source of randomness. None is testing: crops are central, nothing is zoomed, flipped or
            rounded to a multiple of 4.

    Returns:
        pixels (h, w, C) of the same type.
    """
    pixels = scale(pixels, steps, load_size)
    if "zoom" in steps and rng is not None:
        height, width = pixels.shape[:2]
        zoom_y, zoom_x = (rng.uniform(1 / scale_max, 1) for _ in range(2))
        pixels = resize(
            pixels,
            max(round(height * zoom_y), min(height, crop_size)),
            max(round(width * zoom_x), min(width, crop_size)),
        )
    if "crop" in steps:
        side = min(crop_size, *pixels.shape[:2])
        pixels = resize(_cut(pixels, side, side, rng), crop_size, crop_size)
    if "trim" in steps:
        height, width = pixels.shape[:2]
        pixels = _cut(pixels, min(height, crop_size), min(width, crop_size), rng)
    if rng is not None:
        height, width = pixels.shape[:2]
        pixels = resize(pixels, *(max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in (height, width)))
        if flip and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
    return pixels


def scale(pixels: np.ndarray, steps: frozenset[str], load_size: int) -> np.ndarray:
    """The first of the steps, which draws nothing. Done twice it is done once: what is scaled stays as it is."""
    return resize(pixels, *scaled(pixels.shape[0], pixels.shape[1], steps, load_size))


def scaled(height: int, width: int, steps: frozenset[str], load_size: int) -> tuple[int, int]:
    """Height and width after the first of the steps."""
    if "resize" in steps:
        return load_size, load_size
    for step, side in (
        ("scale_width", width),
        ("scale_shortside", min(height, width)),
        ("scale_longside", max(height, width)),
    ):
        if step in steps:
            return round(height * load_size / side), round(width * load_size / side)
    return height, width


def factor_of(height: int, width: int, steps: frozenset[str], load_size: int, crop_size: int) -> float:
    """What the steps that draw nothing multiply a side by: the geometric mean of both sides."""
    made_height, made_width = float(height), float(width)
    for step, side in (
        ("scale_width", width),
        ("scale_shortside", min(height, width)),
        ("scale_longside", max(height, width)),
    ):
        if step in steps:
            made_height, made_width = height * load_size / side, width * load_size / side
    if "resize" in steps:
        made_height = made_width = float(load_size)
    if "crop" in steps and min(made_height, made_width) < crop_size:  # a smaller picture is scaled up
        grown = crop_size / min(made_height, made_width)
        made_height, made_width = made_height * grown, made_width * grown
    return math.sqrt(made_height * made_width / (height * width))


def resize(pixels: np.ndarray, height: int, width: int, how: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """Bicubic with antialiasing, by Pillow: its rounding is what published checkpoints were trained on.

    Where one side shrinks while the other grows, torch's own bicubic is up to 21 levels away from it.
    """
    height, width = max(1, height), max(1, width)
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), how))
    planes = [Image.fromarray(np.ascontiguousarray(pixels[..., c])) for c in range(pixels.shape[2])]
    scaled = np.stack([np.asarray(plane.resize((width, height), how)) for plane in planes], axis=2)
    return scaled if pixels.dtype == np.uint8 else scaled.clip(-1, 1)  # bicubic overshoots


def _cut(pixels: np.ndarray, height: int, width: int, rng: random.Random | None) -> np.ndarray:
    """A window at a random place, or in the middle."""
    down, right = (rng.random(), rng.random()) if rng is not None else (0.5, 0.5)
    top = int(down * (pixels.shape[0] - height + 1))
    left = int(right * (pixels.shape[1] - width + 1))
    return pixels[top : top + height, left : left + width]
