"""DECENT: a translation changes the density of all patches of an image by one factor.

Xie, Ho, Zhang. Unsupervised Image-to-Image Translation with Density Changing Regularization. NeurIPS 2022. Flows learn
how likely the patches of each side are, as G's encoder sees them; G keeps the difference of log densities between the
output and its source the same at every place. G sees the slow averages of the flows, which begin at zero as published,
so for about a thousand steps of flows that are too flat; ``--flow_average_from flow`` begins with the flows themselves.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F

from models.base_translation import TranslationModel
from networks.density import LayerDensities
from networks.heads import at_places, random_places
from networks.momentum import follow, momentum_copy
from options import UserError, option

BETAS = 0.9, 0.999  # of the flows' optimizer, and the norm that the gradient of a side's flows is cut to
LARGEST_GRADIENT = 0.1


class DecentModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        section = "DECENT"
        shapes: ClassVar[tuple[str, ...]] = ("var_layers", "bnaf_dim", "bnaf_layers", "flow_blocks")
        lambda_GAN: float = option(1.0, "weight of the adversarial term", least=0)
        lambda_idt: float = option(10.0, "weight of the distance between an image of B and its translation", least=0)
        lambda_var: float = option(0.01, "weight of the variance of how densities change, over an image", least=0)
        var_layers: tuple[str, ...] = option(
            ("0", "4", "8", "12", "16"),
            "layers of G whose patches have densities: names (pixels, down1) or indices",
        )
        num_patches: int = option(256, "patches per layer; 0 takes all", least=0)
        bnaf_dim: int = option(10, "numbers of a flow's hidden layer for each of its input", least=1)
        bnaf_layers: int = option(0, "hidden layers of a flow beyond the first", least=0)
        flow_blocks: int = option(1, "flows, one after the other", least=1)
        flow_lr: float = option(1e-3, "learning rate of the flows", least=0)
        flow_ema: float = option(0.998, "part of its weights that a flow's average keeps in a step", least=0, below=1)
        flow_average_from: Literal["zeros", "flow"] = option("zeros", "what the averages begin with; published: zeros")
        pool_size: int = option(
            0, "accepted for commands that say it", least=0, idle="D sees the fakes of its step alone"
        )

        def validate(self):
            if not self.is_train:
                return
            if self.input_nc != self.output_nc:
                raise UserError(
                    f"--input_nc {self.input_nc} --output_nc {self.output_nc}: G encodes images of both sides, so both "
                    "must be equal; --model dcl, simdcl and cycle_gan have a generator for each side"
                )
            if self.num_patches == 1:
                raise UserError("--num_patches 1: a variance over the places of an image takes two or more")
            if not (self.lambda_GAN or self.lambda_idt or self.lambda_var or self.lambda_L1):
                raise UserError("--lambda_GAN 0 --lambda_idt 0 --lambda_var 0: G would learn nothing; give one weight")

    visual_names: tuple[str, ...] = ("real_A", "fake_B", "real_B")
    netG: Any
    netD: Any
    netF_A: Any
    netF_B: Any

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = self.build_G(opt.input_nc, opt.output_nc)
        if not opt.is_train:
            return
        self.visual_names += ("idt_B",)
        dims = [shape[0] for shape in self.shapes_at(self.netG, opt.var_layers, "--var_layers")]
        flows = dict(hidden=opt.bnaf_dim, layers=opt.bnaf_layers, flows=opt.flow_blocks)
        self.netF_A, self.netF_B = LayerDensities(dims, **flows), LayerDensities(dims, **flows)
        self.netM_A, self.netM_B = momentum_copy(self.netF_A), momentum_copy(self.netF_B)
        if opt.flow_average_from == "zeros":
            for parameter in (*self.netM_A.parameters(), *self.netM_B.parameters()):
                parameter.data.zero_()
        self.netD = self.build_D(opt.output_nc)
        for flow in (self.netF_A, self.netF_B):  # a group each, for each has a gradient of its own norm
            settings = dict(lr=opt.flow_lr, betas=BETAS, amsgrad=True, largest_gradient=LARGEST_GRADIENT)
            self.add_optimizer("F", flow, **settings)
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", self.netG)

    def forward(self):
        """The features of both sides' passes serve the flows, and A's the generator's step too, as constants."""
        if not self.opt.is_train:
            self.fake_B = self.translate(self.netG, self.real_A)
            return
        taps = self.opt.var_layers
        self.fake_B, features_A = self.netG(self.real_A, taps)
        self.idt_B, features_B = self.netG(self.real_B, taps)
        if not self.netG.per_image:
            with torch.no_grad():
                features_A, features_B = (self.netG(x, taps, encode_only=True) for x in (self.real_A, self.real_B))
        self.features_A, self.features_B = ([f.detach() for f in side] for side in (features_A, features_B))

    def optimize_parameters(self):
        self.forward()
        self.temper()
        self.update("F", self.flow_losses)
        if self.has_stepped("F"):
            follow(self.netM_A, self.netF_A, self.opt.flow_ema)
            follow(self.netM_B, self.netF_B, self.opt.flow_ema)
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def temper(self):
        """Adam as the published code has it adds its eps to the root of the uncorrected second moment."""
        correction = math.sqrt(1 - BETAS[1] ** (self.engine.progress.step + 1))
        for group in self.optimizers["F"].param_groups:
            group["eps"] = self.opt.adam_eps / correction

    def flow_losses(self):
        """How unlikely the patches of each side are to its flows: the mean over layers, in nats."""
        sides = {"A": (self.netF_A, self.features_A), "B": (self.netF_B, self.features_B)}
        return {
            f"nll_{side}": -torch.stack([x.mean() for x in flow(self.vectors(f, self.places(f)))]).mean()
            for side, (flow, f) in sides.items()
        }

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.fake_B)

    def generator_losses(self):
        opt = self.opt
        losses = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, self.fake_B)}
        losses["idt"] = opt.lambda_idt * F.l1_loss(self.idt_B.float(), self.real_B)
        if opt.lambda_var > 0:
            losses["var"] = opt.lambda_var * self.variance()
        return losses | self.supervised("L1", self.fake_B, self.real_B)

    def variance(self):
        """Of log p_A(source) - log p_B(output), in bits per number, over an image's places; the mean over all else."""
        ids = self.places(self.features_A)
        with torch.no_grad():
            of_A = self.netM_A(self.vectors(self.features_A, ids))
        features = self.netG(self.fake_B, self.opt.var_layers, encode_only=True)
        of_B = self.netM_B(self.vectors(features, ids))
        self.densities = of_A, of_B
        bits = [(a - b) / (f.shape[1] * math.log(2)) for a, b, f in zip(of_A, of_B, features, strict=True)]
        return torch.stack([x.var(1).mean() for x in bits]).mean()

    def places(self, features):
        """At most --num_patches places of each map."""
        return random_places(features, self.opt.num_patches)

    def vectors(self, features, ids):
        return [at_places(feature, places) for feature, places in zip(features, ids, strict=True)]
