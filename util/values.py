"""What the numbers of image files mean: the values that are black and white, and how results have them again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from options import UserError

if TYPE_CHECKING:  # a child that only decodes does without
    import torch

LARGEST_PNG = 65535
PNG_CHANNELS = (1, 3, 4)
CLIPPED = 0.1  # percent of the values at either end that `auto` leaves outside: hot pixels, metal, the edge of a scan
FEW = 256  # so many different values are labels or bytes, of which none is an outlier


@dataclass(frozen=True)
class Units:
    """The values of one side: ``low`` is black, -1 in images, and ``high`` is white, 1.

    Args:
        whole: whether results are rounded to integers.
    """

    low: float
    high: float
    whole: bool = False

    def image(self, values: np.ndarray) -> np.ndarray:
        """Values of any type as float32 in [-1, 1]; what lies outside becomes black or white.

        Raises:
            ValueError: some are not numbers.
        """
        scaled = (real(values).astype(np.float64) - self.low) * (2 / (self.high - self.low)) - 1
        if np.isnan(scaled).any():
            raise ValueError("values that are not numbers")
        return scaled.clip(-1, 1).astype(np.float32)

    def values(self, image: "torch.Tensor") -> np.ndarray:
        """An image (..., H, W) in [-1, 1] in these units, of ``dtype``."""
        share = (image.detach().float().cpu().clamp(-1, 1).double().numpy() + 1) / 2
        found = self.low + share * (self.high - self.low)
        return found.round().astype(self.dtype) if self.whole else found.astype(self.dtype)

    @property
    def dtype(self) -> np.dtype:
        """The smallest type of 16 or more bits that holds them."""
        if not self.whole:
            return np.dtype(np.float32)
        low, high = math.floor(self.low), math.ceil(self.high)
        kinds = (np.uint16, np.int16, np.int32)
        return np.dtype(next((k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max), np.float32))

    def __str__(self) -> str:
        return f"{self.low:.10g} to {self.high:.10g}"


def real(values: np.ndarray) -> np.ndarray:
    """Raises:
    ValueError: they are complex, text or whatever else an array can hold.
    """
    if values.dtype.kind not in "buif":
        raise ValueError(f"values of type {values.dtype}; expected real numbers")
    return values


SHARE = Units(0, 1)  # of white: what floats in files are where nobody says otherwise


def units_of(options: Mapping[str, Any], side: str) -> Units | None:
    """Units of side A or B of a run with these options; none without ``value_range``.

    Raises:
        UserError: it is no range.
    """
    span = options.get("value_range")
    if span is None:
        return None
    numbers = check_span(span)
    low, high = numbers[-2:] if side == "B" else numbers[:2]
    return Units(low, high, options.get("value_type") == "integer")


def check_span(span: Any) -> tuple[float, ...]:
    """The numbers of ``--value_range``, two or four.

    Raises:
        UserError: they are not, or a range is empty.
    """
    words, numbers = in_words(span), tuple(span) if isinstance(span, list | tuple) else ()
    if len(numbers) not in (2, 4) or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        raise UserError(f"--value_range {words}: expected lo,hi for both sides, lo,hi,lo,hi for A and B, or auto")
    for low, high in zip(numbers[::2], numbers[1::2], strict=True):
        if low >= high:
            raise UserError(f"--value_range {words}: {low:.10g} is not below {high:.10g}; a range is lo,hi")
    return tuple(float(n) for n in numbers)


def in_words(span: Any) -> str:
    """``--value_range`` as it is typed."""
    if not isinstance(span, list | tuple):
        return str(span).lower()
    return ",".join(f"{n:.10g}" if isinstance(n, int | float) else str(n) for n in span)


def find_span(values: np.ndarray, extremes: tuple[float, float]) -> tuple[tuple[float, float], str]:
    """The values between which pictures lie, and in words what they are.

    Args:
        values: a sample of them.
        extremes: the smallest and the largest of all.
    """
    if len(np.unique(values)) >= FEW:
        low = float(np.percentile(values, CLIPPED, method="lower"))
        high = float(np.percentile(values, 100 - CLIPPED, method="higher"))
        if low < high:
            return (low, high), f"{CLIPPED:g} and {100 - CLIPPED:g} percentile"
    return extremes, "extremes"


def common(results: Sequence[tuple[Units | None, int]], kind: str) -> str:
    """The kind of file for results of these units and channels: ``kind``, or what ``auto`` is for them.

    Raises:
        UserError: a PNG cannot hold them.
    """
    reason = next((why for units, channels in results if units is not None and (why := _no_png(units, channels))), "")
    if kind == "auto":
        return "tif" if reason else "png"
    if kind == "png" and reason:
        raise UserError(f"--format png: {reason}; give --format tif or npy")
    return kind


def _no_png(units: Units, channels: int) -> str:
    """Why no PNG holds results in these units; empty where it does."""
    if channels not in PNG_CHANNELS:
        return f"holds 1, 3 or 4 channels, and results of this run have {channels}"
    if units.dtype != np.uint16:
        what = "whole numbers" if units.whole else "fractions"
        return f"holds whole numbers from 0 to {LARGEST_PNG}, and results of this run are {what} from {units}"
    return ""
