"""What an extractor is: features of images, and what is said of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.metrics.shared.observed import Observed
from options import Exit, UserError
from util.stopwatch import Countdown

OBSERVED_AT_ONCE = 64  # images that are looked at at once


@dataclass
class Extractor:
    """Features of images, and what a reader of scores must know of them.

    Attributes:
        look: images, bytes (B, C, H, W) on the CPU, to what is seen in them, on any device.
        flag: what to call it in messages.
        tag: is added to the names of values; Inception has none.
        name: which network, which file or run, and the first digits of its hash.
        digest: sha256 of the file, in hexadecimal.
        resize: what is done to images of another size.
        features: how many numbers; 0 where only the first image will tell.
        comparable: whether its FID can be set beside published ones.
        remarks: what else a reader must know, a line each.
    """

    look: Callable[[torch.Tensor], Observed]
    device: torch.device
    flag: str
    tag: str
    name: str
    digest: str
    resize: str
    features: int
    comparable: bool = False
    remarks: tuple[str, ...] = ()

    @torch.no_grad()
    def __call__(self, levels: torch.Tensor) -> Observed:
        """What is seen in images, bytes (N, C, H, W): float32 on the CPU, an image as it is beside any others.

        Raises:
            UserError: they do not suit the extractor, or its features are not finite.
        """
        countdown = Countdown(len(levels), "observed image") if len(levels) > OBSERVED_AT_ONCE else None
        parts = []
        with torch.autocast(self.device.type, enabled=False):
            for part in levels.split(OBSERVED_AT_ONCE):
                seen = self.look(part)
                features, logits = seen.features.float().cpu(), seen.logits
                logits = None if logits is None else logits.float().cpu()
                if not all(torch.isfinite(x).all() for x in (features, logits) if x is not None):
                    raise UserError(
                        f"{self.flag}: features are not finite; train or give another extractor", code=Exit.NOT_FINITE
                    )
                answers = None if seen.answers is None else seen.answers.cpu()
                parts.append(Observed(features, logits, answers=answers))
                self.features = features.shape[1]
                if countdown is not None:
                    countdown.step(len(part))
        return Observed.join(parts)


def nothing(device: torch.device) -> Extractor:
    """For metrics that look at the images themselves."""
    return Extractor(lambda levels: Observed(torch.empty(len(levels), 0)), device, "", "", "", "", "", 0, True)


def named_by_digest(path: Path, digest: str) -> str:
    """A file or run without its folder, which differs between machines."""
    return f"{path.name}, sha256 {digest[:12]}"


def brief(error: Exception) -> str:
    """In one line, and not a long one."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
