"""Telling which pictures show the same glyph, where no name says which character it is."""

import numpy as np
from PIL import Image

from util.fonts.characters import SYNTHETIC

GRID = 32
# Grey levels between two pictures reduced to GRID x GRID, at their most different point. Of the characters of GB2312
# and of Big5 level 1, in three fonts, the two most alike are 131 apart; JPEG of quality 30 changes a picture of
# 64 pixels by 41, one of 256 by 8.
NEAR = 64
COARSE = 8


class Recognizer:
    """Numbers glyphs, from ``first`` up, in the order in which they appear; nearly identical ones get one number."""

    def __init__(self, first: int = SYNTHETIC):
        self.codes: list[int] = []
        self.next = first
        self._exact: dict[bytes, int] = {}
        self._fine = np.zeros((64, GRID * GRID), np.int16)
        self._coarse = np.zeros((64, COARSE * COARSE), np.int16)

    def code(self, levels: np.ndarray, known: int | None = None) -> int:
        """The code of a picture (H, W), 0 to 255; a new one, or ``known``, if nothing is like it."""
        small = Image.fromarray(levels.astype(np.float32)).resize((GRID, GRID), Image.Resampling.BOX)
        fine = np.asarray(small).round().astype(np.int16)
        key = fine.tobytes()
        if key not in self._exact:
            coarse = fine.reshape(COARSE, GRID // COARSE, COARSE, GRID // COARSE).mean((1, 3)).astype(np.int16)
            self._exact[key] = self._nearest(fine.ravel(), coarse.ravel())
            if self._exact[key] < 0:
                self._exact[key] = self._add(fine.ravel(), coarse.ravel(), known)
        return self.codes[self._exact[key]]

    def _nearest(self, fine: np.ndarray, coarse: np.ndarray) -> int:
        """Index of the nearest glyph that is near enough, or -1."""
        count = len(self.codes)
        # a mean differs by no more than what it is taken of, so this loses none of those that are near
        near = np.flatnonzero(np.abs(self._coarse[:count] - coarse).max(1, initial=0) <= NEAR)
        if not len(near):
            return -1
        apart = np.abs(self._fine[near] - fine).max(1)
        return int(near[apart.argmin()]) if apart.min() < NEAR else -1

    def _add(self, fine: np.ndarray, coarse: np.ndarray, known: int | None) -> int:
        count = len(self.codes)
        if count == len(self._fine):
            self._fine, self._coarse = (np.concatenate([a, np.zeros_like(a)]) for a in (self._fine, self._coarse))
        self._fine[count], self._coarse[count] = fine, coarse
        self.codes.append(self.next if known is None else known)
        self.next += known is None
        return count
