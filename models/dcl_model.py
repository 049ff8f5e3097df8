"""DCLGAN: PatchNCE in both directions, with an encoder and a head of its own for each domain.

Han, Shoeiby, Petersson, Armin. Dual Contrastive Learning for Unsupervised Image-to-Image Translation. NTIRE 2021.
Where the published code departs from the paper, the code is the default and ``--preset dcl-paper`` the paper: lr 1e-4
instead of 2e-4, a pool of 50 images instead of none, and heads that learn at lr instead of 1e-3 with (0.9, 0.999).
Both halve each term of equation 8. Negatives come from the whole batch, as published, whatever
``--nce_includes_all_negatives_from_minibatch`` says; ``--negatives internal`` takes those of the same image.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F

from models.base_contrastive import ContrastiveModel
from models.base_two_sided import TwoSidedModel
from options import UserError, default, option

PAPER = dict(lr=1e-4, pool_size=50, lr_F=None)


class DCLModel(ContrastiveModel, TwoSidedModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ContrastiveModel.Options, TwoSidedModel.Options):
        section = "DCLGAN"
        preset: str = option(
            "as-code", "settings of the published code or of the paper", presets={"as-code": {}, "dcl-paper": PAPER}
        )
        DCL_mode: str = option("DCL", "accepted in published commands; DCL is its only value", choices=("DCL",))
        flip_equivariance: bool = option(
            False,
            "accepted in published commands, where nothing reads it either",
            idle="it is an option of --model fastcut",
        )
        lambda_NCE: float = default(2.0)
        lambda_IDT: float = option(1.0, "weight of the identity terms", least=0)
        nce_idt: bool = option(True, "use the identity terms")
        nce_layers: tuple[str, ...] = default(("4", "8", "12", "16"))
        negatives: Literal["internal", "minibatch", "queue"] = default("minibatch")
        lr_F: float | None = option(
            1e-3, "learning rate of the heads with momenta 0.9, 0.999; none uses --lr, --beta1", least=0
        )

        def validate(self):
            if self.is_train and self.nce_idt and self.input_nc != self.output_nc:
                raise UserError(
                    f"--nce_idt feeds each side to the other generator; with --input_nc {self.input_nc} and "
                    f"--output_nc {self.output_nc} give --nce_idt false"
                )

    cosine = True
    keys_learn = False  # whether anything is trained through the keys, which PatchNCE itself does not do
    netF1: Any
    netF2: Any

    def __init__(self, opt):
        super().__init__(opt)
        third: dict[str, tuple[str, ...]] = {"A": ("rec_A",), "B": ("rec_B",)}
        if opt.is_train:
            third = {"A": ("idt_B",), "B": ("idt_A",)} if opt.nce_idt else {"A": (), "B": ()}
        self.visual_names = ("real_A", "fake_B", *third["A"], "real_B", "fake_A", *third["B"])
        self.netG_A = self.build_G(opt.input_nc, opt.output_nc)
        if opt.is_train:
            self.taps = opt.nce_layers if opt.lambda_NCE > 0 else ()
            self.netF1 = self.build_F(self.netG_A, opt.input_nc)
        self.netG_B = self.build_G(opt.output_nc, opt.input_nc)
        if opt.is_train:
            self.netF2 = self.build_F(self.netG_B, opt.output_nc)
            self.build_memory(NCE1=self.netF1, NCE2=self.netF2)
            self.build_discriminators()
            self.add_optimizer("G", self.netG_A, self.netG_B)
            self.add_heads()

    def add_heads(self):
        opt = self.opt
        own = {} if opt.lr_F is None else {"lr": opt.lr_F, "betas": (0.9, 0.999)}
        self.add_optimizer("G", self.netF1, self.netF2, **own)

    def forward(self):
        """fake_B = G_A(real_A) and fake_A = G_B(real_B); their passes' features are the keys."""
        if not self.opt.is_train:
            self.there_and_back()
            return
        self.fake_B, self.keys_A = self.netG_A(self.real_A, self.taps)
        self.fake_A, self.keys_B = self.netG_B(self.real_B, self.taps)
        if self.taps and not self.netG_A.per_image:
            with torch.set_grad_enabled(self.keys_learn):
                self.keys_A, self.keys_B = self.encode(self.netG_A, self.real_A), self.encode(self.netG_B, self.real_B)

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def generator_losses(self):
        """Equation 8, each term halved."""
        opt = self.opt
        losses = {
            "G_A": 0.5 * opt.lambda_GAN * self.fool(self.netD_A, self.fake_B),
            "G_B": 0.5 * opt.lambda_GAN * self.fool(self.netD_B, self.fake_A),
        }
        if self.taps:
            losses |= self.contrast()
        if opt.nce_idt:
            self.idt_A, self.idt_B = self.netG_A(self.real_B), self.netG_B(self.real_A)
            losses["idt_A"] = 0.5 * opt.lambda_IDT * F.l1_loss(self.idt_A, self.real_B)
            losses["idt_B"] = 0.5 * opt.lambda_IDT * F.l1_loss(self.idt_B, self.real_A)
        return losses | self.supervised_both()

    def contrast(self):
        """Equations 2 and 3. A fake is embedded by the encoder and the head of the domain it should belong to."""
        weight = 0.5 * self.opt.lambda_NCE
        queries_B, queries_A = self.encode(self.netG_B, self.fake_B), self.encode(self.netG_A, self.fake_A)
        return {
            "NCE1": weight * self.nce("NCE1", self.netF2, queries_B, self.netF1, self.keys_A)[0],
            "NCE2": weight * self.nce("NCE2", self.netF1, queries_A, self.netF2, self.keys_B)[0],
        }

    def nce(self, term, netF, queries, key_netF, keys):
        """PatchNCE; and the vectors of the queries and keys, (B, S_l, D) of each layer."""
        ids = netF.sample_ids(queries, self.opt.num_patches)
        with torch.set_grad_enabled(self.keys_learn):
            k = key_netF(keys, ids)
        q = netF(queries, ids)
        return self.patch_nce(term, q, k), q, k
