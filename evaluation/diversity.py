"""How much the images of a set differ from one another: what mode collapse takes away."""

import torch
import torch.nn.functional as F

from util.seeding import derive

SIDE = 16  # pixels that images are reduced to, so that noise and fine texture are no diversity
MOST = 256  # images of a kind that are compared: 32,640 pairs


class Diversity:
    """Mean distance between two generated images, in parts of that between two real ones.

    The pixels of images reduced to 16 x 16 are compared, so it costs nothing and needs no network: a coarse alarm
    about outputs that are all alike, not a measure of quality. At most 256 images of either kind count, drawn from all
    that were added, so that every class or style is among them; which ones depends on their places alone.
    """

    def __init__(self) -> None:
        self.thumbnails: dict[str, list[tuple[int, torch.Tensor]]] = {}  # with the number that it was drawn by
        self.seen: dict[str, int] = {}

    def add(self, kind: str, images: torch.Tensor) -> None:
        """Images (B, C, H, W) in [-1, 1], of any size, ``fake`` or ``real``."""
        kept, start = self.thumbnails.setdefault(kind, []), self.seen.get(kind, 0)
        self.seen[kind] = start + len(images)
        drawn = [derive("diversity", start + i) for i in range(len(images))]
        limit = kept[-1][0] if len(kept) == MOST else None
        places = [i for i, number in enumerate(drawn) if limit is None or number < limit]
        if places:
            small = F.adaptive_avg_pool2d(images[places].detach().float(), SIDE)
            rows = small.mean(1).flatten(1).double().cpu()  # (B, 256)
            kept += zip((drawn[i] for i in places), rows, strict=True)
            kept.sort(key=lambda pair: pair[0])  # the least numbers of all are a draw of all, whatever the batches
            del kept[MOST:]

    def ratio(self) -> float | None:
        """None where either kind has fewer than two images, or the real ones are alike."""
        spread = {}
        for kind in ("fake", "real"):
            rows = [row for _, row in self.thumbnails.get(kind, [])]
            if len(rows) < 2:
                return None
            spread[kind] = torch.pdist(torch.stack(rows)).mean().item()
        return spread["fake"] / spread["real"] if spread["real"] > 0 else None
