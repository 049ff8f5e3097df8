"""--netG, --netD and --netF by name: the name of an architecture is the name of the function that builds it."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

Build = Callable[..., nn.Module]
_BUILDERS: dict[str, dict[str, Build]] = {
    "G": {},
    "D": {},
    "F": {},
    "path_G": {},
    "bridge_G": {},
    "bridge_D": {},
    "latent_G": {},
    "latent_D": {},
}

GENERATORS = ("G", "path_G", "bridge_G")  # the kinds of generators of images from images


def _registers(kind: str) -> Callable[[Build], Build]:
    """The decorator of functions that build a network of this kind."""

    def register(build: Build) -> Build:
        _BUILDERS[kind][build.__name__] = build
        return build

    return register


# A generator. It is always *called*: G(x), G(x, taps) or G(x, taps, encode_only=True); see networks/taps.py.
register_G = _registers("G")
# A generator with more inputs: G(x) translates, and training says more; see networks/adain_resnet.py.
register_path_G = _registers("path_G")
register_bridge_G = _registers("bridge_G")  # networks/bridge.py
# A discriminator: image (B, C, H, W) to logits (B, ...).
register_D = _registers("D")
# One that is told the index of its image's time too: D(x, i).
register_bridge_D = _registers("bridge_D")
# A head: features and the locations to sample, to unit vectors; see networks/heads.py.
register_F = _registers("F")
# A generator from noise: G(z, y) -> images; z (B, z_dim), y labels (B,) or weights of classes (B, classes).
register_latent_G = _registers("latent_G")
# The trunk of a discriminator of such images; see networks/discriminator.py.
register_latent_D = _registers("latent_D")


def define(kind: str, name: str, /, **arguments: Any) -> nn.Module:
    """Build a registered network. It is given those of ``arguments`` that its signature names."""
    build = _BUILDERS[kind][name]
    wanted = inspect.signature(build).parameters
    return build(**{k: v for k, v in arguments.items() if k in wanted})


def kind_of_generator(name: str) -> str:
    """The kind of a generator of images from images."""
    return next(kind for kind in GENERATORS if name in _BUILDERS[kind])


def define_generator(name: str, /, **arguments: Any) -> nn.Module:
    """Build a generator of images from images, of whatever kind: what a file of weights is of."""
    return define(kind_of_generator(name), name, **arguments)


def takes(kind: str, name: str, argument: str) -> bool:
    """Whether this network has an argument of that name."""
    return argument in inspect.signature(_BUILDERS[kind][name]).parameters


def list_networks(kind: str) -> tuple[str, ...]:
    return tuple(_BUILDERS[kind])
