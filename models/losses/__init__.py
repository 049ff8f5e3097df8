"""Objectives as functions of tensors. They compute in float32 or better, whatever the networks compute in."""

from .adversarial import GAN_MODES, gan_loss
from .contrast import contrast, related
from .overlap import dice_loss
from .patch import patch_nce
from .regularization import gradient_penalty, r1_penalty, total_variation

__all__ = [
    "GAN_MODES",
    "contrast",
    "dice_loss",
    "gan_loss",
    "gradient_penalty",
    "patch_nce",
    "r1_penalty",
    "related",
    "total_variation",
]
