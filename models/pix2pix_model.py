"""pix2pix: what an image should become, learnt from pairs by a U-Net whose discriminator sees both images.

Isola, Zhu, Zhou, Efros. Image-to-Image Translation with Conditional Adversarial Networks. CVPR 2017. Dropout is
G's only noise; like the statistics of its batch norms it stays on in a test, as published, unless that says ``--eval``.
With ``--netD multiscale`` several discriminators see the pair, each at half the size of the last, and G matches the
features that they have of real pairs (Wang et al., CVPR 2018); their terms are averaged over scales here.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F

from models.base_translation import TranslationModel
from options import UserError, default, option


class Pix2PixModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        section = "pix2pix"
        lambda_GAN: float = option(1.0, "weight of the adversarial term", least=0)
        lambda_feat: float = option(10.0, "--netD multiscale: weight of the distance between D's features", least=0)
        lambda_L1: float = default(100.0)
        dataset_mode: str = default("aligned")
        netG: str = default("unet_256")
        normG: Literal["instance", "batch", "none"] = default("batch")
        normD: Literal["instance", "batch", "none"] = default("batch")
        no_dropout: bool = default(False)
        no_antialias: bool = default(True)
        no_antialias_up: bool = default(True)
        init_type: Literal["normal", "xavier", "kaiming", "orthogonal"] = default("normal")
        gan_mode: str = default("vanilla")
        pool_size: int = option(
            0, "accepted for commands that say it", least=0, idle="D sees the fakes of its step alone"
        )
        n_epochs: int = default(100)
        n_epochs_decay: int = default(100)

        def validate(self):
            if self.is_train and not (self.lambda_GAN or self.lambda_L1):
                raise UserError("--lambda_GAN 0 --lambda_L1 0: G would learn nothing; give one of them a weight")

    visual_names: tuple[str, ...] = ("real_A", "fake_B", "real_B")
    family = "sees pairs"
    masks_pairs = False  # D takes every item for a pair
    netG: Any
    netD: Any

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = self.build_G(opt.input_nc, opt.output_nc)
        if opt.is_train:
            self.netD = self.build_D(opt.input_nc + opt.output_nc)
            self.add_optimizer("G", self.netG)
            self.add_optimizer("D", self.netD)

    @property
    def needs_pairs(self):
        """Always, for D sees source and image side by side."""
        return True

    def forward(self):
        """One pass of G serves both players: one set of dropped numbers."""
        self.fake_B = self.netG(self.real_A) if self.opt.is_train else self.translate(self.netG, self.real_A)

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def beside_source(self, image):
        """(B, input_nc + output_nc, H, W): what D judges."""
        return torch.cat([self.real_A, image], 1)

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.beside_source(self.real_B), self.beside_source(self.fake_B))

    def generator_losses(self):
        """Equation 4: L_cGAN(G, D) + lambda L_L1(G), and the features of several discriminators."""
        opt, pair = self.opt, self.beside_source(self.fake_B)
        losses = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, pair)}
        if opt.netD == "multiscale" and opt.lambda_feat > 0:
            losses["G_feat"] = opt.lambda_feat * self.feature_distance(pair)
        return losses | self.supervised("G_L1", self.fake_B, self.real_B)

    def feature_distance(self, pair):
        """Mean distance of D's features of the made pair from those of the real one, over layers and scales."""
        with torch.no_grad():
            wanted = self.netD.features(self.beside_source(self.real_B))
        made = self.netD.features(pair)
        return torch.stack([F.l1_loss(*features) for features in zip(made, wanted, strict=True)]).mean()
