"""The discriminator of XMC-GAN: real or fake given the sentence, and features for its contrasts.

Zhang et al., "Cross-Modal Contrastive Learning for Text-to-Image Generation" (CVPR 2021).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .biggan_discriminator import DownBlock, FirstBlock
from .text import Text
from .xmcgan import MAPS, draw_xavier, ladder

# Size of an image -> channels behind each block, in multiples of ndf; the last block does not halve.
WIDTHS = {32: (1, 2, 4, 4), 64: (1, 2, 4, 8, 8), 128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16)}


class XMCDiscriminator(nn.Module):
    """D(x, want, text) -> {answer: tensor} for images x (B, channels, size, size).

    Answers are ``logit`` (B,); ``pooled`` (B, F), the sum over the last map, and ``sentence`` (B, F), the captions in
    its space, where their product is a part of the logit; ``regions`` (B, R, D), places of a map of 8 x 8 at 32 pixels
    and of 16 x 16 else, in the space of words. The logit teaches a text encoder nothing.

    Args:
        text_dim: numbers of a word, and of a sentence.
        ndf: channels of the first block; published: 96.

    Raises:
        ValueError: no ladder for this size.
    """

    own_init = True

    def __init__(self, size: int, channels: int, text_dim: int, ndf: int):
        super().__init__()
        ladder(size)
        widths = [ndf * m for m in WIDTHS[size]]
        tap = (size // MAPS[size]).bit_length() - 1  # blocks up to the map of regions
        parts: list[nn.Module] = [FirstBlock(channels, widths[0])]
        for i, (c, out) in enumerate(pairwise(widths), start=2):
            parts.append(DownBlock(c, out, hidden=out, down=i < len(widths), raw=True))
        self.stem, self.body = nn.Sequential(*parts[:tap]), nn.Sequential(*parts[tap:])
        self.region = nn.Conv2d(widths[tap - 1], text_dim, 1)
        self.logit = nn.Linear(widths[-1], 1)
        self.sentence = nn.Linear(text_dim, widths[-1])
        draw_xavier(self)

    def forward(
        self, x: torch.Tensor, want: Sequence[str] = ("logit",), text: Text | None = None, reference: None = None
    ) -> dict[str, torch.Tensor]:
        local = self.stem(x)
        pooled = F.relu(self.body(local)).sum((2, 3))
        answers = {"pooled": pooled}
        if "regions" in want:
            answers["regions"] = self.region(local).flatten(2).transpose(1, 2)
        if "logit" in want or "sentence" in want:
            if text is None:
                raise ValueError("a discriminator of captioned images needs their captions")
            sentence = text.sentence
            answers["sentence"] = self.sentence(sentence)
            known = self.sentence(sentence.detach()) if sentence.requires_grad else answers["sentence"]
            answers["logit"] = self.logit(pooled).squeeze(1) + (pooled * known).sum(1)
        return {name: answers[name] for name in want}
