"""The generator of XMC-GAN: the sentence and noise condition small maps, words condition the places of larger ones.

Zhang et al., "Cross-Modal Contrastive Learning for Text-to-Image Generation" (CVPR 2021).
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .biggan import UpBlock
from .conditional_norm import ConditionalBatchNorm, LocalBatchNorm
from .text import Text

# Size of an image -> channels of the first map of 4 x 4 and behind each block, in multiples of ngf; and of the map that
# looks for words. 128 and 256 are published, 32 and 64 are the same ladder without its first steps.
WIDTHS = {32: (4, 4, 2, 1), 64: (8, 8, 4, 2, 1), 128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1)}
MAPS = {32: 8, 64: 16, 128: 16, 256: 16}
SENTENCE = 128  # numbers that the sentence becomes beside the noise
SHARPNESS = 15.0  # of a place's choice among words


def ladder(size: int) -> tuple[int, ...]:
    """Channels of the generator's maps, in multiples of ngf.

    Raises:
        ValueError: there is none for this size.
    """
    if size not in WIDTHS:
        raise ValueError(f"no ladder of blocks makes images of {size} pixels; choose from {sorted(WIDTHS)}")
    return WIDTHS[size]


class WordAttention(nn.Module):
    r"""What each place of a map finds among the words of its caption.

    .. math:: c_j = \sum_h a_{hj} \hat w_h, \qquad a_{hj} = \operatorname{softmax}_h(\gamma \cos(w_h, r_j))

    for the region r_j that a 1 x 1 convolution makes of place j; gamma is 15 in the authors' code.
    """

    def __init__(self, channels: int, dim: int):
        super().__init__()
        self.region = nn.Conv2d(channels, dim, 1)

    def forward(self, x: torch.Tensor, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, C, h, w) -> contexts (B, D, h, w) and shares of words (B, T, h, w), which sum to 1 over T."""
        words = F.normalize(text.words.to(x.dtype), dim=2)
        regions = F.normalize(self.region(x).flatten(2), dim=1)  # (B, D, hw)
        logits = SHARPNESS * words @ regions
        shares = logits.masked_fill(~text.mask[:, :, None], -torch.inf).softmax(1)  # (B, T, hw)
        contexts = words.transpose(1, 2) @ shares
        return contexts.unflatten(2, x.shape[2:]), shares.unflatten(2, x.shape[2:])


class XMCGenerator(nn.Module):
    """Noise (B, z_dim) of normal values, and captions, to images (B, channels, size, size) in [-1, 1].

    Args:
        text_dim: numbers of a word, and of a sentence.
        ngf: channels of the last block; published: 96.

    Raises:
        ValueError: no ladder for this size.
    """

    own_init = True

    def __init__(self, size: int, channels: int, text_dim: int, z_dim: int, ngf: int):
        super().__init__()
        self.size, self.channels, self.z_dim = size, channels, z_dim
        widths = [ngf * m for m in ladder(size)]
        condition = SENTENCE + z_dim
        whole = (MAPS[size] // 4).bit_length() - 1  # blocks in front of the words
        self.sentence = nn.Linear(text_dim, SENTENCE)
        self.first = nn.Linear(z_dim, widths[0] * 16)
        self.start = blocks(widths[: whole + 1], lambda c: ConditionalBatchNorm(c, condition, eps=1e-5))
        self.attention = WordAttention(widths[whole], text_dim)
        local = condition + text_dim
        self.end = blocks(widths[whole:], lambda c: LocalBatchNorm(c, local))
        self.norm = LocalBatchNorm(widths[-1], local)
        self.image = nn.Conv2d(widths[-1], channels, 3, padding=1)
        draw_xavier(self)

    def forward(
        self, z: torch.Tensor, text: Text, maps: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Images; with ``maps`` also which part of each place's attention each word has, (B, T, h, w)."""
        condition = torch.cat([self.sentence(text.sentence), z], 1)
        x = self.first(z).unflatten(1, (-1, 4, 4))
        for block in self.start:
            x = block(x, condition)
        contexts, shares = self.attention(x, text)
        everywhere = condition.to(contexts.dtype)[:, :, None, None].expand(-1, -1, *contexts.shape[2:])
        local = torch.cat([contexts, everywhere], 1)
        for block in self.end:
            x = block(x, local)
        images = torch.tanh(self.image(F.relu(self.norm(x, local), inplace=True)))
        return (images, shares) if maps else images


def blocks(widths: list[int], norm: Callable[[int], nn.Module]) -> nn.ModuleList:
    return nn.ModuleList(UpBlock(c, out, norm, "nearest") for c, out in pairwise(widths))


def draw_xavier(network: nn.Module) -> None:
    """Weights of convolutions and linear layers as the authors draw them (Glorot and Bengio, 2010), and no biases."""
    for m in network.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
