"""Batches of a test brought to the scale of the training, and what was made of them brought back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from util.scale import chosen_factor, resized, scaled_size, trained_scale, words_of


class Scaling:
    """Sides A and B of a batch have each its own factor, that of the folder they are read from.

    Args:
        opt: of the test. With metrics or a --preprocess of its own, pictures stay as they are unless ``typed``.
        typed: whether --scale was given.
    """

    def __init__(self, opt: Any, run: Path, typed: bool):
        judged = opt.metrics or getattr(opt, "recogniser", None) or getattr(opt, "style_judge", None)
        prepared = getattr(opt, "preprocess", "auto") not in ("auto", "none")
        scale = "native" if not typed and (judged or prepared) else opt.scale
        folders = {"A": "A", "B": "B"} if opt.direction == "AtoB" else {"A": "B", "B": "A"}
        trained = {side: trained_scale(run, folder) for side, folder in folders.items()}
        self.keep = opt.keep_scale
        self.factors = {
            side: chosen_factor("native" if side == "B" and value is None and scale == "train" else scale, value)
            for side, value in trained.items()
        }
        self.words = ""
        if not typed and set(trained.values()) == {None}:  # nothing is done, and nothing was asked for
            return
        self.words = words_of(scale, trained["A"], self.factors["A"], self.keep)
        if self.factors["A"] != self.factors["B"]:
            self.words += f"; those of the other side at {self.factors['B']:.3g}"

    def brought(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch as the networks are to see it."""
        out = dict(batch)
        for side, factor in self.factors.items():
            if factor != 1 and isinstance(image := batch.get(side), torch.Tensor) and image.ndim == 4:
                out[side] = resized(image, scaled_size((image.shape[2], image.shape[3]), factor))
        return out

    def back(
        self, visuals: Mapping[str, torch.Tensor], batch: Mapping[str, Any], sides: Mapping[str, str]
    ) -> dict[str, torch.Tensor]:
        """Visuals at the size of their source, the source itself as it was read."""
        out = dict(visuals)
        for name, images in visuals.items():
            side = sides.get(name, "A")
            if self.factors[side] == 1 or not isinstance(source := batch.get(side), torch.Tensor):
                continue
            if name == f"real_{side}":
                out[name] = source
            elif not self.keep:
                out[name] = resized(images, (source.shape[2], source.shape[3]))
        return out
