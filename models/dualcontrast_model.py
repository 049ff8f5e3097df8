"""Dual contrast: D recognises each real image among all fakes, and each fake among all real images.

Yu, Liu, Dundar, Tao, Catanzaro, Davis, Fritz. Dual Contrastive Loss and Attention for GANs. ICCV 2021. The authors
published no code; what the paper leaves open is told in docs/conditional.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from models.base_latent import LatentModel, Losses
from models.losses import dual_D, dual_G, dual_levels
from options import UserError, option


class DualContrastModel(LatentModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(LatentModel.Options):
        section = "dual contrast"
        shapes: ClassVar[tuple[str, ...]] = ("attention_G", "reference_D")
        dual_g: Literal["swap", "minimax", "ns"] = option(
            "swap", "G's side: D's loss with the kinds exchanged, with its sign turned (fades), or softplus(-D(fake))"
        )
        attention_G: bool = option(True, "self-attention in the generator")
        reference_D: bool = option(True, "D attends to another real image beside the one it judges")

        def validate(self) -> None:
            if self.gan_mode != "hinge_paper":
                raise UserError(
                    f"--gan_mode {self.gan_mode}: dualcontrast has a loss of its own in its place; leave it out"
                )
            if self.ada_target > 0:
                raise UserError(
                    f"--ada_target {self.ada_target}: asks for the sign of D's logits, of which dualcontrast fixes "
                    "differences alone; leave it out, then --augment_D is always applied"
                )
            if self.is_train and self.reference_D and self.batch_size == 1:
                raise UserError(
                    "--batch_size 1 with --reference_D: there is no other image to refer to; take 2 or more"
                )

    contrasts = True

    def build(self, kind: str, name: str, **arguments: Any) -> nn.Module:
        extra = {"attention": self.opt.attention_G} if kind == "G" else {"reference": self.opt.reference_D}
        return super().build(kind, name, **arguments, **extra)

    def reference(self) -> torch.Tensor | None:
        """For each image a real one of the batch, for a real image never itself."""
        return self.real.roll(1, 0) if self.opt.reference_D else None

    def adversarial_D(self, real: torch.Tensor, fake: torch.Tensor) -> Losses:
        return {"D_dual": dual_D(self.gather(real), self.gather(fake))}

    def adversarial_G(self, fake: torch.Tensor) -> torch.Tensor:
        kind = self.opt.dual_g
        real = fake if kind == "ns" else self.known_of_reals("logit")["logit"]
        return dual_G(self.gather(real), self.gather(fake), kind)

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        level = dual_levels(self.opt.batch_size * self.engine.world)
        return {"D_dual": level} | ({"G_GAN": level} if self.opt.dual_g == "swap" else {})
