"""SNGAN: images from noise against a discriminator with spectral norm. The baseline of the methods without classes.

Miyato, Kataoka, Koyama, Yoshida. Spectral Normalization for Generative Adversarial Networks. ICLR 2018.
"""

from models.base_latent import LatentModel


class SNGANModel(LatentModel):
    pass
