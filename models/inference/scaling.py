"""Batches of a test brought to the scale of the training, and what was made of them brought back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from options import UserError
from util.scale import chosen_factor, resized, scaled_size, trained_scale, words_of


class Scaling:
    """Each side that the method translates has its own factor, that of the folder it is read from.

    Args:
        opt: of the test. Without --scale, pictures that are judged or have a --preprocess of their own stay as they
            are, and else it is auto.

    Raises:
        UserError: it is no scale for this model.
    """

    def __init__(self, opt: Any, run: Path, model: Any):
        judged = opt.metrics or getattr(opt, "recogniser", None) or getattr(opt, "style_judge", None)
        prepared = getattr(opt, "preprocess", "auto") not in ("auto", "none")
        scale = opt.scale or ("native" if judged or prepared else "auto")
        fixed = next((network.size for network in model.networks.values() if hasattr(network, "size")), None)
        if fixed is not None and scale not in ("auto", "native"):
            raise UserError(f"--scale {scale}: --model {opt.model} makes images of {fixed} pixels alone; leave it out")
        folders = ["A", "B"] if opt.direction == "AtoB" else ["B", "A"]
        sides = dict(zip("AB" if model.other_way else "A", folders, strict=False))
        trained = {side: trained_scale(run, folder) for side, folder in sides.items()}
        self.keep = opt.keep_scale
        self.factors = {side: chosen_factor(scale, value) for side, value in trained.items()}
        self.words = ""
        if opt.scale or (any(trained.values()) and not prepared):  # else nothing is done, and nothing was asked for
            self.words = words_of(scale, trained["A"], self.factors["A"], self.keep)
            if len(set(self.factors.values())) > 1:
                at = "their own size" if self.factors["B"] == 1 else f"{self.factors['B']:.3g} of theirs"
                self.words += f"; those of {sides['B']} at {at}"

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
            if self.factors.get(side, 1) == 1 or not isinstance(source := batch.get(side), torch.Tensor):
                continue
            if name == f"real_{side}":
                out[name] = source
            elif not self.keep:
                out[name] = resized(images, (source.shape[2], source.shape[3]))
        return out
