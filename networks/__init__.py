"""Architectures, one family per file. Nothing here knows about options, losses or training."""

from .dcgan import dcgan, small
from .dcgan_discriminator import DCTrunk
from .heads import PatchSampler, channels_at
from .layers import InstanceNorm, init_weights
from .mapping import Mapping
from .patchgan import basic, n_layers, pixel
from .registry import (
    define,
    list_networks,
    register_D,
    register_F,
    register_G,
    register_latent_D,
    register_latent_G,
)
from .resnet import resnet_4blocks, resnet_6blocks, resnet_9blocks
from .stylegan2 import StyleGAN2Generator
from .stylegan2_discriminator import StyleGAN2Discriminator
from .taps import Tapped, TappedSequential
from .unet import unet_128, unet_256

__all__ = [
    "DCTrunk",
    "InstanceNorm",
    "Mapping",
    "PatchSampler",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "Tapped",
    "TappedSequential",
    "basic",
    "channels_at",
    "dcgan",
    "define",
    "init_weights",
    "list_networks",
    "n_layers",
    "pixel",
    "register_D",
    "register_F",
    "register_G",
    "register_latent_D",
    "register_latent_G",
    "resnet_4blocks",
    "resnet_6blocks",
    "resnet_9blocks",
    "small",
    "unet_128",
    "unet_256",
]
