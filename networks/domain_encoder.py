"""A compact network that describes images of one domain by few numbers, and was taught by nothing but images."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from .caption_judge import LARGE
from .glyph_judge import STAGES, built, trunk, words

HIDDEN, PROJECTED = 128, 64  # of the projection, which is for training alone


class DomainEncoder(nn.Module):
    """Images (B, C, H, W) in [-1, 1] to unit vectors (B, 64), by which two views of an image find one another.

    The trunk of :class:`networks.glyph_judge.GlyphJudge`, whose first layer leaves images below 64 pixels as large as
    they are. What describes an image is read before the projection (Chen et al., "A Simple Framework for Contrastive
    Learning of Visual Representations", ICML 2020, section 4.2). These features are linear, of any sign, and have mean
    0 and variance 1 over what training saw: so a Frechet distance between sets is in units of one feature's variance.

    What it is and its size are kept as an extra state, text in bytes, as a judge of glyphs does.

    Args:
        channels: C.
        size: height and width it is trained with, in pixels.
        width: channels after the first convolution; the last has eight times as many.
        features: how many numbers describe an image.
    """

    def __init__(self, channels: int = 3, size: int = 64, width: int = 16, features: int = 64):
        super().__init__()
        self.channels, self.size, self.count = channels, size, features
        self.features = trunk(channels, width, 2 if size >= LARGE else 1)
        self.describe = nn.Sequential(
            nn.Linear(width * 2 ** (STAGES - 1), features, bias=False), nn.BatchNorm1d(features, affine=False)
        )
        self.project = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PROJECTED))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.project(self.embed(x)).float(), dim=1)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """What describes the images: (B, features)."""
        return self.describe(self.features(x).mean((2, 3)))

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Images in the channels and of the size that it is trained with, whatever their shape; antialiased.

        Raises:
            ValueError: their channels are no colours.
        """
        if images.shape[1] != self.channels:
            if {images.shape[1], self.channels} != {1, 3}:
                raise ValueError(f"images of {images.shape[1]} channels, where {self.channels} are wanted")
            images = images.mean(1, keepdim=True) if self.channels == 1 else images.expand(-1, 3, -1, -1)
        if images.shape[2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return images

    def get_extra_state(self) -> torch.Tensor:
        return torch.tensor(list(f"domain\n{self.size}".encode()), dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        if not torch.equal(state.cpu(), self.get_extra_state()):
            raise ValueError(f"{' of size '.join(words(state)[:2])}, not domain of size {self.size}")


def encoder_of(state: Mapping[str, torch.Tensor]) -> DomainEncoder:
    """The network whose weights these are, with them, in eval mode.

    Raises:
        ValueError: they are no such network's.
    """
    try:
        size = int(words(state["_extra_state"])[1])
        width, channels = state["features.0.weight"].shape[:2]
        encoder = built(lambda: DomainEncoder(channels, size, width, len(state["describe.0.weight"])), state)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise ValueError(f"no weights of a domain network ({str(error).splitlines()[0]})") from None
    return encoder.eval()
