"""BigGAN's discriminator with projection: real or fake given the class. A baseline of the methods with classes.

Miyato and Koyama, cGANs with Projection Discriminator, ICLR 2018; Brock, Donahue, Simonyan, Large Scale GAN
Training for High Fidelity Natural Image Synthesis, ICLR 2019.
"""

from dataclasses import dataclass

from torch import nn

from models.base_conditional import ConditionalModel
from models.noise.presets import BIGGAN, presets
from networks.discriminator import ProjectionHead


class BigGANModel(ConditionalModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ConditionalModel.Options):
        section = "BigGAN"
        preset: str = presets(BIGGAN)

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        return {"logit": ProjectionHead(features, classes)}
