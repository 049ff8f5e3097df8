"""Tensors of R3GAN's code by the names of our networks, and what network they are of."""

import re
from collections.abc import Mapping

import torch

Tensors = dict[str, torch.Tensor]
BASIS = r"MainLayers\.\d+\.Layers\.\d+\.Basis\.weight"  # D's; G's has no .weight


def is_discriminator(state: Mapping[str, torch.Tensor]) -> bool:
    return "ExtractionLayer.Layer.weight" in state


def renamed_discriminator(state: Mapping[str, torch.Tensor]) -> Tensors:
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
