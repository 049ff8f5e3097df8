"""AC-GAN: the discriminator also names the class. A baseline of the methods with classes.

Odena, Olah, Shlens. Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017. The class term is of reals
for D and of fakes for G, as in StudioGAN; the paper's D also learns the classes of fakes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from models.base_class_term import ClassTermModel
from models.base_latent import Answers
from models.losses.precision import in_float32
from models.noise.presets import BIGGAN, with_adc
from networks.discriminator import ClassHead
from options import option


class ACGANModel(ClassTermModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ClassTermModel.Options):
        section = "AC-GAN"
        preset: str = with_adc(BIGGAN)
        lambda_cond: float = option(
            1.0,
            "weight of the classes' cross entropy for D: of real images alone, in Odena et al. of fakes too",
            least=0,
        )
        lambda_cond_G: float = option(1.0, "and for the generator, of its fakes", least=0)

    def class_heads(self, features: int, classes: int, kinds: int) -> dict[str, nn.Module]:
        return {"classes": ClassHead(features, classes, kinds)}

    def class_term(self, answers: Answers, y: torch.Tensor, of_D: bool) -> torch.Tensor:
        return in_float32(F.cross_entropy)(answers["classes"], y)

    def levels(self, batch: int, classes: int, of_D: bool) -> Mapping[str, float]:
        return {"chance": math.log(classes * (2 if self.opt.adc else 1)), "floor": 0.0}
