"""R3GAN: each real image against a generated one, and a discriminator that is flat at both; nothing else.

Huang, Gokaslan, Kuleshov, Tompkin. The GAN is dead; long live the GAN! A Modern GAN Baseline. NeurIPS 2024.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from models.base_conditional import ConditionalModel
from models.base_latent import Answers, Losses
from models.losses import relativistic, relativistic_levels, zero_centred
from models.noise.presets import R3GAN, presets
from networks.r3gan_discriminator import R3GANHead
from options import UserError, default, option


class R3GANModel(ConditionalModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ConditionalModel.Options):
        section = "R3GAN"
        shapes: ClassVar[tuple[str, ...]] = ("class_told",)
        preset: str = presets(R3GAN)
        class_told: bool = option(True, "G is told a class, and D that of each image")
        fake_labels: Literal["uniform", "data"] = default("data")  # as published: a pair is of one class
        sn_D: bool = default(False)
        lambda_r1: float = default(0.1)
        lambda_r2: float = default(0.1)

        def validate(self) -> None:
            if self.gan_mode != "hinge_paper":
                raise UserError(f"--gan_mode {self.gan_mode}: r3gan has a loss of its own in its place; leave it out")
            if self.ada_target > 0:
                raise UserError(
                    f"--ada_target {self.ada_target}: asks for the sign of D's logits, of which r3gan fixes "
                    "differences alone; leave it out, then --augment_p says how often --augment_D is applied"
                )
            for flag, none in {"fake_labels": "data", "sample_classes": "auto"}.items():
                if not self.class_told and (value := getattr(self, flag)) != none:
                    raise UserError(f"--{flag} {value} --class_told false: there are no classes; leave one of them out")

    without_classes = "; --class_told false does without"

    def __init__(self, opt: Any):
        super().__init__(opt)
        self.conditional = opt.class_told

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        return {"logit": R3GANHead(features, classes, dim=local_channels)}

    # -- D's step --------------------------------------------------------------------------------

    def discriminator_losses(self) -> Losses:
        self.weights = {kind: self.weight_of(kind, "D") for kind in ("r1", "r2")}
        with self.eagerly():
            return super().discriminator_losses()

    def ask(self, images: torch.Tensor, want: Sequence[str], y: Any = None) -> Answers:
        """In D's step with the images themselves, whose gradient R1 and R2 are of."""
        if images.requires_grad or not torch.is_grad_enabled() or not any(self.weights.values()):
            return super().ask(images, want, y)
        images = images.detach().requires_grad_()
        return {**super().ask(images, want, y), "images": images}

    def adversarial_D(self, real: torch.Tensor, fake: torch.Tensor) -> Losses:
        return {"D_pair": relativistic(real, fake)}

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        """R1 and R2 as published: of the pass that the logits are of, and so of what D sees, augmented or not."""
        weights = zip(self.weights.items(), (real, fake), strict=True)
        return {f"D_{k}": w * zero_centred(seen["images"], seen["logit"]) for (k, w), seen in weights if w}

    def penalties(self, *rest: Any, **more: Any) -> Losses:
        """None further; see ``terms_D``."""
        return {}

    # -- G's step --------------------------------------------------------------------------------

    def adversarial_G(self, fake: torch.Tensor) -> torch.Tensor:
        return relativistic(fake, self.known_of_reals("logit")["logit"])

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        return dict.fromkeys(("D_pair", "G_GAN"), relativistic_levels())
