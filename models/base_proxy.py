"""What ContraGAN and ReACGAN share: an embedding of images, a proxy for each class, one loss between them."""

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from models.base_class_term import ClassTermModel
from models.base_latent import Answers
from networks.discriminator import EmbeddingHead, ProxyHead
from options import option
from util import distributed


class ProxyModel(ClassTermModel):
    """Proxies are D's too, and constant in G's step."""

    @dataclass(frozen=True, kw_only=True)
    class Options(ClassTermModel.Options):
        section = "classes by proxies"
        shapes: ClassVar[tuple[str, ...]] = ("embed_dim", "embed_hidden")
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

    def class_heads(self, features: int, classes: int, kinds: int) -> dict[str, nn.Module]:
        opt = self.opt
        heads: dict[str, nn.Module] = {"embedding": EmbeddingHead(features, opt.embed_dim, opt.embed_hidden)}
        if "proxy" in self.wants:
            heads["proxy"] = ProxyHead(classes, opt.embed_dim, kinds)
        return heads

    def term(self, answers: Answers, y: torch.Tensor, real: bool, of_D: bool) -> torch.Tensor:
        if self.opt.adc:  # of the two proxies of a class, that of these images
            answers = {**answers, "proxy": answers["proxy"][:, 0 if real else 1]}
        return super().term(answers, y, real, of_D)
