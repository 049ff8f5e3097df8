"""What ContraGAN and ReACGAN share: an embedding of images, a proxy for each class, one loss between them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from models.base_conditional import ConditionalModel
from models.base_latent import Answers, Losses
from models.losses import weighted_levels
from networks.discriminator import EmbeddingHead, LogitHead, ProxyHead
from options import option
from util import distributed
from util.contract import broken


class ProxyModel(ConditionalModel):
    """The class term is of reals in D's step and of fakes in G's, where embedding and proxies are constant."""

    @dataclass(frozen=True, kw_only=True)
    class Options(ConditionalModel.Options):
        section = "classes by proxies"
        shapes: ClassVar[tuple[str, ...]] = ("embed_dim", "embed_hidden")
        lambda_cond: float = option(1.0, "weight of the class term for the discriminator", least=0)
        lambda_cond_G: float | None = option(
            None, "weight of the class term for the generator; none is --lambda_cond", least=0
        )
        tau: float = option(1.0, "temperature of the class term", above=0)
        embed_dim: int = option(128, "length of the vectors that stand for images and classes", least=1)
        embed_hidden: int = option(0, "width of a hidden layer before them; 0 has none", least=0)

    contrasts = True
    wants: tuple[str, ...] = ("logit", "embedding", "proxy")

    def see_data(self, dataset: Any) -> None:
        super().see_data(dataset)
        mates = (self.opt.batch_size * distributed.world_size() - 1) / len(self.class_names)
        if self.opt.is_train and mates < 0.5 and distributed.rank() == 0:
            print(
                f"--batch_size {self.opt.batch_size}: of {len(self.class_names)} classes an image meets another of its "
                f"own {mates:.2f} times a batch; mostly the proxies are left to learn from",
                file=sys.stderr,
            )

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        opt = self.opt
        heads: dict[str, nn.Module] = {
            "logit": LogitHead(features),
            "embedding": EmbeddingHead(features, opt.embed_dim, opt.embed_hidden),
        }
        return heads | ({"proxy": ProxyHead(classes, opt.embed_dim)} if "proxy" in self.wants else {})

    def class_term(self, answers: Answers, y: torch.Tensor, reals: bool) -> torch.Tensor:
        """The term of D's answers (B, ...) about images of classes y, all real or all generated; unweighted."""
        raise broken(self, "class_term(answers, y, reals)", "is not written")

    def levels(self, batch: int, classes: int, reals: bool) -> Mapping[str, float]:
        """Chance and floor of ``class_term`` for so many images of all processes."""
        return {}

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        weight = self.opt.lambda_cond
        return {"D_cond": weight * self.class_term(self.everyones(real), self.gather(self.y), True)} if weight else {}

    def terms_G(self, fake: Answers) -> Losses:
        weight = self.weight_G
        return (
            {"G_cond": weight * self.class_term(self.everyones(fake), self.gather(self.fake_y), False)}
            if weight
            else {}
        )

    @property
    def weight_G(self) -> float:
        return self.opt.lambda_cond if self.opt.lambda_cond_G is None else self.opt.lambda_cond_G

    def everyones(self, answers: Answers) -> Answers:
        """Of every process, so that the contrast is with the whole batch."""
        return {name: self.gather(rows) for name, rows in answers.items() if name != "logit"}

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        batch, classes = self.opt.batch_size * self.engine.world, len(self.class_names)
        of_D = weighted_levels(self.levels(batch, classes, True), {"D_cond": self.opt.lambda_cond})
        return of_D | weighted_levels(self.levels(batch, classes, False), {"G_cond": self.weight_G})
