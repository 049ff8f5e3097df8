"""A method to copy: regress B from A, with a small discriminator that keeps the result sharp.

Copy this file to models/<name>_model.py, or to a folder of your own for --plugin_dir, rename the class to
<Name>Model, and run  python train.py --model <name> --dataset_mode template --dataroot <folder of images>.
A tour of what each part does: docs/new_method.md.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from models.base_translation import TranslationModel
from options import default, option


class TemplateModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        section = "template"
        shapes: ClassVar[tuple[str, ...]] = ("width",)
        width: int = option(16, "channels of the hidden layers", least=1)
        lambda_L1: float = option(10.0, "weight of |G(A) - B|", least=0)
        dataset_mode: str = default("template")

    visual_names = ("real_A", "fake_B", "real_B")

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = nn.Sequential(
            nn.Conv2d(opt.input_nc, opt.width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(opt.width, opt.width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(opt.width, opt.output_nc, 5, padding=2),
            nn.Tanh(),
        )
        if opt.is_train:
            self.netD = self.build_D(opt.output_nc)
            self.add_optimizer("D", self.netD)
            self.add_optimizer("G", self.netG)

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.fake_B)

    def generator_losses(self):
        return {"G_GAN": self.fool(self.netD, self.fake_B)} | self.supervised("L1", self.fake_B, self.real_B)
