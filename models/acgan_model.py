"""AC-GAN: the discriminator also names the class. A baseline of the methods with classes.

Odena, Olah, Shlens. Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017. The class term is of reals
for D and of fakes for G, as in StudioGAN; the paper's D also learns the classes of fakes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn

from models.base_conditional import ConditionalModel
from models.base_latent import Answers, Losses
from models.losses import weighted_levels
from models.noise.presets import BIGGAN, presets
from networks.discriminator import ClassHead, LogitHead
from options import option


class ACGANModel(ConditionalModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ConditionalModel.Options):
        section = "AC-GAN"
        preset: str = presets(BIGGAN)
        lambda_cond: float = option(
            1.0,
            "weight of the classes' cross entropy for D: of real images alone, in Odena et al. of fakes too",
            least=0,
        )
        lambda_cond_G: float = option(1.0, "and for the generator, of its fakes", least=0)

    wants = ("logit", "classes")

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        return {"logit": LogitHead(features), "classes": ClassHead(features, classes)}

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        weight = self.opt.lambda_cond
        return {"D_cond": weight * F.cross_entropy(real["classes"].float(), self.y)} if weight else {}

    def terms_G(self, fake: Answers) -> Losses:
        weight = self.opt.lambda_cond_G
        return {"G_cond": weight * F.cross_entropy(fake["classes"].float(), self.fake_y)} if weight else {}

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        level = {"chance": math.log(len(self.class_names)), "floor": 0.0}
        return weighted_levels(level, {"D_cond": self.opt.lambda_cond, "G_cond": self.opt.lambda_cond_G})
