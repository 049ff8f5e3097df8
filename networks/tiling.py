"""A generator on images of any size: padded to what it halves, or in tiles where the whole does not fit in memory."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .layers import InstanceNorm
from .unet import UnetGenerator

Crop = Callable[[int, int, int, int], torch.Tensor]  # (top, bottom, left, right) -> (1, C, bottom - top, right - left)
Span = tuple[int, int]  # start and end of a tile along one axis
Share = tuple[int, int | None]  # start and end of a part of a tile; None is the tile's end
EDGE = 3 / 8  # of an overlap: what each of two tiles leaves to the other, before the two are blended
KEPT = 1 / 2  # activations are kept between passes where they are at most this many times ngf values per pixel


def whole(netG: Any, image: torch.Tensor) -> torch.Tensor:
    """netG(image) at the size of the image (B, C, H, W), whatever that is: padded to the stride and cropped back."""
    H, W = image.shape[2:]
    return netG(padded(netG, image))[..., :H, :W]


def in_tiles(netG: Any, images: torch.Tensor, tile: int, overlap: int) -> torch.Tensor:
    """netG on images (B, C, H, W) in tiles, one after another, and where they are; see :func:`tiled`."""

    def made(image: torch.Tensor) -> torch.Tensor:
        def crop(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
            return image[..., top:bottom, left:right]

        height, width = image.shape[2:]
        return torch.cat([band for _, band in tiled(netG, crop, height, width, tile, overlap)], 2)

    return torch.cat([made(image) for image in images.split(1)]).to(images.device)


def check_tiles(netG: nn.Module) -> None:
    """Whether a generator can draw in tiles.

    Raises:
        ValueError: a U-Net, which sees the whole image through its bottleneck, or an unknown one with instance norm.
    """
    normed = any(isinstance(m, InstanceNorm) for m in netG.modules())
    if isinstance(netG, UnetGenerator) or (normed and not hasattr(netG, "layers_in_order")):
        raise ValueError("a generator that sees the whole image at once, as a U-Net does, cannot draw in tiles")


def padded(netG: Any, image: torch.Tensor) -> torch.Tensor:
    """The image, continued below and to the right to multiples of the stride and at least the smallest size.

    A generator that names neither, as a plugin's may, takes any size.
    """
    H, W = image.shape[2:]
    least, stride = getattr(netG, "min_size", 1), getattr(netG, "stride", 1)
    down, right = (-max(size, least) % stride + max(least - size, 0) for size in (H, W))
    mode = "reflect" if down < H and right < W else "replicate"
    return F.pad(image, (0, right, 0, down), mode=mode) if down or right else image


def tiled(
    netG: Any,
    crop: Crop,
    height: int,
    width: int,
    tile: int,
    overlap: int,
    step: Callable[[float], None] = lambda fraction: None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """netG on an image in tiles, to be had row by row of them.

    Instance norm takes mean and variance from the whole image, so tiles by themselves would come out in colours of
    their own. Here they go through the network abreast: from norm to norm, where the sums of all tiles make the
    statistics of the whole. What a tile has in between is kept on the CPU where the network is narrow; the wide
    layers at full size are computed again instead. Other networks draw tile after tile.

    In the outer ``EDGE`` of an overlap, where a tile does not see enough of what surrounds it, its neighbour draws
    alone; in the middle one fades into the other. So the result is that of the whole image to rounding where
    ``EDGE`` of the overlap is as far as an output pixel sees, and very nearly for less.

    Args:
        crop: reads a window of the image, float in [-1, 1], where the network is.
        tile, overlap: pixels along each axis, made multiples of what the generator halves.
        step: called as it goes on, with the part of the work that is done.

    Yields:
        (top, rows): rows (1, C, h, W) of the result from ``top`` on, on the CPU, from the first to the last.

    Raises:
        ValueError: see :func:`check_tiles`.
    """
    check_tiles(netG)
    tile, overlap = legal(netG, tile, overlap)
    rows, columns = spans(height, tile, overlap, netG.stride), spans(width, tile, overlap, netG.stride)

    def read(y: Span, x: Span) -> torch.Tensor:
        return padded(netG, crop(*y, *x))

    draw: Callable[[Span, Span], torch.Tensor]
    if any(isinstance(m, InstanceNorm) for m in netG.modules()):
        draw = Abreast(netG, read, rows, columns, step).draw
    else:
        draw = lambda y, x: netG(read(y, x))  # noqa: E731

    band, weight, top = torch.zeros(0), torch.zeros(0), 0  # sums over the tiles that reach below ``top``
    for i, y in enumerate(rows):
        for x in columns:
            image = draw(y, x)[..., : y[1] - y[0], : x[1] - x[0]].float().cpu()
            if i == 0 and x is columns[0]:
                band, weight = torch.zeros(1, image.shape[1], y[1], width), torch.zeros(y[1], width)
            fade = window(y, overlap, height)[:, None] * window(x, overlap, width)
            place = (..., slice(y[0] - top, y[1] - top), slice(*x))
            band[place] += image * fade
            weight[place] += fade
        step((i + 1) / len(rows))
        done = (rows[i + 1][0] if i + 1 < len(rows) else height) - top
        yield top, band[:, :, :done] / weight[:done]
        if i + 1 < len(rows):
            more = rows[i + 1][1] - y[1]
            band, weight = F.pad(band[:, :, done:], (0, 0, 0, more)), F.pad(weight[done:], (0, 0, 0, more))
            top += done


class Abreast:
    """All tiles of an image between two norms of a generator, and the statistics of the norms before.

    The generator tells its ``layers_in_order``, with None where a residual block begins or ends.

    A tile is where it was kept last: its activation and, inside a residual block, the block's input. At first it is
    kept nowhere, and begins as what ``read`` gives.
    """

    def __init__(
        self,
        netG: Any,
        read: Callable[[Span, Span], torch.Tensor],
        rows: Sequence[Span],
        columns: Sequence[Span],
        step: Callable[[float], None],
    ):
        self.read, self.layers = read, list(netG.layers_in_order())
        self.known: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # layer -> mean and 1 / deviation, (C, 1, 1)
        self.kept: dict[tuple[Span, Span], tuple[torch.Tensor, ...]] = {}
        self.at = 0  # the layer in front of which tiles are kept
        ngf = next(layer.out_channels for layer in self.layers if isinstance(layer, nn.Conv2d))
        axes = (
            zip(rows, shares(rows, netG.stride), strict=True),
            zip(columns, shares(columns, netG.stride), strict=True),
        )
        tiles = list(itertools.product(*axes))
        norms = [i for i, layer in enumerate(self.layers) if isinstance(layer, InstanceNorm)]
        for number, i in enumerate(norms):
            sums: torch.Tensor | None = None
            kept = {}
            for (y, rows_of), (x, columns_of) in tiles:
                state = self.run(y, x, i)
                size = -(-max(y[1] - y[0], netG.min_size) // netG.stride) * netG.stride  # padded
                mine = _sums(state[0], size // state[0].shape[2], rows_of, columns_of)
                sums = mine if sums is None else sums + mine
                if sum(s.numel() for s in state) <= KEPT * ngf * size * state[0].shape[3] * size / state[0].shape[2]:
                    kept[y, x] = tuple(s.cpu() for s in state)
            count, total, squares = sums  # type: ignore[misc]
            mean = total / count
            scale = ((squares / count - mean.square()).clamp(min=0) + self.layers[i].eps).rsqrt()
            self.known[i] = mean.float()[:, None, None], scale.float()[:, None, None]
            if kept:
                self.kept, self.at = kept, i
            step((number + 1) / (len(norms) + 1) * 0.95)

    def draw(self, y: Span, x: Span) -> torch.Tensor:
        return self.run(y, x, len(self.layers))[0]

    def run(self, y: Span, x: Span, end: int) -> tuple[torch.Tensor, ...]:
        """A tile in front of the layer ``end``."""
        if (y, x) in self.kept:
            device = next(iter(self.known.values()))[0].device
            h, *skip = (s.to(device) for s in self.kept[y, x])
        else:
            h, skip = self.read(y, x), []
        for i in range(self.at if (y, x) in self.kept else 0, end):
            layer = self.layers[i]
            if layer is None:  # a residual block begins or ends
                h, skip = (skip[0] + h, []) if skip else (h, [h])
            elif i in self.known:
                mean, scale = self.known[i]
                h = ((h.float() - mean) * scale).to(h.dtype)
            else:
                h = layer(h)
        return (h, *skip)


def _sums(x: torch.Tensor, scale: int, rows: Share, columns: Share) -> torch.Tensor:
    """Count, sum and sum of squares of a tile's share of each channel, (3, C), in float64 where there is one."""
    (top, bottom), (left, right) = (
        (begin // scale, None if end is None else end // scale) for begin, end in (rows, columns)
    )
    part = x[0, :, top:bottom, left:right].flatten(1)
    double = torch.float32 if x.device.type == "mps" else torch.float64
    count = torch.full_like(part[:, 0], part.shape[1], dtype=double)
    if part.dtype == torch.float32 and x.device.type == "cpu":
        mean = part.mean(1, keepdim=True)  # squares about the mean lose nothing in float32, and are fast
        around = (part - mean).square().mean(1).to(double)
        mean = mean[:, 0].to(double)
        return torch.stack([count, count * mean, count * (around + mean.square())])
    part = part.to(double)
    return torch.stack([count, part.sum(1), part.square().sum(1)])


def legal(netG: Any, tile: int, overlap: int) -> tuple[int, int]:
    """Tile and overlap that this generator can have: multiples of what it halves, the tile larger than two overlaps."""
    unit = netG.stride
    overlap = -(-overlap // unit) * unit
    return max(-(-tile // unit) * unit, overlap + unit, netG.min_size), overlap


def spans(length: int, tile: int, overlap: int, unit: int) -> list[Span]:
    """(start, end) of tiles that cover ``length`` pixels; they start at multiples of ``unit``."""
    if length <= tile:
        return [(0, length)]
    last = -(-(length - tile) // unit) * unit  # where the last one starts
    count = -(-last // (tile - overlap))
    starts = [last * i // count // unit * unit for i in range(count + 1)]
    return [(start, min(start + tile, length)) for start in starts]


def shares(spans: Sequence[Span], unit: int) -> list[Share]:
    """The part of each tile, from its own start, that belongs to it alone: the cut is in the middle of an overlap."""
    cuts = [(a[1] + b[0]) // 2 // unit * unit for a, b in itertools.pairwise(spans)]
    return [
        (begin - span[0], None if end is None else end - span[0])
        for span, begin, end in zip(spans, [0, *cuts], [*cuts, None], strict=True)
    ]


def window(span: Span, overlap: int, length: int) -> torch.Tensor:
    """The weight of each pixel of a tile along one axis: 1 inside, a smooth step to 0 across each overlap."""
    start, end = span
    position = torch.arange(end - start) + 0.5
    weight = torch.ones(end - start)
    for distance, outer in ((position, start == 0), (position.flip(0), end == length)):
        if not outer and overlap:
            t = ((distance / overlap - EDGE) / (1 - 2 * EDGE)).clamp(0, 1)
            weight = weight * t * t * (3 - 2 * t)
    return weight
