"""Images of a generator from noise as a user wants them: averaged weights, statistics of its own, any number."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from networks.text import Text

DRAWN_AT_ONCE = 100  # images drawn at once


def settle(netG: nn.Module, draw: Callable[[], tuple[torch.Tensor, Any]], steps: int) -> nn.Module:
    """Standing statistics: batch norm takes the plain mean over ``steps`` batches, and G is put into eval mode.

    An average of weights brings an average of statistics along that belongs to no weights at all; and so does one of
    the vectors of a spectral norm, which find their place in these passes. (Brock et al., BigGAN, ICLR
    2019.)

    Args:
        draw: noise and classes, or captions, of a batch.
        steps: 0 keeps what training left.
    """
    norms = [m for m in netG.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    if steps > 0:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative mean
        netG.train()
        for _ in range(steps):
            netG(*draw())
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return netG.eval()


def truncate(z: torch.Tensor, limit: float) -> torch.Tensor:
    """Normal numbers of any shape as ones that are normal between -limit and limit, in the same order.

    As drawing again what is beyond the limit (Brock et al., BigGAN, ICLR 2019, section 3.1), without a loop: through
    the distribution function and back, within its values at the limits.
    """
    low = torch.special.ndtr(torch.tensor(-limit, dtype=torch.float64, device=z.device))
    return torch.special.ndtri(low + (1 - 2 * low) * torch.special.ndtr(z.double())).to(z.dtype)


class Sampler:
    """z (N, z_dim), y -> images (N, C, S, S) in [-1, 1] on the CPU, of a copy of netG with standing statistics.

    y are classes (N,), weights of them, captions as a Text, or None.

    Args:
        engine: gives place and precision.
        noise: count -> z and y to settle with.
    """

    def __init__(self, netG: nn.Module, engine: Any, noise: Callable[[int], tuple[Any, Any]], steps: int, size: int):
        self.engine, self.netG = engine, copy.deepcopy(netG).requires_grad_(False)

        def draw() -> tuple[torch.Tensor, Any]:
            z, y = noise(size)
            return engine.place(z), self.place(y)

        with engine.inference():
            settle(self.netG, draw, steps)

    def place(self, y: Any) -> Any:
        if y is None:
            return None
        return y.map(self.engine.place) if isinstance(y, Text) else self.engine.place(y)

    def __call__(self, z: torch.Tensor, y: Any, **asked: Any) -> Any:
        """Images; where G was ``asked`` for more, a tuple of what it gave, all on the CPU."""
        parts = []
        for start in range(0, len(z), DRAWN_AT_ONCE):
            rows = slice(start, start + DRAWN_AT_ONCE)
            with self.engine.inference():
                given = self.netG(self.engine.place(z[rows]), None if y is None else self.place(y[rows]), **asked)
            parts.append([x.float().cpu().contiguous() for x in (given if asked else (given,))])
        found = tuple(torch.cat(some) for some in zip(*parts, strict=True))
        return found if asked else found[0]


def slerp(a: torch.Tensor, b: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    r"""The way from a (Z,) to b (Z,) along the great circle, (S, Z) for parts (S,) of it; its ends are exact.

    .. math:: \frac{\sin((1 - t) \theta)\, a + \sin(t \theta)\, b}{\sin \theta}

    Shoemake, "Animating Rotation with Quaternion Curves" (SIGGRAPH 1985). A straight line would lead through vectors
    shorter than any that N(0, I) gives. Where a and b point the same way, or opposite ways, it is straight.
    """
    theta = torch.acos(torch.cosine_similarity(a, b, 0).clamp(-1, 1))
    t = part[:, None]
    if torch.sin(theta) < 1e-4:
        return (1 - t) * a + t * b
    return (torch.sin((1 - t) * theta) * a + torch.sin(t * theta) * b) / torch.sin(theta)
