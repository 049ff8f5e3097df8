"""Architectures, one family per file. Nothing here knows about options, losses or training."""

# Each of these registers what it builds; --help lists them in this order.
from . import biggan_discriminator, sngan_discriminator  # noqa: F401

# isort: split
from . import (  # noqa: F401
    adain_resnet,
    bridge,
    dcgan,
    dcgan_discriminator,
    mapping,
    patchgan,
    r3gan_discriminator,
    resnet,
    stylegan2_discriminator,
    unet,
)
from .heads import channels_at
from .layers import InstanceNorm, init_weights
from .registry import (
    GENERATORS,
    define,
    define_generator,
    kind_of_generator,
    list_networks,
    register_bridge_D,
    register_bridge_G,
    register_D,
    register_F,
    register_G,
    register_latent_D,
    register_latent_G,
    register_path_G,
    takes,
)
from .taps import Tapped, TappedSequential

__all__ = [
    "GENERATORS",
    "InstanceNorm",
    "Tapped",
    "TappedSequential",
    "channels_at",
    "define",
    "define_generator",
    "init_weights",
    "kind_of_generator",
    "list_networks",
    "register_D",
    "register_F",
    "register_G",
    "register_bridge_D",
    "register_bridge_G",
    "register_latent_D",
    "register_latent_G",
    "register_path_G",
    "takes",
]
