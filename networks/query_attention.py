"""Which places of a feature map attend to few others, and what they attend to (QS-Attn)."""

import torch

ROWS = 512  # of the attention that are computed at once: what is kept of all N places is N numbers


def attention(x: torch.Tensor, rows: torch.Tensor, width: int, window: int | None = None) -> torch.Tensor:
    """softmax_j(x_i . x_j) of S places i over all places j, (B, S, N) in at least float32.

    Hu et al., "QS-Attn: Query-Selected Attention for Contrastive Learning in I2I Translation" (CVPR 2022, section 3.2).
    Features are neither normalised nor scaled, as published.

    Args:
        x: (B, N, C) features of the N places of a map, row-major.
        rows: (B, S) the places i.
        width: of the map, in places.
        window: j runs over a square of so many places around i, cut at the border of the map; none is all places. The
            published code reads its windows with channels in place of places, and pads them with zeros that count.
    """
    chosen = x.gather(1, rows[..., None].expand(-1, -1, x.shape[2]))
    with torch.autocast(x.device.type, enabled=False):
        up = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        logits = chosen.to(up.dtype) @ up.transpose(1, 2)
        if window is not None:
            places = torch.arange(x.shape[1], device=x.device)
            apart = [rows[..., None].div(width, rounding_mode="floor") - places.div(width, rounding_mode="floor")]
            apart.append(rows[..., None] % width - places % width)
            far = (apart[0].abs() > window // 2) | (apart[1].abs() > window // 2)
            logits = logits.masked_fill(far, -torch.inf)
        return logits.softmax(2)


@torch.no_grad()
def entropy(x: torch.Tensor, width: int, window: int | None = None) -> torch.Tensor:
    """(B, N): - sum_j A_ij ln A_ij of every place's attention, in nats, computed in blocks of rows."""
    B, N, _ = x.shape
    blocks = torch.arange(N, device=x.device).expand(B, N).split(ROWS, 1)
    return torch.cat([torch.special.entr(attention(x, rows, width, window)).sum(2) for rows in blocks], 1)
