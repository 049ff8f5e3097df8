"""F-LSeSim: patches of an image are described by how similar their surroundings are to them."""

from typing import Literal

import torch
import torch.nn.functional as F

from .precision import in_float32


def windows(ids: torch.Tensor, height: int, width: int, size: int) -> torch.Tensor | None:
    """The places (S, size * size) around each of S places of a map, moved to lie inside it; none is the whole map."""
    if size <= 0 or size >= height or size >= width:
        return None
    rows, columns = ids.div(width, rounding_mode="floor"), ids % width
    top, left = (
        (x - size // 2).clamp(0, side - size)[:, None] + torch.arange(size, device=ids.device)
        for x, side in ((rows, height), (columns, width))
    )
    return (top[:, :, None] * width + left[:, None]).flatten(1)


@in_float32
def similarity_maps(features: torch.Tensor, ids: torch.Tensor, size: int = 64, normed: bool = False) -> torch.Tensor:
    """How similar S places are to what surrounds them, (B, S, N).

    Zheng, Cham, Cai, "The Spatially-Correlative Loss for Various Image Translation Tasks" (CVPR 2021, equation 1).

    Args:
        features: (B, C, H, W), the mean over places subtracted.
        ids: (S,) places, row-major.
        size: side of the window around a place, in places; a map that is not larger is taken whole.
        normed: cosines; else tanh of a tenth of the mean product over channels.
    """
    H, W = features.shape[2:]
    x = features.flatten(2)  # (B, C, H W)
    if normed:
        x = F.normalize(x, dim=1)
    chosen, around = x.index_select(2, ids), windows(ids, H, W, size)
    maps = chosen.transpose(1, 2) @ x if around is None else torch.einsum("bcs,bcsn->bsn", chosen, x[:, :, around])
    return maps if normed else torch.tanh(maps / (10 * x.shape[1]))


@in_float32
def spatial_loss(
    source: torch.Tensor, output: torch.Tensor, mode: Literal["cos", "l1"] = "cos", normed: bool = False
) -> torch.Tensor:
    """FSeSim: the distance between maps (B, S, N) of the source and of the output at the same places.

    Of each map of the output the entries count that are not below its (N // 4 + 1)-th largest, and the same of the
    source. ``cos``: smooth L1, or with ``normed`` L1, of one minus their cosine (equation 3 of the same paper);
    ``l1`` (equation 2): that of their difference, times N over N // 4. The mean over places, or over entries.
    """
    N = output.shape[2]
    kept = N // 4
    least = output.topk(min(kept + 1, N), dim=2).values[..., -1:].detach()
    mask = (output >= least).to(output.dtype)
    source, output = source * mask, output * mask
    distance = F.l1_loss if normed else F.smooth_l1_loss
    if mode == "cos":
        cosine = F.cosine_similarity(source, output, dim=2)
        return distance(torch.ones_like(cosine), cosine)
    part = N / max(kept, 1)
    return distance(output * part, source * part)


@in_float32
def spatial_contrast(
    source: torch.Tensor, target: torch.Tensor, other: torch.Tensor, tau: float = 0.07
) -> torch.Tensor:
    r"""LSeSim: recognise the map of a place among those of other places and of another image.

    Equation 5 of the same paper: 3 S answers for each of S places, those of the target (its own is right) and twice
    those of the other image, told from the source's and from the target's map.

    Args:
        source, target, other: (B, S, N) maps.

    Returns:
        nats; log(3 S) where all maps are alike.
    """
    source, target, other = (F.normalize(maps, dim=2) for maps in (source, target, other))
    answers = [source @ target.transpose(1, 2), source @ other.transpose(1, 2), target @ other.transpose(1, 2)]
    logits = torch.cat(answers, 2) / tau
    own = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return F.cross_entropy(logits.flatten(0, 1), own.flatten())
