"""Augmentation that lets a gradient through: D sees altered images, real and generated alike, and G learns from it."""

from collections.abc import Callable

import torch
from torch import nn

# (images (B, C, H, W), whether (B,) and how (B,), (B,) in [0, 1) each is altered) -> images
Operation = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class DiffAugment(nn.Module):
    """Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (NeurIPS 2020); without parameters.

    ``color``        brightness + U(-1/2, 1/2), then saturation * U(0, 2), then contrast * U(1/2, 3/2)
    ``translation``  by up to an eighth of the size; what comes in is 0, which is grey, as published
    ``cutout``       a square of half the size, its centre anywhere in the image, becomes grey
    ``flip``         left and right change places in every second image; not published as a part of it, and for
                     data whose class a mirror keeps

    Numbers come from torch's global generator, which a step seeds; each image has its own. Colours may leave [-1, 1].
    Altered images belong in every term of D and of G: a D that sees altered reals alone teaches G to alter.

    Args:
        policy: comma-separated words of the above, in the order in which they are applied; "" changes nothing.

    Raises:
        ValueError: a word is unknown.
    """

    def __init__(self, policy: str = "color,translation,cutout"):
        super().__init__()
        words = [word.strip() for word in policy.split(",") if word.strip()]
        unknown = [word for word in words if word not in OPERATIONS]
        if unknown:
            raise ValueError(f"no augmentation named {unknown[0]!r}; choose from {', '.join(OPERATIONS)}")
        self.policy = ",".join(words)
        self.operations = tuple(operation for word in words for operation in OPERATIONS[word])

    def forward(self, x: torch.Tensor, p: float | torch.Tensor = 1.0) -> torch.Tensor:
        """Alter images (B, C, H, W) in [-1, 1].

        Args:
            p: probability of each operation for each image, independently; a number, or a tensor () or (B,). At 0
                nothing changes.
        """
        draws = torch.rand(len(self.operations), 3, len(x), device=x.device)
        for operation, (gate, u, v) in zip(self.operations, draws, strict=True):
            x = operation(x, gate < p, u, v)
        return x

    def extra_repr(self) -> str:
        return repr(self.policy)


def shift_and_flip(x: torch.Tensor, flip: bool = True) -> torch.Tensor:
    """Move each image (B, C, H, W) by whole pixels, up to an eighth of its size, and mirror every second one.

    What comes in is mirrored at the edge. The augmentation of Zhang et al., "Consistency Regularization for
    Generative Adversarial Networks" (ICLR 2020); numbers come from torch's global generator.

    Args:
        flip: off for data whose class a mirror changes, such as letters.
    """
    B, _, H, W = x.shape
    u, v, mirrored = torch.rand(3, B, device=x.device)
    rows, columns = reflected(moved(u, H, H // 8), H), reflected(moved(v, W, W // 8), W)
    if flip:
        columns = torch.where(mirrored[:, None] < 0.5, W - 1 - columns, columns)
    return pick(x, rows, columns)


# -- operations ------------------------------------------------------------------------------------


def brightness(x: torch.Tensor, on: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return x + per_image(on * (u - 0.5), x)


def saturation(x: torch.Tensor, on: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    if x.shape[1] == 1:
        return x
    return x.lerp(x.mean(1, keepdim=True), per_image(torch.where(on, 1 - 2 * u, 0.0), x))  # at 0 it is x, exactly


def contrast(x: torch.Tensor, on: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return x.lerp(x.mean((1, 2, 3), keepdim=True), per_image(torch.where(on, 0.5 - u, 0.0), x))


def translation(x: torch.Tensor, on: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    H, W = x.shape[2:]
    centre = torch.where(on, torch.stack([u, v]), 0.5)  # a draw of one half moves nothing
    rows, columns = (moved(c, size, int(size / 8 + 0.5)) for c, size in zip(centre, (H, W), strict=True))
    outside = ((rows < 0) | (rows >= H))[:, :, None] | ((columns < 0) | (columns >= W))[:, None]
    return grey(outside, pick(x, rows.clamp(0, H - 1), columns.clamp(0, W - 1)))


def cutout(x: torch.Tensor, on: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    cut = on[:, None, None]
    for draw, size, axis in ((u, x.shape[2], -1), (v, x.shape[3], -2)):
        side = int(size / 2 + 0.5)
        # The centre of an even side lies between pixels: size + 1 places, at both ends with half of it outside.
        start = (draw * (size + 1 - side % 2)).floor() - side // 2
        offset = torch.arange(size, device=x.device) - start[:, None]
        cut = cut & ((offset >= 0) & (offset < side)).unsqueeze(axis)
    return grey(cut, x)


def flip(x: torch.Tensor, on: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.where((on & (u < 0.5)).view(-1, 1, 1, 1), x.flip(3), x)


OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
    "flip": (flip,),
}


# -- their parts -----------------------------------------------------------------------------------


def per_image(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.to(x.dtype).view(-1, 1, 1, 1)


def grey(where: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """0 in place of the pixels (B, H, W) that are named; masked_fill would lose channels-last."""
    return torch.where(where[:, None], 0.0, x)


def moved(draw: torch.Tensor, size: int, reach: int) -> torch.Tensor:
    """Places (B, size) of an axis, moved by a whole number in [-reach, reach], each as likely; draw (B,) in [0, 1)."""
    by = (draw * (2 * reach + 1)).floor().long() - reach
    return torch.arange(size, device=draw.device) + by[:, None]


def reflected(places: torch.Tensor, size: int) -> torch.Tensor:
    """Places up to size - 1 beyond the ends of an axis, mirrored at its first and last one."""
    last = size - 1
    return last - (last - places.abs()).abs()


def pick(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Pixel (h, w) of image b of the result is its pixel (rows[b, h], columns[b, w]); x keeps its memory format."""
    B, C, H, W = x.shape
    places = (rows[:, :, None] * W + columns[:, None]).view(B, H * W)
    if x.is_contiguous(memory_format=torch.channels_last):
        pixels = x.permute(0, 2, 3, 1).reshape(B, H * W, C)
        return pixels.gather(1, places[:, :, None].expand(-1, -1, C)).view(B, H, W, C).permute(0, 3, 1, 2)
    return x.reshape(B, C, H * W).gather(2, places[:, None].expand(-1, C, -1)).view(B, C, H, W)
