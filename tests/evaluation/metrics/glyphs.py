"""Drawings with areas and distances that can be counted."""

import torch

from util.fonts.faces import Face, Geometry


def page(size=32, channels=1):
    """One white image (1, C, H, W)."""
    return torch.ones(1, channels, size, size)


def square(x, y, side=8, size=32):
    """A black square whose upper left corner is at (x, y)."""
    image = page(size)
    image[..., y : y + side, x : x + side] = -1
    return image


def letters(font, text="ABCDEGRS", size=48):
    """Real glyphs (B, 1, H, W) of a font that matplotlib ships."""
    face, geometry = Face(font), Geometry(size)
    drawn = [torch.from_numpy(face.draw(ord(character), geometry)) for character in text]
    return torch.stack(drawn)[:, None].float() / 127.5 - 1
