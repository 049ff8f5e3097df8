"""The networks of zi2zi: a U-Net that takes a style at its bottleneck, and what judges and compares its glyphs."""

from collections.abc import Callable
from math import log2

import torch
import torch.nn.functional as F
from torch import nn

from .layers import InstanceNorm


class StyleTable(nn.Module):
    """Rows of numbers, one for each style, that can be mixed: the row of a label, or a weighted sum of rows.

    ``forward`` takes labels, int64 (B,), or weights (B, styles), and returns (B, width).
    """

    def __init__(self, styles: int, width: int, std: float, fixed: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(styles, width) * std, requires_grad=not fixed)

    def forward(self, style: torch.Tensor) -> torch.Tensor:
        if style.is_floating_point():
            return style @ self.weight
        return F.embedding(style, self.weight)


class StyleNorm(nn.Module):
    """Batch normalisation whose scale and shift belong to the style (Dumoulin et al., ICLR 2017, with batch norm)."""

    def __init__(self, channels: int, styles: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = StyleTable(styles, channels, 0.0), StyleTable(styles, channels, 0.0)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        scale, shift = 1 + self.scale(style), self.shift(style)
        return torch.addcmul(shift[..., None, None].to(y.dtype), y, scale[..., None, None].to(y.dtype))


class PlainNorm(nn.Module):
    """``batch``, ``instance`` or ``none``; the style is not looked at. One pixel has no instance statistics."""

    def __init__(self, kind: str, channels: int):
        super().__init__()
        self.norm = {"batch": nn.BatchNorm2d, "instance": InstanceNorm, "none": nn.Identity}[kind](channels)

    def forward(self, x: torch.Tensor, style: torch.Tensor | None = None) -> torch.Tensor:
        if isinstance(self.norm, InstanceNorm) and x.shape[2:] == (1, 1):
            return x
        return self.norm(x)


class Residual(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), (B, C, H, W) to the same (He et al., ECCV 2016)."""

    def __init__(self, norms: tuple[nn.Module, nn.Module], channels: int):
        super().__init__()
        self.norm1, self.norm2 = norms
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor, style: torch.Tensor | None = None) -> torch.Tensor:
        y = self.conv1(F.relu(self.norm1(x, style)))
        return x + self.conv2(F.relu(self.norm2(y, style)))


class SelfAttention(nn.Module):
    """Every place looks at every other, (B, C, H, W) to the same (Zhang et al., SAGAN, ICML 2019); begins as x."""

    def __init__(self, channels: int):
        super().__init__()
        inner = max(1, channels // 8)
        self.query, self.key = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (f(x).flatten(2).transpose(1, 2)[:, None] for f in (self.query, self.key, self.value))
        seen = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)  # (B, C, H W)
        return x + self.gamma.to(x.dtype) * seen.reshape(x.shape)


class StyleUnet(nn.Module):
    r"""A glyph in the source font to that glyph in a style.

    As many halvings as lead from ``size`` to the bottom, the style beside the code there, and doublings with skip
    connections back.

    ======================================  ================================================================
    ``G(x, style)``                         image (P B, out, H, W) in [-1, 1], and the code (B, C b b) of x
    ``G(x)``                                the code alone, without the way back
    ======================================  ================================================================

    ``style`` are labels int64 (P B,) or weights of styles (P B, styles); P styles of one glyph are neighbours, and
    the way down is walked once for all of them.

    Args:
        size: height and width of the images, a power of two.
        ngf, widest: channels of the first level; they double from level to level up to ``widest``.
        bottom: height and width b of the code, in pixels: 1 in zi2zi. A code of one pixel is a description of the whole
            glyph; a larger one keeps to neighbourhoods. With twice the size and twice the bottom a network has the
            same weights, so that it can be trained at 64 pixels and finished at 128.
        kernel: of the strided convolutions, 4 or 5 (zi2zi's).
        norm: ``batch``, ``instance`` or ``none``; ``style`` is batch norm, on the way up with a scale and a shift of
            each style.
        skip: ``concat`` puts a level of the way down beside that of the way up, ``add`` adds it.
        up: ``deconv``, or ``shuffle``: a convolution to four times the channels, laid out as pixels.
        self_attention: at an eighth and a sixteenth of the size, on the way down.
        blocks: residual blocks at a quarter and at an eighth of the size, in both directions.
        dropout: in the first three levels of the way up.
        norm_code: normalise the code too, over the batch.
        styles, style_dim, style_std, fixed_styles: rows of the table, their width and scale, and whether they stay
            as they were drawn (Tian's zi2zi: "closer to a one-hot vector").
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        size: int,
        ngf: int = 64,
        widest: int = 512,
        bottom: int = 1,
        kernel: int = 4,
        norm: str = "batch",
        skip: str = "concat",
        up: str = "deconv",
        self_attention: bool = False,
        blocks: int = 0,
        dropout: float = 0.5,
        norm_code: bool = False,
        styles: int = 40,
        style_dim: int = 128,
        style_std: float = 1.0,
        fixed_styles: bool = False,
    ):
        super().__init__()
        levels = int(log2(size / bottom)) if size >= bottom else 0
        if size != bottom * 2**levels or bottom != 2 ** int(log2(bottom)) or levels < 2 or size < 16:
            raise ValueError(
                f"{size} pixels: a power of two is needed, from 16 and four times the {bottom} at the bottom"
            )
        self.skip, self.size = skip, size
        self.styles = StyleTable(styles, style_dim, style_std, fixed_styles)
        width = [min(ngf * 2**i, widest) for i in range(levels)]
        deep = [i in (1, 2) for i in range(levels)]  # levels with residual blocks

        def plain(channels: int) -> nn.Module:
            return PlainNorm("batch" if norm == "style" else norm, channels)

        def styled(channels: int) -> nn.Module:
            return StyleNorm(channels, styles) if norm == "style" else PlainNorm(norm, channels)

        def residual(kind: Callable[[int], nn.Module], channels: int) -> nn.Module:
            return Residual((kind(channels), kind(channels)), channels)

        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, channels in enumerate(width):
            first, last = i == 0, i == levels - 1
            self.down.append(
                Down(
                    nn.Conv2d(input_nc if first else width[i - 1], channels, kernel, 2, (kernel - 1) // 2),
                    PlainNorm("none", channels) if first or (last and not norm_code) else plain(channels),
                    [residual(plain, channels) for _ in range(blocks if deep[i] else 0)],
                    SelfAttention(channels) if self_attention and i in (2, 3) and not last else nn.Identity(),
                    activate=not first,
                )
            )
        for i in reversed(range(levels)):  # from the code to the image
            first, last = i == levels - 1, i == 0
            beside = style_dim if first else width[i] if skip == "concat" else 0
            outer = output_nc if last else width[i - 1]
            self.up.append(
                Up(
                    doubling(up, width[i] + beside, outer, kernel),
                    PlainNorm("none", outer) if last else styled(outer),
                    [residual(styled, outer) for _ in range(blocks if not last and deep[i - 1] else 0)],
                    dropout if not last and levels - 1 - i < 3 else 0.0,
                )
            )

    def start_grey(self, std: float = 0.02) -> None:
        """Draw the output layer's weights small, as Isola et al. (2017) do, whatever the others are drawn like.

        Large ones saturate the tanh. No gradient comes back from there, and since a white background gives every
        place of one phase of the strides the same value, black pixels stay in it, in a grid.
        """
        *_, output = (m for m in self.up.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
        nn.init.normal_(output.weight, 0.0, std)

    def forward(self, x: torch.Tensor, style: torch.Tensor | None = None):
        features = []
        for down in self.down:
            x = down(x)
            features.append(x)
        code = x.flatten(1)
        if style is None:
            return code
        times = len(style) // len(x)
        if times > 1:
            features = [f.repeat_interleave(times, 0) for f in features]
        row = self.styles(style)[..., None, None].to(x.dtype)
        x = features.pop()
        x = torch.cat([x, row.expand(-1, -1, *x.shape[2:])], 1)
        for up in self.up:
            x = up(x, style)
            if features:
                beside = features.pop()
                x = torch.cat([x, beside], 1) if self.skip == "concat" else x + beside
        return torch.tanh(x), code


class Down(nn.Module):
    """One level of the way down, (B, C, H, W) to (B, C', H/2, W/2)."""

    def __init__(self, conv: nn.Module, norm: nn.Module, blocks: list[nn.Module], attention: nn.Module, activate: bool):
        super().__init__()
        self.conv, self.norm, self.blocks, self.attention = conv, norm, nn.ModuleList(blocks), attention
        self.activate = activate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(F.leaky_relu(x, 0.2) if self.activate else x))
        for block in self.blocks:
            x = block(x)
        return self.attention(x)


class Up(nn.Module):
    """One level of the way up in a style, (B, C, H, W) to (B, C', 2H, 2W)."""

    def __init__(self, conv: nn.Module, norm: nn.Module, blocks: list[nn.Module], dropout: float):
        super().__init__()
        self.conv, self.norm, self.blocks, self.dropout = conv, norm, nn.ModuleList(blocks), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(F.relu(x)), style)
        for block in self.blocks:
            x = block(x, style)
        return self.dropout(x)


def doubling(kind: str, inner: int, outer: int, kernel: int) -> nn.Module:
    """(B, inner, H, W) to (B, outer, 2H, 2W)."""
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(inner, 4 * outer, 3, padding=1), nn.PixelShuffle(2))
    return nn.ConvTranspose2d(inner, outer, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2)


class GlyphDiscriminator(nn.Module):
    """A pair of source and target (B, in, H, W) to what it is: real or not (B, ...), and which style (B, styles).

    Four convolutions halve the image three times. ``whole`` judges from all of their output at once, as zi2zi does;
    ``narrow`` first reduces it to one channel, as its PyTorch ports do; ``patch`` gives a logit for each place, and
    the style from the mean over places.
    """

    def __init__(
        self, input_nc: int, size: int, ndf: int = 64, kind: str = "patch", norm: str = "batch", styles: int = 40
    ):
        super().__init__()
        kernel = 4 if kind == "patch" else 5
        widths = [ndf, 2 * ndf, 4 * ndf, 8 * ndf]
        layers: list[nn.Module] = []
        before = input_nc
        for i, channels in enumerate(widths):
            last = i == len(widths) - 1
            conv = nn.Conv2d(before, channels, 3 if last and kind == "patch" else kernel, 1 if last else 2, kernel // 2)
            if kind == "patch":
                conv.padding = (1, 1)
            layers += [conv, *([PlainNorm(norm, channels)] if i else []), nn.LeakyReLU(0.2)]
            before = channels
        side = -(-size // 8)
        self.kind = kind
        if kind == "narrow":
            layers += [nn.Conv2d(before, 1, kernel, 1, kernel // 2)]
            before = 1
        self.trunk = nn.Sequential(*layers)
        if kind == "patch":
            self.binary: nn.Module = nn.Conv2d(before, 1, 3, padding=1)
        else:
            self.binary = nn.Linear(before * side * side, 1)
        self.category = nn.Linear(before if kind == "patch" else before * side * side, styles)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.trunk(x)
        if self.kind == "patch":
            return self.binary(x), self.category(x.mean((2, 3)))
        x = x.flatten(1)
        return self.binary(x), self.category(x)


class GlyphExtractor(nn.Module):
    """What a glyph says and how it looks: (B, C, H, W) to a content and a style vector, (B, dim) each, any length."""

    def __init__(self, input_nc: int, nf: int = 32, dim: int = 64):
        super().__init__()
        widths, layers, before = [nf, 2 * nf, 4 * nf, 4 * nf], [], input_nc
        for channels in widths:
            layers += [nn.Conv2d(before, channels, 4, 2, 1), nn.GroupNorm(8, channels), nn.LeakyReLU(0.2)]
            before = channels
        self.trunk = nn.Sequential(*layers)
        self.content = nn.Sequential(nn.Linear(16 * before, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        self.style = nn.Sequential(nn.Linear(2 * before, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.trunk(x)
        where = F.adaptive_avg_pool2d(x, 4).flatten(1)  # content is where the strokes are
        what = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)  # style is what they look like, wherever
        return self.content(where), self.style(what)
