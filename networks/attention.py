"""Attention between the places of feature maps: of an image to itself, or to a reference image."""

import torch
import torch.nn.functional as F
from torch import nn

from .layers import as_it_comes


class Attention(nn.Module):
    r"""What every place of x finds in a source, added to x with a learned weight that starts at zero.

    .. math:: y_i = x_i + \sigma\, W_o \sum_j \operatorname{softmax}_j(q_i \cdot k_j)\, v_j

    Equations 1 to 3 of Zhang et al., "Self-Attention Generative Adversarial Networks" (ICML 2019), where queries q come
    from x, keys k and values v from the source, as 1 x 1 convolutions. As in the authors' code and in BigGAN, q and k
    have an eighth of the channels, v half of them, and keys and values are the maxima of 2 x 2 places.
    """

    def __init__(self, channels: int):
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(1))

    def attend(self, x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        B, _, H, W = x.shape
        q = self.query(x).flatten(2)  # (B, C/8, HW)
        k = F.max_pool2d(self.key(source), 2).flatten(2)  # (B, C/8, HW/4)
        v = F.max_pool2d(self.value(source), 2).flatten(2)  # (B, C/2, HW/4)
        logits = q.transpose(1, 2) @ k  # (B, HW, HW/4); no scale, and written out: fused ones have no second derivative
        with as_it_comes(logits):  # the product below would narrow a wider softmax again
            shares = logits.softmax(dim=-1)
        found = (v @ shares.transpose(1, 2)).view(B, -1, H, W)
        return x + self.weight.to(x.dtype) * self.out(found)


class SelfAttention(Attention):
    """Attention of a map (B, C, H, W) to itself; H and W are 2 at least. It starts as the identity."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attend(x, x)


class ReferenceAttention(Attention):
    """Attention of a map (B, C, H, W) to that of a reference image, (B, C, H', W'). It starts as the identity.

    Yu et al., "Dual Contrastive Loss and Attention for GANs" (ICCV 2021), in the form above: of the authors'
    own code nothing is published.
    """

    def forward(self, x: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return self.attend(x, reference)
