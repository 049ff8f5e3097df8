"""ContraD: D's trunk learns from contrasts alone, of strongly augmented images; a small head tells real from fake.

Jeong and Shin. Training GANs with Stronger Augmentations via Contrastive Discriminator. ICLR 2021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import nn

from models.base_latent import Answers, LatentModel, Losses
from models.losses import between_views, told_from, told_levels, views_floor, views_levels, weighted_levels
from networks.discriminator import EmbeddingHead, TwoLayerHead
from networks.simclr_augment import SimCLRAugment
from options import UserError, default, option


class ContraDModel(LatentModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(LatentModel.Options):
        section = "ContraD"
        shapes: ClassVar[tuple[str, ...]] = ("view_dim", "head_dim")
        gan_mode: str = default("nonsaturating")
        sn_D: bool = default(False)
        init_type: Literal["normal", "xavier", "kaiming", "orthogonal"] = default("kaiming")
        lambda_r1: float = default(0.1)
        lambda_views: float = option(1.0, "weight of the contrast between two views of each real image", least=0)
        lambda_fakes: float = option(
            1.0, "weight of the contrast of fakes with real images, the paper's lambda", least=0
        )
        tau: float = option(0.1, "temperature of both", above=0)
        view_dim: int = option(128, "length of the vectors that are compared", least=1)
        head_dim: int = option(512, "width of the hidden layer of each head of D", least=1)
        view_crop: float = option(0.5, "least area of the random crop of all that D sees; 1 is none", above=0, most=1)
        view_jitter: float = option(0.5, "strength of its change of colours; 0 is none", least=0, most=1)

        def validate(self) -> None:
            if self.is_train and self.batch_size == 1:
                raise UserError("--batch_size 1: contrad compares images of a batch; take 2 or more")
            if not self.lambda_views and not self.lambda_fakes:
                raise UserError(
                    "--lambda_views 0 --lambda_fakes 0: the trunk of D learns from these alone; leave one of them out"
                )

    contrasts = True
    wants = ("logit", "view", "fake")
    wants_of_fakes = ("logit", "fake")

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        dim, hidden = self.opt.view_dim, self.opt.head_dim
        return {
            "logit": TwoLayerHead(features, hidden),
            "view": EmbeddingHead(features, dim, hidden),
            "fake": EmbeddingHead(features, dim, hidden),
        }

    def see_data(self, dataset: Any) -> None:
        opt = self.opt
        self.views = SimCLRAugment(opt.view_crop, opt.view_jitter, mirror=dataset.mirrors)
        super().see_data(dataset)

    def ask(self, images: torch.Tensor, want: Sequence[str], y: Any = None) -> Answers:
        """Of images under an augmentation. In D's step, where they have no gradient, the trunk learns of no logit."""
        apart = () if images.requires_grad else ("logit",)
        return self.netD(self.stabilizers.augment(self.views(images)), want, y, apart=apart)

    def answers_of_reals(self) -> Answers:
        """Of two views of each; the logit is of the first."""
        answers = self.ask(torch.cat([self.real, self.real]), self.wants)
        return {**answers, "logit": answers["logit"][: len(self.real)]}

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        opt, losses = self.opt, {}
        if opt.lambda_views:
            one, other = (self.vectors(half) for half in real["view"].chunk(2))
            losses["D_views"] = opt.lambda_views * between_views(one, other, opt.tau)
        if opt.lambda_fakes:
            own, others = self.vectors(fake["fake"]), self.vectors(real["fake"])
            losses["D_fakes"] = opt.lambda_fakes * told_from(own, others, opt.tau)
        return losses

    def generator_losses(self) -> Losses:
        losses = {"G_GAN": self.adversarial_G(self.ask(self.fake, ("logit",))["logit"])}
        return losses | self.stabilizers.terms_G(self.fake, self.near)

    def vectors(self, x: torch.Tensor) -> torch.Tensor:
        """Unit vectors of every process's images."""
        return self.gather(F.normalize(x.float(), dim=1))

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        opt = self.opt
        count = opt.batch_size * self.engine.world
        of_views = {**views_levels(count), "floor": views_floor(count, opt.tau)}
        return weighted_levels(of_views, {"D_views": opt.lambda_views}) | weighted_levels(
            told_levels(count, 2 * count), {"D_fakes": opt.lambda_fakes}
        )
