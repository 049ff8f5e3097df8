"""--value_range: what values training pictures have, and whether they use the range that they are given."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from data.base_dataset import SkipItem
from options import UserError
from util.config import kept_options
from util.seeding import derive
from util.values import Units, check_span, find_span, in_words, units_of

AUTO, LOOKED = 256, 8  # pictures of a side that `auto` reads, and those that a warning rests on; evenly spread
PIXELS = 16384  # values of a picture, drawn by its name
BYTES = frozenset({".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".avif"})  # kinds that are never read in more than 8 bits
LEAST = 0.1  # of a range that pictures should use
MOST = 0.01  # of their values that may lie outside; `auto` leaves a fifth of that there


@dataclass(frozen=True)
class Seen:
    """Values of some pictures of a side.

    Attributes:
        values: a sample of them.
        shares: the same as shares of what their type holds; empty where that is not known.
        extremes: the smallest and the largest value of these pictures.
        whole: whether all are integers.
        pictures: how many, and of how many.
    """

    values: np.ndarray
    shares: np.ndarray
    extremes: tuple[float, float]
    whole: bool
    pictures: tuple[int, int]

    def remark(self, pictures: str, units: Units | None, way_out: str = "") -> str:
        """A line if the pictures use less than a tenth of their range, or lie outside; else nothing."""
        shares = self.shares if units is None else (self.values - units.low) / (units.high - units.low)
        if not len(shares):
            return ""
        ends = f"go from {self.extremes[0]:.10g} to {self.extremes[1]:.10g}"
        outside = float(((shares < 0) | (shares > 1)).mean())
        if outside > MOST:
            of = "the window that their files name" if units is None else f"--value_range {units}"
            share = f"{100 * outside:.3g} % of the values in {pictures} lie outside {of}"
            return f"warning: {share}: they {ends}, and what is outside becomes black or white"
        low, high = shares.clip(0, 1).min(), shares.clip(0, 1).max()
        (low, high), _ = find_span(shares.clip(0, 1), (float(low), float(high)))
        if high - low >= LEAST:
            return ""
        of = "what their type holds" if units is None else f"--value_range {units}"
        share = f"{pictures} use {100 * (high - low):.2g} % of {of}"
        return f"warning: {share}: their values {ends}, so they are nearly one grey{way_out}"


def skip(path: Path, error: UserError) -> NoReturn:
    """Who reads the file for its own sake is told what is wrong with it."""
    raise SkipItem(str(path)) from error


def look(
    files: Sequence[Path],
    most: int,
    read: Callable[[Path], tuple[np.ndarray, Units | None]],
    reject: Callable[[Path, UserError], Any] = skip,
) -> Seen | None:
    """The values of at most so many of these files, without those that ``reject`` raises a SkipItem for.

    None if there are none.
    """
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, most).round().astype(int))] if files else []
    values, shares, extremes, whole = [], [], [], True
    for path in chosen:
        try:
            array, units = read(path)
        except UserError as error:
            with contextlib.suppress(SkipItem):
                reject(path, error)
            continue
        flat = array.reshape(-1)
        if not np.isfinite(flat).all():
            flat = flat[np.isfinite(flat)]
        if not flat.size:
            continue
        whole &= array.dtype.kind != "f"
        extremes += [float(flat.min()), float(flat.max())]
        if flat.size > PIXELS:
            flat = flat[np.random.default_rng(derive("values", path.name)).integers(0, flat.size, PIXELS)]
        values.append(flat.astype(np.float64))
        if units is not None:
            shares.append((values[-1] - units.low) / (units.high - units.low))
    if not values:
        return None
    sample = np.concatenate(values)
    rest = np.concatenate(shares) if len(shares) == len(values) else np.zeros(0)
    return Seen(sample, rest, (min(extremes), max(extremes)), whole, (len(values), len(files)))


def remark(
    pictures: str,
    files: Sequence[Path],
    units: Units | None,
    read: Callable[[Path], tuple[np.ndarray, Units | None]],
) -> str:
    """A line if pictures that are to be read in these units, or as their type holds, do not suit them; else nothing."""
    found = look(files if units else deep(files), LOOKED, read)
    return found.remark(pictures, units) if found else ""


def deep(files: Sequence[Path]) -> list[Path]:
    """Those that may be deeper than 8 bits."""
    return [path for path in files if path.suffix.lower() not in BYTES]


def ranges(seen: Mapping[str, Seen]) -> tuple[tuple[float, ...], str]:
    """The numbers of ``--value_range auto``, and a line that says what they are."""
    span: list[float] = []
    words = []
    for side, of in seen.items():
        (low, high), what = find_span(of.values, of.extremes)
        if low == high:
            raise UserError(
                f"--value_range auto: every value in the training pictures of {side} is {low:g}; give lo,hi"
            )
        span += [low, high]
        part, all_of_them = of.pictures
        told = f"{part} of {all_of_them}" if part < all_of_them else str(part)
        words.append(f"{side} {low:.10g} to {high:.10g} ({what} of {told} training picture{'s' * (all_of_them != 1)})")
    return tuple(span), f"--value_range auto: {', '.join(words)}"


def kept_range(opt: Any) -> dict[str, Any]:
    """What the run found for ``auto`` when it began.

    Raises:
        UserError: it has no range.
    """
    run = Path(opt.checkpoints_dir, opt.name)
    kept = kept_options(run)
    if kept.get("value_range") is None:
        raise UserError(f"--value_range auto: is found in training, and {run} has none; give lo,hi or leave it out")
    return {"value_range": check_span(kept["value_range"]), "value_type": kept.get("value_type", "auto")}


def other_range(opt: Any) -> str:
    """A line if a test, or the rest of a run, is told another range than the run has; else nothing."""
    kept = kept_options(Path(opt.checkpoints_dir, opt.name)) if not opt.is_train or opt.continue_train else {}
    if not kept or _ends(kept.get("value_range")) == _ends(opt.value_range):
        return ""
    before, now = in_words(kept.get("value_range")), in_words(opt.value_range)
    return (
        f"warning: --value_range {now}: the run {opt.name} was trained with {before}; the same values are another grey "
        "to its networks now"
    )


def _ends(span: Any) -> list[tuple[float, float] | None]:
    units = (units_of({"value_range": span}, side) for side in "AB")
    return [None if of is None else (of.low, of.high) for of in units]
