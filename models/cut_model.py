"""CUT: translate with one GAN and a patchwise contrastive loss between input and output.

Park, Efros, Zhang, Zhu. Contrastive Learning for Unpaired Image-to-Image Translation. ECCV 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from models.base_contrastive import ContrastiveModel
from options import UserError, option

SHOWN_AT = 128  # pixels of the larger side at which pages show what is quadratic in their number
FASTCUT = dict(nce_idt=False, lambda_NCE=10.0, flip_equivariance=True, n_epochs=150, n_epochs_decay=50)


class CUTModel(ContrastiveModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ContrastiveModel.Options):
        section = "CUT"
        CUT_mode: str = option(
            "CUT",
            "FastCUT: no identity term, heavier PatchNCE, mirrored inputs",
            presets={"CUT": {}, "FastCUT": FASTCUT},
        )
        nce_idt: bool = option(True, "also compare an image of B with its own translation")
        flip_equivariance: bool = option(False, "mirror the input in half of the steps, and its features back")
        pool_size: int = option(
            0, "accepted for commands that say it", least=0, idle="D sees the fakes of its step alone"
        )
        lambda_IDT: float = option(
            10.0,
            "accepted in commands for DCLGAN's repository, where nothing reads it either",
            idle="CUT's identity term is --nce_idt",
        )

        def validate(self):
            if self.input_nc != self.output_nc:
                raise UserError(
                    f"--input_nc {self.input_nc} --output_nc {self.output_nc}: the generator's output is fed into its "
                    "encoder again, so both must be equal; --model dcl, simdcl and cycle_gan have one for each side"
                )
            aims = (self.lambda_GAN, self.lambda_NCE, self.lambda_L1, getattr(self, "lambda_identity", 0))
            if self.is_train and not any(aims):
                raise UserError("--lambda_GAN 0 --lambda_NCE 0: G would learn nothing; give one of them a weight")

    keys_A: Any  # features (B, C_l, H_l, W_l) of each layer, of the images that G was given
    keys_B: Any
    keys_learn = False  # whether anything is trained through the keys, which PatchNCE itself does not do

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = self.build_G(opt.input_nc, opt.output_nc)
        self.visual_names = ("real_A", "fake_B", "real_B")
        if opt.is_train:
            self.visual_names += ("idt_B",) if opt.nce_idt else ()
            self.taps = opt.nce_layers if opt.lambda_NCE > 0 else ()
            self.netF = self.build_F(self.netG)
            self.build_memory(NCE=self.netF, NCE_Y=self.netF)
            self.netD = self.build_D(opt.output_nc)
            self.add_optimizer("D", self.netD)
            self.add_optimizer("G", self.netG, self.netF)

    def forward(self):
        """fake_B = G(real_A) and, for the identity term, idt_B = G(real_B); the features of their passes are the keys.

        Images of one size go through G together, those of two sizes one after the other.
        """
        opt = self.opt
        if not opt.is_train:
            self.fake_B = self.translate(self.netG, self.real_A)
            return
        B = len(self.real_A)
        together = opt.nce_idt and self.real_A.shape == self.real_B.shape
        self.flipped = opt.flip_equivariance and torch.rand(()).item() < 0.5
        fake, self.keys = self.mapped(torch.cat([self.real_A, self.real_B]) if together else self.real_A)
        self.fake_B, self.idt_B = fake[:B], fake[B:]
        self.keys_A, self.keys_B = [k[:B] for k in self.keys], [k[B:] for k in self.keys]
        if opt.nce_idt and not together:
            self.idt_B, self.keys_B = self.mapped(self.real_B)

    def mapped(self, real: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """G(real), mirrored in this step or not, and the features of the images themselves."""
        fake, keys = self.netG(real.flip(3) if self.flipped else real, self.taps)
        if self.taps and (self.flipped or not self.netG.per_image):  # then these are not the input's own features
            with torch.set_grad_enabled(self.keys_learn):
                keys = self.encode(self.netG, real)
        return fake, keys if self.keys_learn else [k.detach() for k in keys]

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.fake_B)

    def generator_losses(self):
        """Equation 4: L_GAN(G, D) + lambda_X L_NCE(G, F, X) + lambda_Y L_NCE(G, F, Y); each lambda is half."""
        losses = {"G_GAN": self.opt.lambda_GAN * self.fool(self.netD, self.fake_B)}
        if self.taps:
            losses |= self.contrast()
        fake_B = self.fake_B.flip(3) if self.flipped else self.fake_B
        return losses | self.supervised("L1", fake_B, self.real_B)

    def contrast(self) -> dict[str, torch.Tensor]:
        opt = self.opt
        weight = opt.lambda_NCE * (0.5 if opt.nce_idt else 1.0)
        losses = {"NCE": weight * self.nce("NCE", self.fake_B, self.keys_A)}
        if opt.nce_idt:
            losses["NCE_Y"] = weight * self.nce("NCE_Y", self.idt_B, self.keys_B)
        return losses

    def nce(self, term: str, image: torch.Tensor, keys: Sequence[torch.Tensor]) -> torch.Tensor:
        """PatchNCE of an image (queries) against the features of its source (keys)."""
        queries = self.queries_of(image)
        return self.patch_nce(term, *self.vectors(queries, keys, self.choose(queries, keys)))

    def queries_of(self, image: torch.Tensor) -> list[torch.Tensor]:
        """The features of an image that G made, where its source has them."""
        queries = self.encode(self.netG, image)
        return [q.flip(3) for q in queries] if self.flipped else queries

    def seen_small(self, image: torch.Tensor) -> list[torch.Tensor]:
        """The features (B, C_l, H_l, W_l) of an image that is scaled down: for pages, not for a loss."""
        stride, part = self.netG.stride, min(1.0, SHOWN_AT / max(image.shape[2:]))
        small = [max(self.netG.min_size, round(side * part / stride) * stride) for side in image.shape[2:]]
        return self.netG(F.interpolate(image, small, mode="area"), self.opt.nce_layers, encode_only=True)

    def vectors(self, queries: Sequence[torch.Tensor], keys: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]):
        """Unit vectors (B, S_l, D) of both at these places; those of the keys carry no gradient."""
        with torch.no_grad():
            k = self.netF(keys, ids)
        return self.netF(queries, ids), k
