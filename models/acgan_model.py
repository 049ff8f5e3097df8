"""AC-GAN: the discriminator also names the class. A baseline of the methods with classes.

Odena, Olah, Shlens. Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017. The class term is of reals
for D and of fakes for G, as in StudioGAN; the paper's D also learns the classes of fakes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn

from models.base_latent import Answers, LatentModel, Losses
from models.latent_presets import BIGGAN
from networks.discriminator import ClassHead, LogitHead
from options import option


class ACGANModel(LatentModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(LatentModel.Options):
        section = "AC-GAN"
        preset: str = option(
            "small",
            "small data and few minutes, or the published settings for CIFAR-10",
            presets={"small": {}, "official": BIGGAN},
        )
        lambda_cond: float = option(1.0, "weight of the cross entropy of classes, for both networks", least=0)

    conditional = True
    wants = ("logit", "classes")

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        return {"logit": LogitHead(features), "classes": ClassHead(features, classes)}

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        return {"D_cond": self.opt.lambda_cond * F.cross_entropy(real["classes"].float(), self.y)}

    def terms_G(self, fake: Answers) -> Losses:
        return {"G_cond": self.opt.lambda_cond * F.cross_entropy(fake["classes"].float(), self.fake_y)}

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        level = {"chance": self.opt.lambda_cond * math.log(len(self.class_names)), "floor": 0.0}
        return {"D_cond": level, "G_cond": level}
