"""CycleGAN: translate both ways, so that the way there and back again leads home.

Zhu, Park, Isola, Efros. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks. ICCV 2017.
netG_B is the paper's F. The defaults are those of DCLGAN's repository, whose loss is hinge where the paper's is lsgan.
"""

from dataclasses import dataclass

import torch.nn.functional as F

from models.base_two_sided import TwoSidedModel
from options import UserError, option


class CycleGANModel(TwoSidedModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TwoSidedModel.Options):
        section = "CycleGAN"
        lambda_A: float = option(10.0, "weight of the cycle A to B to A", least=0)
        lambda_B: float = option(10.0, "weight of the cycle B to A to B", least=0)
        lambda_identity: float = option(0.5, "weight of the identity terms, times lambda_A and lambda_B", least=0)

        def validate(self):
            if self.is_train and self.lambda_identity > 0 and self.input_nc != self.output_nc:
                raise UserError(
                    f"--lambda_identity {self.lambda_identity} feeds each side to the other generator; with --input_nc "
                    f"{self.input_nc} and --output_nc {self.output_nc} give --lambda_identity 0"
                )

    def __init__(self, opt):
        super().__init__(opt)
        self.netG_A = self.build_G(opt.input_nc, opt.output_nc)
        self.netG_B = self.build_G(opt.output_nc, opt.input_nc)
        identity = opt.is_train and opt.lambda_identity > 0
        self.visual_names = ("real_A", "fake_B", "rec_A", *(("idt_B",) if identity else ()))
        self.visual_names += ("real_B", "fake_A", "rec_B", *(("idt_A",) if identity else ()))
        if opt.is_train:
            self.add_optimizer(
                "G", self.netG_A, self.netG_B, betas=(opt.beta1, 0.999)
            )  # the published code fixes beta2
            self.build_discriminators()

    def forward(self):
        self.there_and_back()

    def optimize_parameters(self):
        self.forward()
        self.update("G", self.generator_losses)
        self.update("D", self.discriminator_losses)

    def generator_losses(self):
        """Equation 3 with the identity terms of section 5.2."""
        opt = self.opt
        losses = {
            "G_A": self.fool(self.netD_A, self.fake_B),
            "G_B": self.fool(self.netD_B, self.fake_A),
            "cycle_A": opt.lambda_A * F.l1_loss(self.rec_A, self.real_A),
            "cycle_B": opt.lambda_B * F.l1_loss(self.rec_B, self.real_B),
        }
        if opt.lambda_identity > 0:
            self.idt_A, self.idt_B = self.netG_A(self.real_B), self.netG_B(self.real_A)
            losses["idt_A"] = opt.lambda_identity * opt.lambda_B * F.l1_loss(self.idt_A, self.real_B)
            losses["idt_B"] = opt.lambda_identity * opt.lambda_A * F.l1_loss(self.idt_B, self.real_A)
        return losses | self.supervised_both()
