"""A discriminator that answers what it is asked: one trunk, a head for each answer."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

OF_TABLE = {"embedding.weight": (0, 0)}  # see LatentGenerator.class_axes


class Discriminator(nn.Module):
    """D(x, want, y) -> {answer: tensor} for images x (B, C, H, W).

    Args:
        trunk: x to (local (B, C_l, h, w), pooled (B, F)); called as trunk(x, reference) where a reference is given. One
            that draws its own weights (``own_init``) draws those of the heads too, by ``draw(module)``.
        heads: answer -> module that is called as head(local, pooled, y). Their parameters are D's own, so they learn
            in D's step and are constant in G's.
    """

    def __init__(self, trunk: Any, heads: dict[str, nn.Module]):
        super().__init__()
        self.trunk, self.heads = trunk, nn.ModuleDict(heads)
        self.own_init = getattr(trunk, "own_init", False)
        if self.own_init:
            trunk.draw(self.heads)

    def forward(
        self,
        x: torch.Tensor,
        want: Sequence[str] = ("logit",),
        y: torch.Tensor | None = None,
        reference: torch.Tensor | None = None,
        apart: Sequence[str] = (),
    ) -> dict[str, torch.Tensor]:
        """``apart``: answers whose gradient reaches their head and not the trunk."""
        features = self.trunk(x) if reference is None else self.trunk(x, reference)
        fixed = [feature.detach() for feature in features]
        return {name: self.heads[name](*(fixed if name in apart else features), y) for name in want}


class LogitHead(nn.Module):
    """Real or fake, whatever the class: (B,)."""

    def __init__(self, features: int):
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        return self.linear(pooled).squeeze(1)


class TwoLayerHead(nn.Module):
    """Real or fake (B,), with a hidden layer."""

    def __init__(self, features: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, 1))

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        return self.layers(pooled).squeeze(1)


class ProjectionHead(LogitHead):
    """Real or fake given the class: (B,), psi(h) + <e(y), h>.

    Miyato and Koyama, "cGANs with Projection Discriminator" (ICLR 2018).
    """

    class_axes = OF_TABLE

    def __init__(self, features: int, classes: int):
        super().__init__(features)
        self.embedding = nn.Embedding(classes, features)

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        return super().forward(local, pooled, y) + (self.embedding(y) * pooled).sum(1)


class EmbeddingHead(nn.Module):
    """The image as a vector (B, D), of any length; ``hidden`` > 0 puts a layer of that width in between."""

    def __init__(self, features: int, dim: int, hidden: int = 0):
        super().__init__()
        widen = (nn.Linear(features, hidden), nn.ReLU()) if hidden else ()
        self.layers = nn.Sequential(*widen, nn.Linear(hidden or features, dim))

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        return self.layers(pooled)


class ProxyHead(nn.Module):
    """The vector (B, D) that stands for each image's class; of ``kinds`` of each class all, (B, kinds, D)."""

    class_axes = OF_TABLE

    def __init__(self, classes: int, dim: int, kinds: int = 1):
        super().__init__()
        self.kinds = kinds
        self.embedding = nn.Embedding(classes * kinds, dim)

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.kinds == 1:
            return self.embedding(y)
        return self.embedding(torch.stack([self.kinds * y + kind for kind in range(self.kinds)], 1))


class ClassHead(nn.Module):
    """Logits of every class (B, classes * kinds), those of the kinds of a class side by side, for AC-GAN."""

    class_axes: ClassVar = {"linear.weight": (0, 0), "linear.bias": (0, 0)}

    def __init__(self, features: int, classes: int, kinds: int = 1):
        super().__init__()
        self.linear = nn.Linear(features, classes * kinds)

    def forward(self, local: torch.Tensor, pooled: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        return self.linear(pooled)
