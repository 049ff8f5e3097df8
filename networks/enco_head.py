"""EnCo's head: the feature of a way up predicts the one of the way down at the same stage."""

from collections.abc import Sequence

import torch
from torch import nn

from .heads import at_places, unit


class PairHead(nn.Module):
    """For each pair of taps a projection ``mlp_<i>``, which both features go through, and a prediction ``prj_<i>``.

    Cai et al., "Rethinking the Paradigm of Content Constraints in Unpaired Image-to-Image Translation" (AAAI 2024).
    Batch norms are over the places of all images of a batch; the projection's statistics follow the queries, then the
    keys.

    Args:
        channels: C_l of each pair, the outermost first.
        dim: D, numbers of a vector; the prediction narrows to half of them.
    """

    def __init__(self, channels: Sequence[int], dim: int = 256):
        super().__init__()
        for i, C in enumerate(channels):
            project = nn.Linear(C, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU()
            self.add_module(
                f"mlp_{i}", nn.Sequential(*project, nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim, affine=False))
            )
            narrow = nn.Linear(dim, dim // 2, bias=False), nn.BatchNorm1d(dim // 2), nn.ReLU()
            self.add_module(f"prj_{i}", nn.Sequential(*narrow, nn.Linear(dim // 2, dim)))

    def forward(
        self, decoder: Sequence[torch.Tensor], encoder: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Features (B, C_l, H_l, W_l) of both ways at places (B, S_l) -> queries and keys, unit vectors (B, S_l, D).

        No gradient flows into the keys.
        """
        rows = [at_places(feature, places) for feature, places in zip(decoder, ids, strict=True)]
        queries = [unit(self._each(x, f"mlp_{i}", f"prj_{i}")) for i, x in enumerate(rows)]
        with torch.no_grad():
            rows = [at_places(feature, places) for feature, places in zip(encoder, ids, strict=True)]
            keys = [unit(self._each(x, f"mlp_{i}")) for i, x in enumerate(rows)]
        return queries, keys

    def _each(self, x: torch.Tensor, *names: str) -> torch.Tensor:
        """These layers on every vector of (B, S, C)."""
        flat = x.flatten(0, 1)
        for name in names:
            flat = getattr(self, name)(flat)
        return flat.unflatten(0, x.shape[:2])
