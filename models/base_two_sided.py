"""What methods that translate both ways share: G_A from A to B, G_B back, and a discriminator of each side.

D_A judges images of B, which G_A makes; D_B judges images of A.
"""

from dataclasses import dataclass
from typing import Any, Literal

from models.base_translation import TranslationModel
from models.losses import gan_loss
from options import default
from util.image_pool import ImagePool


class TwoSidedModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        gan_mode: str = default("hinge")
        save_epoch_freq: int = default(50)
        num_test: int | Literal["all"] = default(5000)

    family = "two-sided"
    ema_names = ("G_A", "G_B")
    other_way = {"G_A": "G_B", "G_B": "G_A"}
    visual_sides = {"real_B": "B", "fake_A": "B", "rec_B": "B", "idt_A": "B"}  # idt_A is G_A(real_B)
    netG_A: Any
    netG_B: Any
    fake_A: Any
    fake_B: Any
    pool_A: Any
    pool_B: Any
    netD_A: Any
    netD_B: Any

    def there_and_back(self):
        """Both translations, and each translated back: at any size outside training."""
        self.fake_B, self.fake_A = self.translate(self.netG_A, self.real_A), self.translate(self.netG_B, self.real_B)
        self.rec_A, self.rec_B = self.translate(self.netG_B, self.fake_B), self.translate(self.netG_A, self.fake_A)

    def supervised_both(self):
        """The supervised terms of both directions, if pairs are to be used."""
        terms = self.supervised("L1_A", self.fake_B, self.real_B)
        return terms | self.supervised("L1_B", self.fake_A, self.real_A)

    def build_discriminators(self):
        self.netD_A, self.netD_B = self.build_D(self.opt.output_nc), self.build_D(self.opt.input_nc)
        self.pool_B, self.pool_A = ImagePool(self.opt.pool_size), ImagePool(self.opt.pool_size)
        self.add_optimizer("D", self.netD_A, self.netD_B)

    def discriminator_losses(self):
        """Each side's mean of its term on reals and its term on fakes, old ones among them."""
        fake_B, fake_A = self.pool_B.query(self.fake_B.detach()), self.pool_A.query(self.fake_A.detach())
        return self.judge("D_A", self.netD_A, self.real_B, fake_B) | self.judge("D_B", self.netD_B, self.real_A, fake_A)

    def judge(self, name, netD, real, fake):
        mode, on_real, on_fake = self.opt.gan_mode, netD(real), netD(fake)
        self.watch(netD, on_real)
        terms = [gan_loss(on_real, True, mode, for_D=True), gan_loss(on_fake, False, mode, for_D=True)]
        return {name: 0.5 * sum(terms)} | self.penalties(name, netD, real, fake)
