"""Sides of images: one number for a square, or WIDTHxHEIGHT."""

import re

from .errors import UserError


class Sides(str):
    """An image that is not square, as it is told: "256x64" is 256 wide and 64 high.

    A square is read as its one number: Sides("64x64") is 64.
    """

    words = "WIDTHxHEIGHT such as 256x64"

    def __new__(cls, text: str) -> "Sides":
        found = re.fullmatch(r"([1-9]\d{0,8})[xX]([1-9]\d{0,8})", str(text).strip())
        if found is None:
            raise ValueError(text)
        width, height = found.groups()
        return int(width) if width == height else super().__new__(cls, f"{width}x{height}")  # type: ignore[return-value]


def sides(size: int | str) -> tuple[int, int]:
    """Height and width."""
    if isinstance(size, str):
        width, height = size.split("x")
        return int(height), int(width)
    return size, size


def check_square(size: int | str, who: str) -> None:
    """Raises:
    UserError: these are not the sides of a square, all that ``who`` does anything with.
    """
    if isinstance(size, str):
        raise UserError(f"--crop_size {size}: {who} squares; give one number")
