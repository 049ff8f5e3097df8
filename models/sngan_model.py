"""SNGAN: images from noise against a discriminator with spectral norm. The baseline of the methods without classes.

Miyato, Kataoka, Koyama, Yoshida. Spectral Normalization for Generative Adversarial Networks. ICLR 2018.
"""

from dataclasses import dataclass

from models.base_latent import LatentModel
from models.noise.presets import SNGAN, presets


class SNGANModel(LatentModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(LatentModel.Options):
        section = "SNGAN"
        preset: str = presets(SNGAN)
