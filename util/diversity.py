"""How much the images of a set differ from one another: what mode collapse takes away."""

import torch
import torch.nn.functional as F

SIDE = 16  # pixels that images are reduced to, so that noise and fine texture are no diversity
MOST = 256  # images of a kind that are compared: 32,640 pairs


class Diversity:
    """Mean distance between two generated images, in parts of that between two real ones.

    The pixels of images reduced to 16 x 16 are compared, so it costs nothing and needs no network: a coarse alarm
    about outputs that are all alike, not a measure of quality.
    """

    def __init__(self) -> None:
        self.thumbnails: dict[str, list[torch.Tensor]] = {}

    def add(self, kind: str, images: torch.Tensor) -> None:
        """Images (B, C, H, W) in [-1, 1], of any size, ``fake`` or ``real``."""
        kept = self.thumbnails.setdefault(kind, [])
        room = MOST - sum(map(len, kept))
        if room > 0:
            small = F.adaptive_avg_pool2d(images[:room].detach().float(), SIDE)
            kept.append(small.mean(1).flatten(1).double().cpu())  # (B, 256)

    def ratio(self) -> float | None:
        """None where either kind has fewer than two images, or the real ones are alike."""
        spread = {}
        for kind in ("fake", "real"):
            rows = torch.cat(self.thumbnails.get(kind, [torch.empty(0, SIDE**2, dtype=torch.float64)]))
            if len(rows) < 2:
                return None
            spread[kind] = torch.pdist(rows).mean().item()
        return spread["fake"] / spread["real"] if spread["real"] > 0 else None
