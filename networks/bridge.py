"""UNSB's networks: a generator that is called along a chain of times, and discriminators that are told the time."""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from . import lean
from .layers import Downsample, InstanceNorm, ReflectionPad, Upsample
from .registry import register_bridge_D, register_bridge_G
from .taps import Tap, Tapped

Block = Literal["released", "paper"]
RELEASED = re.compile(r"model_res\.\d+\.style\.weight")  # a key of the published class alone
DEAD = re.compile(r"model_res\.\d+\.(style|conv_block|Dense_time)\.|time_embed\.")
DEAD_OF_D = re.compile(r"model_main\.[1-9]\d*\.dense\.")


def schedule(count: int) -> tuple[list[float], list[float], list[float]]:
    """Times t_0 = 0 to t_T = 1, and of each step the part b that goes to the end point and the variance v.

    Kim et al., "Unpaired Image-to-Image Translation via Neural Schrodinger Bridge" (ICLR 2024), as the code has it: the
    sums of 1, 1/2, 1/3, ... after a 0, put into [1/2, 1]; x_i+1 = (1 - b) x_i + b G(x_i) + sqrt(v tau) noise.
    """
    sums, total = [0.0], 0.0
    for i in range(1, count):
        total += 1 / i
        sums.append(total)
    times = [0.0, *(0.5 + 0.5 * x / total if total else 1.0 for x in sums)]
    steps = list(itertools.pairwise(times))
    mix = [(later - now) / (1 - now) for now, later in steps]
    variance = [(later - now) * (1 - part) for (now, later), part in zip(steps, mix, strict=True)]
    return times, mix, variance


def sinusoids(times: int, count: int) -> torch.Tensor:
    """(times, count): of each index sines, then cosines, of frequencies from 1 down to 1/10000.

    Raises:
        ValueError: fewer than 4 numbers.
    """
    half = count // 2
    if half < 2:
        raise ValueError(f"{count} sinusoids of the time, and 4 are the fewest")
    angles = torch.arange(times)[:, None] * torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    return nn.functional.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, count - 2 * half))


class PixelNorm(nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Modulation(nn.Module):
    """gamma(z) x + beta(z), by one linear layer; gamma begins near ``start``.

    The published constructor sets gamma's bias to 1, and the initialisation that follows to 0: there all blocks begin
    as nothing beside their input.
    """

    def __init__(self, channels: int, style_dim: int, start: float):
        super().__init__()
        self.style_net, self.start = nn.Linear(style_dim, 2 * channels), start

    def forward(self, normed: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        gamma, beta = self.style_net(z)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(beta, gamma + self.start, normed)


class BridgeBlock(nn.Module):
    """A residual block that noise z and, in one of its two forms, time modulate.

    ``released``: x + IN(conv(ReLU(gamma(z) IN(x) + beta(z)))), what the published code computes: it applies every layer
    of the first half to the block's input, so that time, a convolution and another layer are without effect. They are
    not built.

    ``paper``: x + IN(conv(ReLU(gamma(z) IN(conv(x)) + beta(z) + W t))). A number of the time that is added in front
    of an instance norm is taken out by it, so here it is added behind.
    """

    def __init__(self, channels: int, form: Block):
        super().__init__()
        self.norm = InstanceNorm(channels)
        if form == "paper":
            self.conv_block = nn.Sequential(ReflectionPad(1), nn.Conv2d(channels, channels, 3))
            self.Dense_time = nn.Linear(channels, channels)
        self.adaptive = Modulation(channels, channels, 1.0 if form == "paper" else 0.0)
        self.conv_fin = nn.Sequential(
            nn.ReLU(True), ReflectionPad(1), nn.Conv2d(channels, channels, 3), InstanceNorm(channels)
        )

    def forward(self, x: torch.Tensor, z: torch.Tensor, time: torch.Tensor | None) -> torch.Tensor:
        if time is None:
            return x + self.conv_fin(self.adaptive(self.norm(x), z))
        y = self.adaptive(self.norm(self.conv_block(x)), z) + self.Dense_time(time)[:, :, None, None]
        return x + self.conv_fin(y)


class BridgeGenerator(Tapped):
    """Image (B, in, H, W) in [-1, 1] to image (B, out, H, W) in [-1, 1]; H and W are multiples of 4.

    ``G(x)`` is the whole chain of ``nfe`` calls, with the same noise for every image, whatever its batch;
    ``predict`` is a single call. Taps are CUT's: ``pixels``, ``down1``, ``down2`` and ``res1`` ... ``res<n>``.

    Args:
        block: see :class:`BridgeBlock`.
        timesteps: T, of the schedule.
        tau: scale of the noise on the way.
        nfe: calls of the chain, 1 to T.
    """

    stride, min_size = 4, 8
    times: torch.Tensor

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int,
        blocks: int,
        block: Block = "released",
        n_mlp: int = 3,
        timesteps: int = 5,
        tau: float = 0.01,
        nfe: int = 5,
        no_antialias: bool = False,
        no_antialias_up: bool = False,
    ):
        super().__init__()
        self.ngf, self.tau, self.nfe = ngf, tau, nfe
        self.mix, self.variance = schedule(timesteps)[1:]
        inner = 4 * ngf
        layers: list[nn.Module] = [ReflectionPad(3), nn.Conv2d(input_nc, ngf, 7), InstanceNorm(ngf), nn.ReLU(True)]
        self.tap_names = {"pixels": 0}
        for stage, c in enumerate((ngf, 2 * ngf), start=1):
            self.tap_names[f"down{stage}"] = len(layers)
            layers += [nn.Conv2d(c, 2 * c, 3, stride=2 if no_antialias else 1, padding=1), InstanceNorm(2 * c)]
            layers += [nn.ReLU(True), *([] if no_antialias else [Downsample(2 * c)])]
        self.model = nn.Sequential(*layers)
        self.tap_names |= {f"res{i + 1}": len(layers) + i for i in range(blocks)}
        self.model_res = nn.ModuleList([BridgeBlock(inner, block) for _ in range(blocks)])
        layers = []
        for c in (inner, 2 * ngf):
            if no_antialias_up:
                layers += [nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1)]
            else:
                layers += [Upsample(c), nn.Conv2d(c, c // 2, 3, padding=1)]
            layers += [InstanceNorm(c // 2), nn.ReLU(True)]
        self.model_upsample = nn.Sequential(*layers, ReflectionPad(3), nn.Conv2d(ngf, output_nc, 7), nn.Tanh())
        mapping = [part for _ in range(n_mlp + 1) for part in (nn.Linear(inner, inner), nn.LeakyReLU(0.2))]
        self.z_transform = nn.Sequential(PixelNorm(), *mapping)
        self.register_buffer("times", sinusoids(timesteps, ngf), persistent=False)
        if block == "paper":
            self.time_embed = nn.Sequential(nn.Linear(ngf, inner), nn.LeakyReLU(0.2), nn.Linear(inner, inner))

    @property
    def z_dim(self) -> int:
        return 4 * self.ngf

    def forward(self, x: torch.Tensor, taps: Sequence[Tap] | None = None, encode_only: bool = False) -> Any:
        if taps is not None:
            return self.features(x, taps, x.new_zeros(len(x), self.z_dim))
        return list(self.chain(x))[-1]

    def chain(self, x: torch.Tensor, seed: int = 0) -> Iterator[torch.Tensor]:
        """The predictions after 1, 2, ... ``nfe`` calls, from images x on; draws depend on the seed alone."""
        source = torch.Generator().manual_seed(seed)
        for i in range(self.nfe):
            z = torch.randn(1, self.z_dim, generator=source, device="cpu").to(x).expand(len(x), -1)
            made = self.predict(x, i, z)
            yield made
            if i + 1 < self.nfe:
                noise = torch.randn(1, *x.shape[1:], generator=source, device="cpu").to(x)
                x = self.next_state(x, made, i, noise)

    def next_state(self, x: torch.Tensor, made: torch.Tensor, index: int, noise: torch.Tensor) -> torch.Tensor:
        """x_i+1 of x_i and G's prediction from it."""
        part = self.mix[index]
        return (1 - part) * x + part * made + math.sqrt(self.variance[index] * self.tau) * noise

    def predict(self, x: torch.Tensor, index: int, z: torch.Tensor) -> torch.Tensor:
        """The end of the bridge, seen from the state x of time ``index``; z (B, 4 ngf) is noise."""
        style, time = self.conditions(z, index)
        x = lean.run(self.model, x)[0]
        for block in self.model_res:
            x = block(x, style, time)
        return lean.run(self.model_upsample, x)[0]

    def features(self, x: torch.Tensor, taps: Sequence[Tap], z: torch.Tensor, index: int = 0) -> list[torch.Tensor]:
        """What the layers ``taps`` put out, (B, C_l, H_l, W_l); the pass stops at the last of them."""
        wanted = [self.tap_index(tap) for tap in taps]
        (style, time), features = self.conditions(z, index), {}
        for i, layer in enumerate([*self.model, *self.model_res]):
            x = layer(x, style, time) if isinstance(layer, BridgeBlock) else layer(x)
            features[i] = x
            if i == max(wanted):
                break
        return [features[i] for i in wanted]

    def conditions(self, z: torch.Tensor, index: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What noise and, in the paper's form, time become."""
        z = self.z_transform(z)
        if not hasattr(self, "time_embed"):
            return z, None
        return z, self.time_embed(self.times[index].to(z.dtype)).expand(len(z), -1)

    def alive(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Weights of the published class without those that nothing is computed with."""
        if not any(RELEASED.fullmatch(key) for key in state):
            return dict(state)
        return {key: value for key, value in state.items() if not DEAD.match(key)}


class TimedStage(nn.Module):
    """A convolution of a discriminator; the first, which no norm follows, adds a number of the time to each channel.

    The published ones all add such numbers, which the instance norm of the others takes out again.
    """

    def __init__(self, inputs: int, outputs: int, times: int, first: bool, last: bool, no_antialias: bool):
        super().__init__()
        stride = 2 if no_antialias and not last else 1
        self.conv1 = nn.Conv2d(inputs, outputs, 4, stride, 1)
        if first:
            self.dense = nn.Linear(times, outputs)
        self.norm = nn.Identity() if first else InstanceNorm(outputs)
        self.act = nn.LeakyReLU(0.2, True)
        self.down = nn.Identity() if last or no_antialias else Downsample(outputs)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        if hasattr(self, "dense"):
            x = x + self.dense(time)[:, :, None, None]
        return self.down(self.act(self.norm(x)))


class TimeEmbedding(nn.Module):
    def __init__(self, count: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(count, count), nn.LeakyReLU(0.2), nn.Linear(count, count), nn.LeakyReLU(0.2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x)


class TimedDiscriminator(nn.Module):
    """Image (B, in, H, W) and the index of its time to one logit per overlapping patch, (B, 1, h, w).

    CUT's patch discriminator, whose first convolution sees the time.
    """

    times: torch.Tensor

    def __init__(self, input_nc: int, ndf: int, n_layers: int = 3, timesteps: int = 5, no_antialias: bool = False):
        super().__init__()
        self.register_buffer("times", sinusoids(timesteps, 4 * ndf), persistent=False)
        widths = [input_nc, ndf, *(ndf * min(2**n, 8) for n in range(1, n_layers + 1))]
        self.t_embed = TimeEmbedding(4 * ndf)
        self.model_main = nn.ModuleList(
            TimedStage(a, b, 4 * ndf, i == 0, i == n_layers, no_antialias)
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.final_conv = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def forward(self, x: torch.Tensor, index: int = 0) -> torch.Tensor:
        time = self.t_embed(self.times[index].to(x.dtype)).expand(len(x), -1)
        for stage in self.model_main:
            x = stage(x, time)
        return self.final_conv(x)

    def alive(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Weights of the published class without those that nothing is computed with."""
        last = f"model_main.{len(self.model_main) - 1}.down.filt"
        return {key: value for key, value in state.items() if not DEAD_OF_D.match(key) and key != last}


def _of(blocks: int) -> Callable[..., nn.Module]:
    """``resnet_<n>blocks_cond`` of UNSB's --netG."""

    def build(
        input_nc: int,
        output_nc: int,
        ngf: int,
        block: Block = "released",
        n_mlp: int = 3,
        timesteps: int = 5,
        tau: float = 0.01,
        nfe: int = 5,
        no_antialias: bool = False,
        no_antialias_up: bool = False,
    ) -> BridgeGenerator:
        chain = block, n_mlp, timesteps, tau, nfe
        return BridgeGenerator(input_nc, output_nc, ngf, blocks, *chain, no_antialias, no_antialias_up)

    build.__name__ = build.__qualname__ = f"resnet_{blocks}blocks_cond"
    return register_bridge_G(build)


resnet_9blocks_cond, resnet_6blocks_cond = (_of(blocks) for blocks in (9, 6))


@register_bridge_D
def basic_cond(
    input_nc: int, ndf: int, n_layers: int = 3, timesteps: int = 5, no_antialias: bool = False
) -> TimedDiscriminator:
    return TimedDiscriminator(input_nc, ndf, n_layers, timesteps, no_antialias)
