"""CUT: translate with one GAN and a patchwise contrastive loss between input and output.

Park, Efros, Zhang, Zhu. Contrastive Learning for Unpaired Image-to-Image Translation. ECCV 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

import networks
from models.base_translation import TranslationModel
from models.losses import patch_nce
from networks.heads import channels_at
from options import UserError, default, option

FASTCUT = dict(nce_idt=False, lambda_NCE=10.0, flip_equivariance=True, n_epochs=150, n_epochs_decay=50)


class CUTModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        section = "CUT"
        CUT_mode: str = option(
            "CUT",
            "FastCUT: no identity term, heavier PatchNCE, mirrored inputs",
            presets={"CUT": {}, "FastCUT": FASTCUT},
        )
        lambda_GAN: float = option(1.0, "weight of the adversarial term", least=0)
        lambda_NCE: float = option(1.0, "weight of PatchNCE", least=0)
        nce_idt: bool = option(True, "also compare an image of B with its own translation")
        nce_layers: tuple[str, ...] = option(
            ("0", "4", "8", "12", "16"),
            "layers of G whose patches are compared: names (pixels, down1, res1) or indices",
        )
        nce_includes_all_negatives_from_minibatch: bool = option(
            False, "take negatives from every image of the batch, not from the same image only"
        )
        netF: str = option(
            "mlp_sample",
            "head that turns patches into vectors",
            choices=lambda: [n for n in networks.list_networks("F") if n != "mapping"],
        )
        netF_nc: int = option(256, "size of a patch's vector", least=1)
        nce_T: float = option(0.07, "temperature of PatchNCE", above=0)
        num_patches: int = option(256, "patches compared per layer; 0 compares all", least=0)
        flip_equivariance: bool = option(False, "mirror the input in half of the steps, and its features back")
        pool_size: int = default(0)

        def validate(self):
            if self.input_nc != self.output_nc:
                raise UserError(
                    f"--input_nc {self.input_nc} --output_nc {self.output_nc}: CUT feeds its output back into "
                    "its encoder, so both must be equal"
                )

    netF: Any

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = self.build_G(opt.input_nc, opt.output_nc)
        self.visual_names = ("real_A", "fake_B", "real_B")
        if opt.is_train:
            self.visual_names += ("idt_B",) if opt.nce_idt else ()
            self.taps = opt.nce_layers if opt.lambda_NCE > 0 else ()
            try:
                channels = channels_at(self.netG, self.taps, opt.input_nc) if self.taps else []
            except ValueError as error:
                raise UserError(f"--nce_layers with --netG {opt.netG}: {error}") from None
            head = networks.define("F", opt.netF, channels=channels, dim=opt.netF_nc)
            self.netF = networks.init_weights(head, opt.init_type, opt.init_gain)
            self.netD = self.build_D(opt.output_nc)
            self.add_optimizer("D", self.netD)
            self.add_optimizer("G", self.netG, self.netF)

    def forward(self):
        """fake_B = G(real_A) and, for the identity term, idt_B = G(real_B), in one pass whose features are the keys."""
        opt = self.opt
        if not opt.is_train:
            self.fake_B = self.translate(self.netG, self.real_A)
            return
        real = torch.cat([self.real_A, self.real_B]) if opt.nce_idt else self.real_A
        self.flipped = opt.flip_equivariance and torch.rand(()).item() < 0.5
        fake, keys = self.netG(real.flip(3) if self.flipped else real, self.taps)
        if self.taps and (self.flipped or not self.netG.per_image):  # then these are not the input's own features
            with torch.no_grad():
                keys = self.encode(real)
        self.keys = [k.detach() for k in keys]
        self.fake_B, self.idt_B = fake[: len(self.real_A)], fake[len(self.real_A) :]

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.fake_B)

    def generator_losses(self):
        """Equation 4: L_GAN(G, D) + lambda_X L_NCE(G, F, X) + lambda_Y L_NCE(G, F, Y); each lambda is half."""
        opt, B = self.opt, len(self.real_A)
        weight = opt.lambda_NCE * (0.5 if opt.nce_idt else 1.0)
        losses = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, self.fake_B)}
        if self.taps:
            losses["NCE"] = weight * self.nce(self.fake_B, [k[:B] for k in self.keys])
            if opt.nce_idt:
                losses["NCE_Y"] = weight * self.nce(self.idt_B, [k[B:] for k in self.keys])
        return losses

    def encode(self, image: torch.Tensor) -> list[torch.Tensor]:
        return self.netG(image, self.taps, encode_only=True)

    def nce(self, image: torch.Tensor, keys: Sequence[torch.Tensor]) -> torch.Tensor:
        """PatchNCE of an image (queries) against the features of its source (keys): the mean over layers."""
        opt, queries = self.opt, self.encode(image)
        if self.flipped:
            queries = [q.flip(3) for q in queries]
        ids = self.netF.sample_ids(queries, opt.num_patches)
        with torch.no_grad():
            vectors = self.netF(keys, ids)
        pairs = zip(self.netF(queries, ids), vectors, strict=True)
        return torch.stack(
            [patch_nce(q, k, opt.nce_T, opt.nce_includes_all_negatives_from_minibatch) for q, k in pairs]
        ).mean()
