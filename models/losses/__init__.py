"""Objectives as functions of tensors. They compute in float32 or better, whatever the networks compute in."""

from .adversarial import GAN_MODES, balance, gan_loss
from .bridge import bridge_cost, joint_entropy
from .conditional import (
    d2d_ce,
    d2d_ce_levels,
    supcon_in,
    supcon_levels,
    tutorial_contrast,
    tutorial_levels,
    two_c,
    two_c_levels,
)
from .consistency import consistency
from .contrast import Pairs, contrast, contrast_pairs, pairs_of, related
from .decoupled import decoupled, hard_weights, hdce, semantic_relation
from .dual import DUAL_G, dual_D, dual_G, dual_levels
from .infomax import infomax_levels, infomax_nce
from .lecam import lecam
from .levels import weighted_levels
from .overlap import dice_loss
from .patch import diversity, nce_against, patch_nce
from .regularization import gradient_penalty, r1_penalty, total_variation, zero_centred
from .relativistic import relativistic, relativistic_levels
from .spatial import similarity_maps, spatial_contrast, spatial_loss
from .text import cosine_scores, matching_levels, matching_loss, word_scores
from .transport import monce
from .views import between_views, told_from, told_levels, views_floor, views_levels

__all__ = [
    "DUAL_G",
    "GAN_MODES",
    "Pairs",
    "balance",
    "between_views",
    "bridge_cost",
    "consistency",
    "contrast",
    "contrast_pairs",
    "cosine_scores",
    "d2d_ce",
    "d2d_ce_levels",
    "decoupled",
    "dice_loss",
    "diversity",
    "dual_D",
    "dual_G",
    "dual_levels",
    "gan_loss",
    "gradient_penalty",
    "hard_weights",
    "hdce",
    "infomax_levels",
    "infomax_nce",
    "joint_entropy",
    "lecam",
    "matching_levels",
    "matching_loss",
    "monce",
    "nce_against",
    "pairs_of",
    "patch_nce",
    "r1_penalty",
    "related",
    "relativistic",
    "relativistic_levels",
    "semantic_relation",
    "similarity_maps",
    "spatial_contrast",
    "spatial_loss",
    "supcon_in",
    "supcon_levels",
    "told_from",
    "told_levels",
    "total_variation",
    "tutorial_contrast",
    "tutorial_levels",
    "two_c",
    "two_c_levels",
    "views_floor",
    "views_levels",
    "weighted_levels",
    "word_scores",
    "zero_centred",
]
