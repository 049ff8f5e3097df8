"""Rotation, shift, scale, shear and colour of the pictures of training, by the item's own random numbers."""

import math
import random
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from options import BaseOptions, option

AFFINE = ("rotate", "translate_by", "zoom", "shear")


@dataclass(frozen=True, kw_only=True)
class AugmentOptions(BaseOptions):
    section = "augmentation of the data"
    of_a_family = True
    rotate: float = option(
        0.0,
        "training: turn each picture by up to so many degrees; what comes in at the edge is mirrored",
        least=0,
        most=180,
        per_run=True,
    )
    translate_by: float = option(
        0.0, "training: move each picture by up to this part of its sides", least=0, most=0.5, per_run=True
    )
    zoom: float = option(
        0.0, "training: scale each picture by a factor between 1 minus and 1 plus this", least=0, most=0.5, per_run=True
    )
    shear: float = option(0.0, "training: slant each picture by up to so many degrees", least=0, most=45, per_run=True)
    colour_jitter: float = option(
        0.0,
        "training: factors of brightness, contrast and saturation are between 1 minus and 1 plus this",
        least=0,
        most=1,
        per_run=True,
    )
    label_sides: Literal["none", "A", "B", "AB"] = option(
        "none",
        "sides whose colours are labels: these flags move them by the nearest pixel and change no colour",
        per_run=True,
    )


class Augment:
    """Alters pictures (H, W, C), bytes or floats in [-1, 1], of any number of channels.

    How many numbers are drawn depends on the flags alone, so two pictures given equal generators are altered alike:
    that is how an aligned pair keeps together. Without the flags nothing is drawn.

    Args:
        opt: AugmentOptions; a test alters nothing.
    """

    def __init__(self, opt: Any):
        self.opt = opt
        self.moves = opt.is_train and any(getattr(opt, name) > 0 for name in AFFINE)
        self.colours = opt.is_train and opt.colour_jitter > 0

    def __call__(self, pixels: np.ndarray, rng: random.Random, exact: bool = False) -> np.ndarray:
        """``exact`` is of labels: the nearest pixel, and its own colour."""
        if not (self.moves or self.colours):
            return pixels
        affine = {name: rng.uniform(-1, 1) * getattr(self.opt, name) for name in AFFINE} if self.moves else {}
        down = rng.uniform(-1, 1) * self.opt.translate_by if self.moves else 0.0
        factors = [1 + rng.uniform(-1, 1) * self.opt.colour_jitter for _ in range(3)] if self.colours else []
        if not exact and pixels.dtype == np.uint8:
            pixels = pixels.astype(np.float32) / 127.5 - 1
        if affine:
            pixels = moved(pixels, down=down, exact=exact, **affine)
        return pixels if exact or not factors else jittered(pixels, factors)


def moved(
    pixels: np.ndarray, rotate: float, translate_by: float, zoom: float, shear: float, down: float, exact: bool
) -> np.ndarray:
    """Turned, slanted and scaled about the middle; moved right by ``translate_by`` and ``down``, parts of its sides.

    The picture is first continued beyond its edges by mirroring, so no corner is empty.
    """
    from torchvision.transforms.v2 import InterpolationMode, functional  # costs more than torch: where it is asked for

    height, width = pixels.shape[:2]
    slant = 1 + math.tan(math.radians(abs(shear)))
    reach = math.hypot(height, width) * slant / (1 - abs(min(zoom, 0))) / 2
    margin = [math.ceil(reach - side / 2 + abs(by) * side) + 2 for side, by in ((height, down), (width, translate_by))]
    around = np.pad(pixels, [(margin[0], margin[0]), (margin[1], margin[1]), (0, 0)], mode="reflect")
    image = torch.from_numpy(np.ascontiguousarray(around.transpose(2, 0, 1)))
    image = functional.affine(
        image,
        angle=rotate,
        translate=[translate_by * width, down * height],
        scale=1 + zoom,
        shear=[shear, 0.0],
        interpolation=InterpolationMode.NEAREST if exact else InterpolationMode.BILINEAR,
    )
    top, left = margin
    return image[:, top : top + height, left : left + width].permute(1, 2, 0).numpy()


def jittered(pixels: np.ndarray, factors: list[float]) -> np.ndarray:
    """Floats in [-1, 1] of other brightness, contrast and saturation.

    Of four channels the last is how opaque a pixel is, and stays. Channels that are no colours have no saturation, and
    a contrast each.
    """
    from torchvision.transforms.v2 import functional

    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).add(1).div(2)
    opaque = image[3:] if len(image) == 4 else image[:0]
    colours = image[: len(image) - len(opaque)]
    planes = colours[None] if len(colours) == 3 else colours[:, None]
    brightness, contrast, saturation = factors
    planes = functional.adjust_contrast(functional.adjust_brightness(planes, brightness), contrast)
    if len(colours) == 3:
        planes = functional.adjust_saturation(planes, saturation)
    return torch.cat([planes.reshape(colours.shape), opaque]).mul(2).sub(1).permute(1, 2, 0).numpy()
