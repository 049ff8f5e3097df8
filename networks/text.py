"""Captions as networks read them, and a small encoder that learns to read them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn


@dataclass(frozen=True)
class Text:
    """Captions as vectors, a row each.

    Attributes:
        words: (B, T, D); what stands behind a caption's end means nothing.
        mask: (B, T) bool, True for a word; at least one in a row.
        sentence: (B, D), the mean of the words.
        places: (K,) int64, where the mask is true, counted through its rows; None where that is not known without
            asking a device. Rows that are taken or changed do not know it.
    """

    words: torch.Tensor
    mask: torch.Tensor
    sentence: torch.Tensor
    places: torch.Tensor | None = None

    @classmethod
    def of(cls, words: torch.Tensor, mask: torch.Tensor) -> "Text":
        """With the mean of true words alone; the published code divides by their number but adds padding too."""
        weights = mask.to(words.dtype)[:, :, None]
        return cls(words, mask, (words * weights).sum(1) / weights.sum(1))

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, rows: slice | torch.Tensor) -> "Text":
        return self.map(lambda x: x[rows])

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Text":
        return Text(change(self.words), change(self.mask), change(self.sentence))

    def detach(self) -> "Text":
        return replace(self.map(torch.Tensor.detach), places=self.places)


class TextTransformer(nn.Module):
    """ids (B, T) int64, 0 behind a caption's end, to a Text of ``dim`` numbers a word.

    Embeddings of words and places, then layers of self-attention with the norm in front (Vaswani et al., "Attention Is
    All You Need", NeurIPS 2017; Xiong et al., ICML 2020, for the place of the norm).

    Args:
        vocabulary: how many ids there are.
        dim: a multiple of ``heads``.
        most: words of the longest caption.
    """

    own_init = True

    def __init__(self, vocabulary: int, dim: int = 128, layers: int = 2, heads: int = 4, most: int = 32):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim, padding_idx=0)
        self.place = nn.Parameter(0.02 * torch.randn(most, dim))
        layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, ids: torch.Tensor) -> Text:
        mask = ids != 0
        x = self.embedding(ids) + self.place[: ids.shape[1]]
        return Text.of(self.layers(x, src_key_padding_mask=~mask), mask)
