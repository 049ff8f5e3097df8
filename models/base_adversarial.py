"""What every method with a discriminator shares: its weights, its terms, and what keeps it smooth."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

import networks
from models.base_model import BaseModel
from models.losses import gan_loss, gradient_penalty, r1_penalty
from networks.spectral import spectral_norm
from options import UserError, option
from util import distributed

NORMS = nn.modules.batchnorm._NormBase, networks.InstanceNorm
Score = Callable[[torch.Tensor], torch.Tensor]


class AdversarialModel(BaseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(BaseModel.Options):
        section = "adversarial training"
        shapes: ClassVar[tuple[str, ...]] = ("ndf", "normD", "sn_D")
        of_a_family = True
        ndf: int = option(64, "channels of the discriminator's first layer", least=1)
        normD: Literal["instance", "batch", "none"] = option("instance", "normalisation in the discriminator")
        sn_D: bool = option(
            False,
            "spectral norm on every convolution and linear layer of the discriminator, then without --normD",
            presets={False: {}, True: {"normD": "none"}},
        )
        init_type: Literal["normal", "xavier", "kaiming", "orthogonal"] = option(
            "xavier", "how weights are drawn at the start"
        )
        init_gain: float = option(0.02, "scale of the weights at the start", above=0)
        lambda_gp: float = option(10.0, "weight of the gradient penalty of --gan_mode wgangp", least=0)
        lambda_r1: float = option(0.0, "weight gamma of R1, gamma / 2 * |grad D(real)|^2", least=0)
        lambda_r2: float = option(0.0, "the same of R2, gamma / 2 * |grad D(fake)|^2", least=0)
        anneal_r: float = option(
            1.0, "part of --lambda_r1 and --lambda_r2 that is left where annealing ends (--anneal_images)", least=0
        )
        r1_every: int = option(
            1, "steps from one penalty R1 and R2 to the next, which then counts as many times", least=1
        )
        lr_D: float | None = option(None, "learning rate of the discriminators; none is --lr", least=0)

        def validate(self) -> None:
            if self.anneal_r != 1 and not self.lambda_r1 and not self.lambda_r2:
                raise UserError(
                    f"--anneal_r {self.anneal_r}: a part of --lambda_r1 and --lambda_r2, and both are 0; leave it out"
                )

    warned_of_norms = False

    def finish_D(self, netD: nn.Module) -> Any:
        """Draw the weights of a discriminator; with --sn_D bound its layers.

        Raises:
            UserError: it has batch norm, under which an image's gradient depends on the others, and a penalty of it.
        """
        opt = self.opt
        norms = [m for m in netD.modules() if isinstance(m, NORMS)]
        penalties = [f"--{flag} {value}" for flag in ("lambda_r1", "lambda_r2") if (value := getattr(opt, flag)) > 0]
        penalties += ["--gan_mode wgangp"] if opt.gan_mode == "wgangp" and opt.lambda_gp > 0 else []
        if penalties and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in norms):
            raise UserError(
                f"{penalties[0]} with --normD batch: its penalty is of each image's own gradient, which batch norm "
                "mixes with the others'; use --normD instance or none"
            )
        if opt.sn_D and norms and not self.warned_of_norms and distributed.rank() == 0:
            print(
                f"--sn_D with --normD {opt.normD}: the norm divides by a deviation of its own, which voids the bound; "
                "--normD none keeps it",
                file=sys.stderr,
            )
            self.warned_of_norms = True
        networks.init_weights(netD, opt.init_type, opt.init_gain)
        return spectral_norm(netD) if opt.sn_D else netD

    def add_optimizer(self, name: str, *networks: nn.Module, lr: float | None = None, **settings: Any) -> None:
        """As in BaseModel; an optimizer whose name begins with D learns at --lr_D."""
        if lr is None and name.startswith("D"):
            lr = self.opt.lr_D
        super().add_optimizer(name, *networks, lr=lr, **settings)

    def real_or_fake(
        self, netD: nn.Module, real: torch.Tensor, fake: torch.Tensor, score: Score | None = None
    ) -> dict[str, torch.Tensor]:
        """D's terms, each with weight 1/2 (Isola et al., 2017, section 3.3). No gradient reaches G.

        Args:
            score: images to logits, where that is more than netD(image), e.g. of pairs one half of which is given.
        """
        opt, fake, D = self.opt, fake.detach(), score or netD
        # The fake first, as published: the statistics of batch norms follow what comes last.
        of_fake, on_real = gan_loss(D(fake), False, opt.gan_mode, for_D=True), D(real)
        self.watch(netD, on_real)
        losses = {"D_real": 0.5 * gan_loss(on_real, True, opt.gan_mode, for_D=True), "D_fake": 0.5 * of_fake}
        return losses | self.penalties("D", netD, real, fake, score)

    def watch(self, netD: nn.Module, real_logits: Any) -> None:
        """Take down what a discriminator says of real images in its own step, where something depends on it."""

    def penalties(
        self, name: str, netD: nn.Module, real: torch.Tensor, fake: torch.Tensor, score: Score | None = None
    ) -> dict[str, torch.Tensor]:
        """Terms ``<name>_gp``, ``<name>_r1`` and ``<name>_r2``, where asked for; of the images that ``score`` takes."""
        opt, D, losses = self.opt, score or netD.forward, {}
        with self.eagerly():
            if opt.gan_mode == "wgangp" and opt.lambda_gp > 0:
                losses[f"{name}_gp"] = opt.lambda_gp * gradient_penalty(real, fake, D)
            for kind, images in (("r1", real), ("r2", fake)):
                if weight := self.weight_of(kind, name):
                    losses[f"{name}_{kind}"] = weight * r1_penalty(images, D)
        return losses

    def eagerly(self) -> contextlib.AbstractContextManager[Any]:
        """Inside, networks may be differentiated twice, which compiled ones cannot."""
        return torch.compiler.set_stance("force_eager") if self.opt.compile else contextlib.nullcontext()

    def weight_of(self, kind: str, name: str) -> float:
        """What the penalty counts in this step of the discriminator ``name``; 0 where there is none."""
        opt = self.opt
        weight = opt.lambda_r1 if kind == "r1" else opt.lambda_r2
        if not weight or not (opt.r1_every == 1 or self.every(opt.r1_every, f"{name}_{kind}")):
            return 0.0
        return 0.5 * self.annealed(weight, weight * opt.anneal_r) * opt.r1_every

    def fool(self, netD: nn.Module, fake: torch.Tensor, score: Score | None = None) -> torch.Tensor:
        """G's adversarial term."""
        return gan_loss((score or netD)(fake), True, self.opt.gan_mode, for_D=False)
