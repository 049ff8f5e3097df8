"""Santa: one generator for every point between the two sides, whose features change as little as they can on the way.

Xie, Xu, Gong, Zhang. Unpaired Image-to-Image Translation with Shortest Path Regularization. CVPR 2023. Nothing is
compared and nothing encoded again: G decodes what it encoded at d = 0, the source, and at d = 1, the target. The
published code takes batches of one; here d is a number of each image. Its parser has ``--lambda_path 0.01``, the
command that it shows for Cityscapes 0.1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F

import networks
from models.base_translation import TranslationModel
from networks.tiling import padded
from options import UserError, option

FLOOR = 0.1  # of d1 - d2 in the quotient, as published: intervals that the ends cut shorter count for less


class SantaModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        section = "Santa"
        shapes: ClassVar[tuple[str, ...]] = ("style_dim",)
        preset: str = option(
            "santa",
            "settings of the published parser, or of its command for Cityscapes",
            presets={"santa": {}, "santa-cityscapes": {"lambda_path": 0.1}},
        )
        netG: str = option(
            "adain_resnet_9blocks",
            "architecture of the generator",
            choices=lambda: networks.list_networks("path_G"),
        )
        style_dim: int = option(8, "numbers that d is embedded in; with 1 the norms see d itself", least=1)
        lambda_GAN: float = option(1.0, "weight of the adversarial term", least=0)
        lambda_rec: float = option(5.0, "weight of the distance between A and its image at d = 0", least=0)
        lambda_idt: float = option(5.0, "weight of the distance between B and its image at d = 1", least=0)
        lambda_kl: float = option(0.01, "weight of the squares of what G encodes", least=0)
        lambda_path: float = option(0.01, "weight of how fast features change along d", least=0)
        noise_std: float = option(1.0, "deviation of the noise on what G encodes, in training", least=0)
        path_layers: tuple[int, ...] = option(
            (), "layers of the decoder that should change little; 0,3,6,10,14 of nine blocks by default", least=0
        )
        path_interval_min: float = option(0.05, "least half width of an interval of d", above=0, most=1)
        path_interval_max: float = option(0.10, "largest half width of an interval of d", above=0, most=1)
        normG: Literal["instance"] = option("instance", "normalisation in the generator, which d modulates")
        no_dropout: bool = option(True, "accepted for commands that say it", idle="Santa's generator has no dropout")
        pool_size: int = option(
            0, "accepted for commands that say it", least=0, idle="D sees the fakes of its step alone"
        )

        def validate(self):
            if not self.is_train:
                return
            if self.input_nc != self.output_nc:
                raise UserError(
                    f"--input_nc {self.input_nc} --output_nc {self.output_nc}: G makes images of both sides, so both "
                    "must be equal; --model dcl, simdcl and cycle_gan have a generator for each side"
                )
            if self.path_interval_min > self.path_interval_max:
                raise UserError(
                    f"--path_interval_min {self.path_interval_min}: above --path_interval_max {self.path_interval_max}"
                )
            if not (self.lambda_GAN or self.lambda_rec or self.lambda_idt or self.lambda_path or self.lambda_L1):
                raise UserError(
                    "--lambda_GAN 0 --lambda_rec 0 --lambda_idt 0: G would learn nothing; give one a weight"
                )

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(Options):
        path_steps: int = option(
            4,
            "images on the page between d = 0 and the translation, the first included; 0 is none",
            least=0,
            per_run=True,
        )

    visual_names: tuple[str, ...] = ("real_A", "fake_B", "real_B")
    kind_of_G = "path_G"
    netG: Any
    netD: Any

    def __init__(self, opt):
        super().__init__(opt)
        self.arguments_of_G = {"style_dim": opt.style_dim}
        self.netG = self.build_G(opt.input_nc, opt.output_nc)
        if not opt.is_train:
            self.stops = [step / opt.path_steps for step in range(opt.path_steps)]
            self.visual_names = ("real_A", *(f"d_{d:.2f}" for d in self.stops), "fake_B", "real_B")
            return
        self.visual_names += ("rec_A", "idt_B")
        self.path_layers = self.layers_to_keep()
        self.netD = self.build_D(opt.output_nc)
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", self.netG)

    def layers_to_keep(self):
        """Raises:
        UserError: --path_layers names a layer that the decoder lacks, or one twice.
        """
        taps, count = self.opt.path_layers, len(self.netG.decoder)
        wrong = [tap for i, tap in enumerate(taps) if not 0 <= tap < count or tap in taps[:i]]
        if wrong:
            told = f"{wrong[0]} is there twice" if wrong[0] < count else f"the decoder has no layer {wrong[0]}"
            raise UserError(f"--path_layers {','.join(map(str, taps))}: {told}; name some of 0 to {count - 1}")
        return taps or self.netG.path_taps()

    def forward(self):
        if not self.opt.is_train:
            self.along_path()
            return
        self.latents = [self.netG.encode(image) for image in (self.real_A, self.real_B)]
        A, B = (h + self.opt.noise_std * self.draw_noise(side, h) for side, h in enumerate(self.latents))
        self.rec_A, self.fake_B, self.idt_B = self.at(A, 0), self.at(A, 1), self.at(B, 1)
        self.noisy_A = A

    def at(self, h, d):
        """What G makes of its code at one d."""
        return self.netG.decode(h, torch.full((len(h),), float(d), device=h.device))[0]

    def along_path(self):
        """The translation, and before it on the page the images on the way there."""
        self.fake_B = None
        for d in self.stops:
            setattr(self, f"d_{d:.2f}", None)
        if self.real_A is None:
            return
        if self.goes_in_tiles(self.real_A):  # whose way there would take as much memory as the whole
            self.fake_B = self.translate(self.netG, self.real_A)
            return
        H, W = self.real_A.shape[2:]
        h = self.netG.encode(padded(self.netG, self.real_A))
        for d in self.stops:
            setattr(self, f"d_{d:.2f}", self.at(h, d)[..., :H, :W])
        self.fake_B = self.at(h, 1)[..., :H, :W]

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.fake_B)

    def generator_losses(self):
        opt = self.opt
        losses = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, self.fake_B)}
        losses["rec"] = opt.lambda_rec * F.l1_loss(self.rec_A.float(), self.real_A)
        losses["idt"] = opt.lambda_idt * F.l1_loss(self.idt_B.float(), self.real_B)
        losses["kl"] = opt.lambda_kl * torch.cat([h.float().square().flatten() for h in self.latents]).mean()
        if opt.lambda_path > 0:
            losses["path"] = opt.lambda_path * self.path()
        return losses | self.supervised("L1", self.fake_B, self.real_B)

    def path(self):
        """Mean over layers of the mean square of the quotient of differences along d, of A's noisy code."""
        B = len(self.noisy_A)
        centre, half_width = self.draw_interval(B)
        d1, d2 = (centre + half_width).clamp(0, 1), (centre - half_width).clamp(0, 1)
        twice, at = torch.cat([self.noisy_A, self.noisy_A]), torch.cat([d1, d2])
        features = self.netG.decode(twice, at, self.path_layers, features_alone=True)[1]
        step = (d1 - d2).clamp(min=FLOOR).view(-1, 1, 1, 1)
        self.energies = [((x[:B].float() - x[B:].float()) / step).square().mean() for x in features]
        return torch.stack(self.energies).mean()

    def draw_noise(self, side, h):
        """Of what G encodes of side A, 0, or B, 1."""
        return torch.randn_like(h)

    def draw_interval(self, count):
        """Centre and half width of an interval of d for each image."""
        opt, device = self.opt, self.real_A.device
        low, high = opt.path_interval_min, opt.path_interval_max
        centre, half_width = torch.rand(2, count, device=device)
        return centre, low + (high - low) * half_width
