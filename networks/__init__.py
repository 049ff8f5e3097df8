"""Architectures, one family per file. Nothing here knows about options, losses or training."""

from . import sngan_discriminator
from .biggan import BigGANGenerator
from .biggan_discriminator import Trunk
from .dcgan import dcgan, small
from .dcgan_discriminator import DCTrunk
from .heads import PatchSampler, channels_at
from .infomax_heads import GlobalHead, LocalHead
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
    takes,
)
from .resnet import resnet_4blocks, resnet_6blocks, resnet_9blocks
from .sngan import SNGANGenerator
from .stylegan2 import StyleGAN2Generator
from .stylegan2_discriminator import StyleGAN2Discriminator
from .taps import Tapped, TappedSequential
from .unet import unet_128, unet_256

__all__ = [
    "BigGANGenerator",
    "DCTrunk",
    "GlobalHead",
    "InstanceNorm",
    "LocalHead",
    "Mapping",
    "PatchSampler",
    "SNGANGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "Tapped",
    "TappedSequential",
    "Trunk",
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
    "sngan_discriminator",
    "takes",
    "unet_128",
    "unet_256",
]
