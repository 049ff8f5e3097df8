"""What methods share whose D also tells classes: a term of real images for D, and of generated ones for G; ADC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from models.base_conditional import ConditionalModel
from models.base_latent import Answers, Losses
from models.losses import weighted_levels
from networks.discriminator import LogitHead
from options import UserError, option
from util.contract import broken


class ClassTermModel(ConditionalModel):
    """The class term is of reals in D's step and of fakes in G's, where D's answers about classes are constant.

    With --adc D has every class twice, 2y of real images and 2y + 1 of generated ones: its term is of both kinds, each
    by itself, and G's is that of fakes as real images less that of fakes as what they are. Hou et al., "Conditional
    GANs with Auxiliary Discriminative Classifier" (ICML 2022), for AC-GAN; StudioGAN has the same for proxies.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(ConditionalModel.Options):
        section = "classes by a term of D's"
        shapes: ClassVar[tuple[str, ...]] = ("adc",)
        adc: bool = option(
            False, "D has each class twice, of real and of generated images, which G is to leave for the first"
        )
        lambda_cond: float = option(1.0, "weight of the class term for the discriminator", least=0)
        lambda_cond_G: float | None = option(
            None, "weight of the class term for the generator; none is --lambda_cond", least=0
        )

        def validate(self) -> None:
            if self.adc and not (self.lambda_cond or self.lambda_cond_G):
                raise UserError("--adc with --lambda_cond 0: there is no class term to double; leave one of them out")

    wants: tuple[str, ...] = ("logit", "classes")

    def __init__(self, opt: Any):
        super().__init__(opt)
        if opt.adc:
            self.wants_of_fakes = self.wants

    # -- what a method writes --------------------------------------------------------------------

    def class_heads(self, features: int, classes: int, kinds: int) -> dict[str, nn.Module]:
        """D's heads for so many classes, each of one kind or two, by the name of their answer."""
        raise broken(self, "class_heads(features, classes, kinds)", "is not written")

    def class_term(self, answers: Answers, y: torch.Tensor, of_D: bool) -> torch.Tensor:
        """The term of D's answers (B, ...) about images of classes y, all real or all generated; unweighted.

        Args:
            y: as D knows them, with --adc 2y or 2y + 1.
            of_D: whether it is D's own, and not G's.
        """
        raise broken(self, "class_term(answers, y, of_D)", "is not written")

    def levels(self, batch: int, classes: int, of_D: bool) -> Mapping[str, float]:
        """Chance and floor of ``class_term`` for so many images of all processes."""
        return {}

    def adc_chance(self, batch: int, classes: int) -> float:
        """With --adc: G's term where nothing is told apart, of two that are then mostly equal."""
        return 0.0

    # -- the terms -------------------------------------------------------------------------------

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        return {"logit": LogitHead(features)} | self.class_heads(features, classes, 2 if self.opt.adc else 1)

    def known(self, y: torch.Tensor, real: bool = True) -> torch.Tensor:
        """Classes as D knows them, of real or of generated images."""
        return 2 * y + (not real) if self.opt.adc else y

    def term(self, answers: Answers, y: torch.Tensor, real: bool, of_D: bool) -> torch.Tensor:
        """The class term of these images as real, or as generated ones."""
        return self.class_term(answers, self.known(y, real), of_D)

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        if not (weight := self.opt.lambda_cond):
            return {}
        loss = self.term(*self.everyones(real, self.y), real=True, of_D=True)
        if self.opt.adc:
            loss = loss + self.term(*self.everyones(fake, self.fake_y), real=False, of_D=True)
        return {"D_cond": weight * loss}

    def terms_G(self, fake: Answers) -> Losses:
        if not (weight := self.weight_G):
            return {}
        answers, y = self.everyones(fake, self.fake_y)
        loss = self.term(answers, y, real=True, of_D=False)
        if self.opt.adc:
            loss = loss - self.term(answers, y, real=False, of_D=False)
        return {"G_cond": weight * loss}

    @property
    def weight_G(self) -> float:
        return self.opt.lambda_cond if self.opt.lambda_cond_G is None else self.opt.lambda_cond_G

    def everyones(self, answers: Answers, y: torch.Tensor) -> tuple[Answers, torch.Tensor]:
        """Of every process, so that a contrast is with the whole batch."""
        if not self.contrasts:
            return answers, y
        return {name: self.gather(rows) for name, rows in answers.items() if name != "logit"}, self.gather(y)

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        batch, classes = self.opt.batch_size * self.engine.world, len(self.class_names)
        of_D, of_G = self.levels(batch, classes, True), self.levels(batch, classes, False)
        if self.opt.adc:  # G's is a difference, which has no least value worth naming: AC-GAN's has none at all
            of_D = {name: 2 * value for name, value in of_D.items()}
            of_G = {"chance": self.adc_chance(batch, classes)} if of_G else {}
        weights = {"D_cond": self.opt.lambda_cond}, {"G_cond": self.weight_G}
        return weighted_levels(of_D, weights[0]) | weighted_levels(of_G, weights[1])
