"""--netG, --netD and --netF by name: the name of an architecture is the name of the function that builds it."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

Build = Callable[..., nn.Module]
_BUILDERS: dict[str, dict[str, Build]] = {"G": {}, "D": {}, "F": {}, "latent_G": {}, "latent_D": {}}


def register_G(build: Build) -> Build:
    """A generator. It is always *called*: G(x), G(x, taps) or G(x, taps, encode_only=True); see networks/taps.py."""
    _BUILDERS["G"][build.__name__] = build
    return build


def register_D(build: Build) -> Build:
    """A discriminator: image (B, C, H, W) to logits (B, ...)."""
    _BUILDERS["D"][build.__name__] = build
    return build


def register_F(build: Build) -> Build:
    """A head: features and the locations to sample, to unit vectors; see networks/heads.py."""
    _BUILDERS["F"][build.__name__] = build
    return build


def register_latent_G(build: Build) -> Build:
    """A generator from noise: G(z, y) -> images; z (B, z_dim), y labels (B,) or weights of classes (B, classes)."""
    _BUILDERS["latent_G"][build.__name__] = build
    return build


def register_latent_D(build: Build) -> Build:
    """The trunk of a discriminator of such images; see networks/discriminator.py."""
    _BUILDERS["latent_D"][build.__name__] = build
    return build


def define(kind: str, name: str, /, **arguments: Any) -> nn.Module:
    """Build a registered network. It is given those of ``arguments`` that its signature names."""
    build = _BUILDERS[kind][name]
    wanted = inspect.signature(build).parameters
    return build(**{k: v for k, v in arguments.items() if k in wanted})


def takes(kind: str, name: str, argument: str) -> bool:
    """Whether this network has an argument of that name."""
    return argument in inspect.signature(_BUILDERS[kind][name]).parameters


def list_networks(kind: str) -> tuple[str, ...]:
    return tuple(_BUILDERS[kind])
