"""ReACGAN: images of a class, drawn to its proxy and held off images of other classes (D2D-CE).

Kang, Shim, Cho, Park. Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training. NeurIPS 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from models.base_latent import Answers
from models.base_proxy import ProxyModel
from models.losses import d2d_ce, d2d_ce_levels
from models.noise.presets import REACGAN, with_adc
from options import default, option


class ReACGANModel(ProxyModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ProxyModel.Options):
        section = "ReACGAN"
        preset: str = with_adc(REACGAN)
        margin: float = option(0.98, "cosine to its proxy beyond which an image is near enough")
        d2d_form: Literal["paper", "released"] = option(
            "paper", "the equation, or the authors' code, which trains nearly alike and logs lower values"
        )
        tau: float = default(0.25)

    def class_term(self, answers: Answers, y: torch.Tensor, of_D: bool) -> torch.Tensor:
        opt = self.opt
        return d2d_ce(answers["embedding"], answers["proxy"], y, opt.tau, opt.margin, opt.d2d_form == "released")

    def levels(self, batch: int, classes: int, of_D: bool) -> Mapping[str, float]:
        return d2d_ce_levels(batch, classes, self.opt.tau, self.opt.margin, self.opt.d2d_form == "released")
