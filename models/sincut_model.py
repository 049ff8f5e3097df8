"""SinCUT: one picture in the style of one other, learnt from crops of the two (Park et al., 2020, section 4.3)."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F

from models.cut_model import CUTModel
from models.losses import r1_penalty
from options import default, option


class SinCUTModel(CUTModel):
    """With ``--num_patches 1``, as by default, a crop is told from the other crops of the batch at one place each."""

    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        section = "SinCUT"
        lambda_R1: float = option(
            1.0, "weight of the gradient penalty of D on real crops, R1; half of it counts", least=0
        )
        lambda_identity: float = option(1.0, "weight of the distance between a crop of B and its translation", least=0)
        dataset_mode: str = default("singleimage")
        load_size: int = default(1024)
        crop_size: int = default(64)
        batch_size: int = default(16, testing=1)
        num_test: int = default(1)
        netG: str = default("stylegan2")
        netD: str = default("stylegan2")
        ngf: int = default(10)
        ndf: int = default(8)
        gan_mode: str = default("nonsaturating")
        negatives: Literal["internal", "minibatch", "queue"] = default("minibatch")
        num_patches: int = default(1)
        nce_layers: tuple[str, ...] = default(("0", "2", "4"))
        lambda_NCE: float = default(4.0)
        lr: float = default(0.002)
        beta1: float = default(0.0)
        beta2: float = default(0.99)
        n_epochs: int = default(8)
        n_epochs_decay: int = default(8)
        save_epoch_freq: int = default(1)
        save_latest_freq: int = default(20000)

    def __init__(self, opt):
        super().__init__(opt)
        if opt.is_train and opt.lambda_identity > 0 and not opt.nce_idt:
            self.visual_names += ("idt_B",)

    def forward(self):
        super().forward()
        opt = self.opt
        if opt.is_train and opt.lambda_identity > 0 and not opt.nce_idt:
            self.idt_B = self.netG(self.real_B.flip(3) if self.flipped else self.real_B)

    def discriminator_losses(self):
        opt, losses = self.opt, super().discriminator_losses()
        if opt.lambda_R1 > 0:  # .forward, for a compiled network cannot be differentiated twice
            losses["D_R1"] = 0.5 * opt.lambda_R1 * r1_penalty(self.real_B, self.netD.forward)
        return losses

    def generator_losses(self):
        opt, losses = self.opt, super().generator_losses()
        if opt.lambda_identity > 0:
            idt_B = self.idt_B.flip(3) if self.flipped else self.idt_B
            losses["idt"] = opt.lambda_identity * F.l1_loss(idt_B.float(), self.real_B)
        return losses
