"""Where a network listened to each word of a caption, laid over the picture that it made."""

import torch
import torch.nn.functional as F

HEAT = (225, 29, 72)  # red, green, blue of a place that listens to nothing but the word
COVER = 0.85  # of the picture, at most: what lies below is to be seen


def attention_tiles(levels: torch.Tensor, maps: torch.Tensor) -> tuple[torch.Tensor, float]:
    """A grey copy of a picture for each word, the redder a place the more it listened to that word.

    Red is as strong as a place's part is of the greatest part of any word at any place, so tiles of a caption can be
    compared; those of two captions only by the number that goes with them.

    Args:
        levels: (C, S, S) bytes; C is 1 or 3.
        maps: (T, h, w) parts, at least 0; at each place they sum to 1 over words.

    Returns:
        (T, 3, S, S) bytes, and the part that is full red.
    """
    grey = levels.float().mean(0, keepdim=True) / 255
    paper = 0.2 + 0.75 * grey  # neither black nor white, so that heat shows on both
    most = maps.max().item()
    size = tuple(levels.shape[1:])
    heat = F.interpolate(maps[:, None].float() / max(most, 1e-12), size, mode="bilinear", align_corners=False)
    cover = COVER * heat.clamp(0, 1)  # (T, 1, S, S)
    colour = torch.tensor(HEAT).view(3, 1, 1) / 255
    return ((cover * colour + (1 - cover) * paper) * 255).round().to(torch.uint8), most
