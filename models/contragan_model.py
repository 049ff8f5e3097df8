"""ContraGAN: images of a class, told apart by a contrast with class proxies and with each other (2C).

Kang and Park. ContraGAN: Contrastive Learning for Conditional Image Generation. NeurIPS 2020.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from models.base_latent import Answers, Losses
from models.base_proxy import ProxyModel
from models.losses import supcon_in, supcon_levels, tutorial_contrast, tutorial_levels, two_c, two_c_levels
from models.noise.presets import CONTRAGAN, TUTORIAL, with_adc
from options import UserError, option


class ContraGANModel(ProxyModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ProxyModel.Options):
        section = "ContraGAN"
        preset: str = with_adc(
            CONTRAGAN,
            "small data and few minutes; the published settings for CIFAR-10; those with --adc; the ContraGAN "
            "tutorial's",
            tutorial=TUTORIAL,
        )
        contra_form: Literal["official", "supcon", "tutorial"] = option(
            "official",
            "2C with proxies; the same without them; or the tutorial's weak arithmetic, of D alone",
        )
        contra_pool: Literal["fakes", "fakes+reals"] = option(
            "fakes+reals", "official: what a fake is contrasted with, fakes alone, as published, or real images too"
        )

        def validate(self) -> None:
            if self.adc and self.contra_form != "official":
                raise UserError(
                    f"--adc --contra_form {self.contra_form}: has no proxies, of which --adc gives each class two; "
                    "take --contra_form official, or leave --adc out"
                )
            if self.contra_form == "tutorial" and self.lambda_cond_G is not None:
                raise UserError(f"--lambda_cond_G {self.lambda_cond_G}: --contra_form tutorial has no such term for G")

    def __init__(self, opt):
        super().__init__(opt)
        self.tutorial = opt.contra_form == "tutorial"
        self.wants = ("logit", "embedding") + (("proxy",) if opt.contra_form == "official" else ())
        if self.tutorial:
            self.wants_of_fakes = self.wants
            print(
                "--contra_form tutorial: its masks leave exp(0) for each masked pair, so its gradient is about a sixth "
                "of 2C's, and nothing tells G which class it is to make; for reproduction alone",
                file=sys.stderr,
            )

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        if not self.tutorial:
            return super().terms_D(real, fake)
        vectors, y = torch.cat([real["embedding"], fake["embedding"]]), torch.cat([self.y, self.fake_y])
        weight, term = self.opt.lambda_cond, tutorial_contrast(self.gather(vectors), self.gather(y), self.opt.tau)
        return {"D_cond": weight * term} if weight else {}

    def terms_G(self, fake: Answers) -> Losses:
        return {} if self.tutorial else super().terms_G(fake)

    def class_term(self, answers: Answers, y: torch.Tensor, of_D: bool) -> torch.Tensor:
        opt, f = self.opt, answers["embedding"]
        if opt.contra_form == "supcon":
            return supcon_in(f, y, opt.tau)
        more, more_y = None, None
        if not of_D and opt.contra_pool == "fakes+reals":
            reals = self.known_of_reals("embedding")["embedding"]
            more, more_y = self.gather(reals), self.known(self.gather(self.y))
        return two_c(f, answers["proxy"], y, opt.tau, more, more_y)

    def levels(self, batch: int, classes: int, of_D: bool) -> Mapping[str, float]:
        if self.opt.contra_form == "supcon":
            return supcon_levels(batch, classes, self.opt.tau)
        if self.tutorial:  # of reals and fakes together, for D alone
            return tutorial_levels(2 * batch, classes, self.opt.tau) if of_D else {}
        return two_c_levels(batch if of_D or self.opt.contra_pool == "fakes" else 2 * batch, classes, self.opt.tau)

    def adc_chance(self, batch: int, classes: int) -> float:
        """Real images beside the fakes are of the class that G is drawn to, and of none that it is drawn from."""
        if self.opt.contra_pool == "fakes":
            return 0.0
        as_real, as_fake = 1 + (2 * batch - 1) / classes, 1 + (batch - 1) / classes  # keys of the own class
        return math.log(as_fake / as_real)
