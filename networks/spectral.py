"""Which layers have a weight that is a matrix, and how its norm is bounded."""

from torch import nn
from torch.nn.utils import parametrizations, parametrize

from .stylegan2 import EqualConv, EqualLinear

LAYERS = nn.modules.conv._ConvNd, nn.Linear, EqualConv, EqualLinear


def spectral_norm(network: nn.Module) -> nn.Module:
    """Divide the weight of every convolution and linear layer by its largest singular value, as it is estimated.

    Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (ICLR 2018): one power iteration a
    pass in training mode, whose vectors are buffers. To be applied after the weights are drawn. Layers with an
    equalised learning rate lose their factor, which would make the norm another one.
    """
    for layer in list(network.modules()):
        if isinstance(layer, LAYERS) and not parametrize.is_parametrized(layer, "weight"):
            parametrizations.spectral_norm(layer)
            if isinstance(layer, EqualConv | EqualLinear):
                layer.scale = 1.0
    return network
