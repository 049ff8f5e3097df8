"""InfoMax-GAN: what D sees of an image's parts is recognised by what it sees of the whole.

Lee, Tran, Cheung. InfoMax-GAN: Improved Adversarial Image Generation via Information Maximization and Contrastive
Learning. WACV 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from models.base_latent import Answers, LatentModel, Losses
from models.losses import infomax_levels, infomax_nce, weighted_levels
from models.noise.presets import SNGAN, presets
from networks.discriminator import LogitHead
from networks.infomax_heads import GlobalHead, LocalHead
from options import option


class InfoMaxGANModel(LatentModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(LatentModel.Options):
        section = "InfoMax-GAN"
        shapes: ClassVar[tuple[str, ...]] = ("nce_dim",)
        preset: str = presets(SNGAN | {"nce_dim": 1024})
        lambda_nce: float = option(0.2, "weight of the contrast of parts and whole for D (the paper's beta)", least=0)
        lambda_nce_G: float = option(0.2, "the same for G (alpha)", least=0)
        nce_form: Literal["official", "paper"] = option(
            "official", "places told from: those of other images, as in the code, or of all, as in the paper"
        )
        nce_dim: int = option(256, "length of the vectors that are compared", least=1)

    contrasts = True
    wants = ("logit", "local", "global")
    places = 0  # of an image that features are local to; known from the first batch on

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        dim = self.opt.nce_dim
        return {
            "logit": LogitHead(features),
            "local": LocalHead(local_channels, dim),
            "global": GlobalHead(features, dim),
        }

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        weight = self.opt.lambda_nce
        return {"D_nce": weight * self.nce(real)} if weight else {}

    def terms_G(self, fake: Answers) -> Losses:
        weight = self.opt.lambda_nce_G
        return {"G_nce": weight * self.nce(fake)} if weight else {}

    def nce(self, answers: Answers) -> torch.Tensor:
        """The contrast of parts and whole, of images that are all real or all generated."""
        self.places = answers["local"].shape[1]
        return infomax_nce(self.gather(answers["local"]), self.gather(answers["global"]), self.opt.nce_form == "paper")

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        opt = self.opt
        if self.places == 0:
            return {}
        levels = infomax_levels(opt.batch_size * self.engine.world, self.places, opt.nce_form == "paper")
        return weighted_levels(levels, {"D_nce": opt.lambda_nce, "G_nce": opt.lambda_nce_G})
