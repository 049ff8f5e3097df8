"""Which weights are matrices, and how their norm is bounded."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from .layers import as_it_comes
from .stylegan2 import DemodulatedUp, EqualConv, EqualLinear

LAYERS = nn.modules.conv._ConvNd, nn.Linear, EqualConv, EqualLinear, DemodulatedUp


class SpectralNorm(parametrizations._SpectralNorm):
    """Torch's, in the weight's own precision: under autocast a GPU would estimate the norm in bfloat16.

    In evaluation its vectors are made unit vectors first, for in a moving average of a network they are averages, which
    are shorter: a norm estimated with them was 1.7 times too small in a generator after 350 steps. Not ``unit`` they
    are taken as they are, as in StudioGAN's code, whose averages make their published images so.
    """

    unit = True

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        with as_it_comes(weight):
            if self.training:
                return super().forward(weight)
            u, v = self._u, self._v
            if self.unit:
                u, v = (F.normalize(vector, dim=0, eps=self.eps) for vector in (u, v))
            return weight / torch.vdot(u, self._reshape_weight_to_matrix(weight) @ v)


def spectral_norm(network: nn.Module) -> nn.Module:
    """Divide the weight of every convolution, linear layer and embedding by its largest singular value, as estimated.

    Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (ICLR 2018). Each pass in training mode
    takes one step of power iteration, whose vectors are buffers. To be applied after the weights are drawn. Layers
    with an equalised learning rate lose the factor of their weights, which would be the norm otherwise. Layers that
    begin at 0 are drawn: their direction, which is all that is left of a weight, must be some.
    """
    layers: list[Any] = list(network.modules())
    for layer in layers:
        if isinstance(layer, (*LAYERS, nn.Embedding)) and not parametrize.is_parametrized(layer, "weight"):
            if not layer.weight.is_meta and not layer.weight.any():  # one that begins at 0 would be divided by it
                nn.init.xavier_normal_(layer.weight)
            rows = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0  # the axis of output channels
            parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, dim=rows))
            if hasattr(layer, "scale"):
                layer.scale = 1.0
    return network


def matrices(network: nn.Module) -> list[Any]:
    """The weights of convolutions and linear layers; not those of norms or embeddings, and no biases."""
    layers: list[Any] = [layer for layer in network.modules() if isinstance(layer, LAYERS)]
    return [
        layer.parametrizations.weight.original if parametrize.is_parametrized(layer, "weight") else layer.weight
        for layer in layers
    ]
