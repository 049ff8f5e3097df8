"""Weights of R3GAN's code: which network they are of, and their tensors by our names, others at D's end alone."""

import re
from typing import Any

import torch

import networks
from models.noise.published_names import Tensors
from networks.published import key_differences

BASIS = r"MainLayers\.\d+\.Layers\.\d+\.Basis\.weight"  # D's; G's has no .weight


def renamed_discriminator(state: Tensors) -> Tensors:
    """Weights of a published D as those of our ``Discriminator``, whose head is apart from its trunk.

    Raises:
        ValueError: it has no last layer.
    """
    last = next((key.removesuffix("Basis.weight") for key in state if re.fullmatch(BASIS, key)), None)
    if last is None:
        raise ValueError("it lacks the layer that ends its last stage")
    names = {
        f"{last}Basis.weight": "trunk.basis.Basis.weight",
        f"{last}LinearLayer.weight": "heads.logit.linear.weight",
        "EmbeddingLayer.weight": "heads.logit.embedding.weight",
    }
    return {names.get(key, f"trunk.{key}"): value for key, value in state.items()}


def facts_of(state: Tensors) -> tuple[str, dict[str, Any], Tensors]:
    """Of a published file: G or D, the arguments that build it, and its tensors by our names.

    Raises:
        ValueError: it has other stages than --netG r3gan and --netD r3gan of that width.
    """
    embedding = state.get("EmbeddingLayer.weight")
    size = 4 << len({key.split(".")[1] for key in state if key.startswith("MainLayers.")}) - 1
    if "ExtractionLayer.Layer.weight" in state:
        ours = renamed_discriminator(state)
        ndf = len(ours["trunk.basis.Basis.weight"])
        with torch.device("meta"):
            channels = ours["trunk.ExtractionLayer.Layer.weight"].shape[1]
            trunk = networks.define("latent_D", "r3gan", size=size, channels=channels, ndf=ndf)
        part = {key.removeprefix("trunk."): value for key, value in ours.items() if key.startswith("trunk.")}
        _check(part, trunk, f"--netD r3gan --ndf {ndf}")
        return "D", {"ndf": ndf, "sn_D": False}, ours
    first = state["MainLayers.0.Layers.0.LinearLayer.weight"]
    z_dim = first.shape[1] if embedding is None else first.shape[1] - len(embedding)
    classes = 0 if embedding is None else embedding.shape[1]
    arguments = dict(size=size, channels=len(state["AggregationLayer.Layer.weight"]), classes=classes, z_dim=z_dim)
    arguments["ngf"] = len(first)
    with torch.device("meta"):
        generator = networks.define("latent_G", "r3gan", **arguments)
    _check(state, generator, f"--netG r3gan --ngf {len(first)} --z_dim {z_dim}")
    return "G", arguments, state


def _check(state: Tensors, network: torch.nn.Module, flags: str) -> None:
    wrong = list(key_differences(state, network.state_dict()))
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ValueError(f"its stages are not those of {flags}: {wrong[0]}{more}")
