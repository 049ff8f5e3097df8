"""zi2zi: draw a character in many styles from its shape in one font, with contrastive learning of content and style.

Tian, "zi2zi: Master Chinese Calligraphy with Conditional Adversarial Networks" (2017), after pix2pix (Isola et al.,
CVPR 2017), AC-GAN (Odena et al., ICML 2017) and the constancy of DTN (Taigman et al., ICLR 2017). ``--preset zi2zi``
is that; ``zi2zi-pytorch`` the variant with residual skips and pixel shuffle that is in use. The default is smaller,
has norms of each style, and learns from deformed glyphs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F

import networks
from models.base_adversarial import AdversarialModel
from models.fonts import results as font_results
from models.fonts.checks import check_data, check_terms
from models.fonts.pairs import PairsOfBatch
from models.fonts.presets import BRANCHES, FORK, ZI2ZI
from models.fonts.results import TASKS, Pen, StyleTestOptions
from models.fonts.tuning import give_numbers, set_modes, trained_parts
from models.losses import balance, contrast_pairs, dice_loss, gan_loss, total_variation
from networks.warp import affine_maps, random_warp, splice, warp
from networks.zi2zi import GlyphDiscriminator, GlyphExtractor, StyleUnet
from options import UserError, default, option

AFFINE = dict(scale=0.12, rotate=4.0, shear=0.06, shift=0.04)  # deformations of --augment 1, see networks/warp.py


class Zi2ziModel(AdversarialModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options):
        section = "zi2zi"
        shapes: ClassVar[tuple[str, ...]] = (
            *["ngf", "widest", "bottom", "kernel", "normG", "skip"],
            *["up", "self_attention", "blocks", "norm_code", "embedding_num", "embedding_dim", "netD"],
        )
        preset: str = option(
            "diptych",
            "architecture and settings: this toolkit's, Tian's, or those of zi2zi-pytorch with residual skips",
            presets={"diptych": {}, "zi2zi": ZI2ZI, "zi2zi-pytorch": FORK},
        )
        ngf: int = option(32, "channels of the generator's first level", least=1)
        widest: int = option(128, "channels double from level to level up to this many", least=1)
        bottom: int = option(1, "height and width of the code at the bottom of the U, in pixels", least=1)
        kernel: Literal[4, 5] = option(4, "size of the strided convolutions")
        normG: Literal["style", "batch", "instance", "none"] = option(
            "style", "normalisation in the generator; style is batch norm with a scale and a shift of each style"
        )
        skip: Literal["concat", "add"] = option("concat", "how the way down joins the way up")
        up: Literal["deconv", "shuffle"] = option("deconv", "how the way up doubles: transposed, or pixel shuffle")
        self_attention: bool = option(False, "self-attention at an eighth and a sixteenth of the size")
        blocks: int = option(1, "residual blocks at a quarter and an eighth of the size", least=0)
        dropout: float = option(0.0, "dropout in the first levels of the way up", least=0, below=1)
        norm_code: bool = option(False, "normalise the code at the bottom too")
        embedding_num: int = option(40, "rows of the table of styles; fonts added later take free ones", least=1)
        embedding_dim: int = option(128, "numbers that describe a style", least=1)
        style_std: float = option(1.0, "standard deviation of the table of styles at the start", least=0)
        fixed_styles: bool = option(False, "never train the table of styles")
        netD: Literal["patch", "narrow", "whole"] = option(
            "patch", "discriminator: a logit for each patch, or one for the glyph, from one channel or from all"
        )
        lambda_L1: float = option(100.0, "weight of the distance to the true glyph", least=0)
        lambda_dice: float = option(10.0, "weight of the ink that generated and true glyph do not share", least=0)
        lambda_const: float = option(0.0, "weight of constancy: the generated code is its source's", least=0)
        lambda_align: float = option(
            0.0, "weight of the distance of the true glyph's code to its source's; generates nothing better", least=0
        )
        lambda_GAN: float = option(1.0, "weight of the adversarial loss", least=0)
        GAN_from: float = option(
            0.7, "part of the run after which the discriminator joins; before, what it costs is saved", least=0, most=1
        )
        balance_GAN: bool = option(False, "weigh the adversarial loss by how well the discriminator does, in steps")
        lambda_category: float = option(1.0, "weight of the style that D sees in a generated glyph", least=0)
        lambda_category_D: float = option(1.0, "weight of that term in D's own loss", least=0)
        category: Literal["ce", "bce"] = option("ce", "style as one of many, or as that many yes and no, as published")
        lambda_tv: float = option(0.0, "weight of the total variation of generated glyphs", least=0)
        label_shuffling: bool = option(False, "also generate each character in the style of another of the batch")
        g_steps: int = option(1, "steps of the generator for one of the discriminator", least=1)
        contrastive: str = option("none", "contrastive loss of both branches, content and style", presets=BRANCHES)
        contrastive_content: Literal["none", "ntxent", "supcon", "margin"] = option(
            "none", "the same character is near, in whatever style; others are far"
        )
        contrastive_style: Literal["none", "ntxent", "supcon", "margin"] = option(
            "none", "other characters of the same style are near; other styles are far, of the same character too"
        )
        lambda_content: float = option(1.0, "weight of the content branch for the generator", least=0)
        lambda_style: float = option(1.0, "weight of the style branch for the generator", least=0)
        tau: float = option(0.1, "temperature of ntxent and supcon", above=0)
        margin: float = option(0.5, "margin: distance of unit vectors that negatives must keep", above=0)
        augment: float = option(1.1, "strength of the affine deformation of a character in all its styles", least=0)
        elastic: float = option(1.2, "elastic deformation, standard deviation in 64ths of the size", least=0)
        splice: float = option(
            0.15, "part of the steps in which characters are cut in two and joined to others", least=0, most=1
        )
        tune: Literal["all", "decoder", "norms", "embedding"] = option(
            "all", "train all of the generator, or only its way up, its numbers of each style, or the table of styles"
        )
        freeze_encoder: bool = option(
            False, "leave the generator's way down as it is", presets={False: {}, True: {"tune": "decoder"}}
        )
        dataset_mode: str = default("font")
        paired: bool = default(True)
        styles_per_batch: int = default(4)
        batch_size: int = default(32)
        input_nc: int = default(1)
        output_nc: int = default(1)
        normD: Literal["instance", "batch", "none"] = default("none")
        sn_D: bool = default(True)
        ndf: int = default(32)
        init_type: Literal["normal", "xavier", "kaiming", "orthogonal"] = default("kaiming")
        gan_mode: str = default("hinge_paper")
        optimizer: str = default("adamw")
        weight_decay: float = default(1e-2)
        lr: float = default(1.5e-3)
        lr_D: float | None = default(4e-4)
        lr_policy: str = default("cosine")
        ema_decay: float = default(0.999)
        n_epochs: int = default(140)
        n_epochs_decay: int = default(0)
        eval: bool = default(True)

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(StyleTestOptions, Options):
        num_test: int | Literal["all"] = default("all")
        metrics: tuple[str, ...] = default(("ink_l1", "l1", "ssim", "iou", "ink", "shift", "chamfer"))

    family = "sees pairs"
    tasks = TASKS
    real_B: Any  # (B, C, H, W) in [-1, 1]
    visual_names: tuple[str, ...] = ("real_A", "fake_B", "real_B")
    visual_sides = {"real_B": "B"}
    ema_names = ("G",)

    def __init__(self, opt):
        super().__init__(opt)
        try:
            self.netG = StyleUnet(
                opt.input_nc,
                opt.output_nc,
                opt.crop_size,
                ngf=opt.ngf,
                widest=opt.widest,
                bottom=opt.bottom,
                kernel=opt.kernel,
                norm=opt.normG,
                skip=opt.skip,
                up=opt.up,
                self_attention=opt.self_attention,
                blocks=opt.blocks,
                dropout=opt.dropout,
                norm_code=opt.norm_code,
                styles=opt.embedding_num,
                style_dim=opt.embedding_dim,
                style_std=opt.style_std,
                fixed_styles=opt.fixed_styles,
            )
        except ValueError as error:
            raise UserError(f"--crop_size {opt.crop_size}: {error}") from None
        networks.init_weights(self.netG, opt.init_type, opt.init_gain)
        self.netG.start_grey()
        if not opt.is_train:
            self.visual_names += ("difference",)
            return
        check_terms(opt)
        set_modes(self.netG, opt.tune)
        shape = opt.input_nc + opt.output_nc, opt.crop_size, opt.ndf
        self.netD = self.finish_D(GlyphDiscriminator(*shape, opt.netD, opt.normD, opt.embedding_num))
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", *trained_parts(self.netG, opt.tune))
        if opt.contrastive_content != "none" or opt.contrastive_style != "none":
            self.netF = GlyphExtractor(opt.output_nc)
            self.add_optimizer("F", self.netF, lr=opt.lr_D)

    def see_data(self, dataset):
        check_data(self.opt, dataset)
        self.P = dataset.styles_in_batch
        if hasattr(self, "netF"):
            branches = tuple(b for b in ("content", "style") if getattr(self.opt, f"contrastive_{b}") != "none")
            dataset.add_to_batch = self.pairs_of_batch = PairsOfBatch(branches, self.P)

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """A and B are (B, C, H, W) in [-1, 1], label and character int64 (B,); P neighbours share their character."""
        self.real_A, self.real_B, self.label = batch["A"], batch.get("B"), batch["label"]
        self.character = batch["character"]
        self.image_paths = {side: list(batch[f"{side}_paths"]) for side in "AB" if f"{side}_paths" in batch}
        self.source = self.real_A[:: self.P] if self.opt.is_train else self.real_A  # each character once
        if self.opt.is_train:
            self.deform()
        if hasattr(self, "netF"):
            self.pairs = self.pairs_of_batch.read(batch)

    def deform(self) -> None:
        """Deform every character, in the source font and in all its styles alike."""
        opt, P = self.opt, self.P
        if opt.augment == opt.elastic == opt.splice == 0:
            return
        K, C, H, W = self.source.shape
        together = torch.cat([self.source, self.real_B.reshape(K, -1, H, W)], 1)
        affine = {name: strength * opt.augment for name, strength in AFFINE.items()}
        together = random_warp(together, **affine, elastic=opt.elastic * W / 64)
        if torch.rand(()) < opt.splice:  # of the CPU, so that no device is waited for
            together = splice(together)
        self.source = self.engine.place(together[:, :C].contiguous())
        self.real_B = self.engine.place(together[:, C:].reshape(self.real_B.shape))
        self.real_A = self.source.repeat_interleave(P, 0)

    def forward(self):
        if not self.opt.is_train:
            self.fake_B = self.draw(self.source, self.label)
            self.difference = self.real_B  # None where there is no true glyph
            if self.real_B is not None:  # red is ink too much, blue ink that is missing
                both = torch.minimum(self.real_B, self.fake_B)
                self.difference = torch.cat([i[:, :1] for i in (self.real_B, both, self.fake_B)], 1)
            return
        self.fake_B, self.code = self.netG(self.source, self.label)
        self.fakes = [(self.fake_B, self.label)]
        if self.opt.label_shuffling:
            shuffled = self.label[torch.randperm(len(self.label), device=self.label.device)]
            self.fakes.append((self.netG(self.source, shuffled)[0], shuffled))

    def draw(self, source: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """Glyphs (B, C, H, W) in float32, the mean of ``--views``: where these disagree, a stroke was uncertain.

        The first view is the source as it is; others are deformed as in training, without elasticity, and back. They
        are the same for every glyph and every test.
        """
        if self.opt.views == 1:
            return self.netG(source, style)[0].float()
        draws = torch.rand(self.opt.views, 6, generator=torch.Generator().manual_seed(0))
        draws[0] = 0.5
        total: Any = 0
        for matrix in affine_maps(draws, **AFFINE).to(source.device):
            seen = self.engine.place(warp(source, matrix).to(source.dtype))
            total = total + warp(self.netG(seen, style)[0], torch.linalg.inv(matrix))
        return total / self.opt.views

    @property
    def adversarial(self) -> bool:
        """Whether the discriminator takes part now."""
        opt = self.opt
        wanted = opt.lambda_GAN > 0 or opt.lambda_category > 0
        return wanted and self.engine.has_passed(opt.GAN_from)

    def optimize_parameters(self):
        opt = self.opt
        self.forward()
        if self.adversarial:
            self.update("D", self.discriminator_losses)
        if hasattr(self, "netF"):
            self.update("F", self.extractor_losses)
            with torch.no_grad():
                self.keys = self.netF(torch.cat([self.source, self.real_B]))
        for step in range(opt.g_steps):
            if step:
                self.forward()
            self.update("G", self.generator_losses)

    def judge(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """D's logits and its guess of the style, for the source beside an image."""
        return self.netD(torch.cat([self.real_A, image], 1))

    def style_error(self, guess: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        guess = guess.float()
        if self.opt.category == "ce":
            return F.cross_entropy(guess, label)
        return F.binary_cross_entropy_with_logits(guess, F.one_hot(label, guess.shape[1]).float())

    def discriminator_losses(self):
        opt, mode = self.opt, self.opt.gan_mode
        real, guess = self.judge(self.real_B)
        guesses = [self.style_error(guess, self.label)]
        fooled = []
        for fake, label in self.fakes:
            logits, guess = self.judge(fake.detach())
            fooled.append(gan_loss(logits, False, mode, for_D=True))
            guesses.append(self.style_error(guess, label))
        losses = {
            "D_real": 0.5 * gan_loss(real, True, mode, for_D=True),
            "D_fake": 0.5 * torch.stack(fooled).sum(),
            "D_category": opt.lambda_category_D * torch.stack(guesses).mean(),
        }
        if opt.balance_GAN:
            self.weight_GAN = opt.lambda_GAN * balance(torch.stack([v.detach() for v in losses.values()]).sum())
        pair = lambda image: self.netD.forward(torch.cat([self.real_A.to(image.dtype), image], 1))[0]  # noqa: E731
        return losses | self.penalties("D", self.netD, self.real_B, self.fake_B.detach(), pair)

    def generator_losses(self):
        opt = self.opt
        losses = {"L1": opt.lambda_L1 * F.l1_loss(self.fake_B.float(), self.real_B)}
        if opt.lambda_dice > 0:
            losses["dice"] = opt.lambda_dice * dice_loss(self.fake_B, self.real_B)
        if self.adversarial:
            judged = [(self.judge(fake), label) for fake, label in self.fakes]
            fooling = [gan_loss(logits, True, opt.gan_mode, for_D=False) for (logits, _), _ in judged]
            category = [self.style_error(guess, label) for (_, guess), label in judged]
            weight = self.weight_GAN if opt.balance_GAN else opt.lambda_GAN
            losses["G_GAN"] = weight * torch.stack(fooling).mean()
            losses["category"] = opt.lambda_category * torch.stack(category).mean()
        code = self.code.float()
        if opt.lambda_const > 0:
            far = [F.mse_loss(self.netG(fake).float(), code.repeat_interleave(self.P, 0)) for fake, _ in self.fakes]
            losses["const"] = opt.lambda_const * torch.stack(far).mean()
        if opt.lambda_align > 0:
            true_code = self.netG(self.real_B).float()
            losses["align"] = opt.lambda_align * F.l1_loss(true_code, code.repeat_interleave(self.P, 0))
        if opt.lambda_tv > 0:
            losses["tv"] = opt.lambda_tv * total_variation(self.fake_B)
        if hasattr(self, "netF"):
            content, style = self.netF(self.fake_B)
            losses |= self.contrasts(content, style, self.keys)
        return losses

    # -- contrastive learning: the extractor learns on real glyphs, the generator through it as it stands ------------

    def extractor_losses(self):
        content, style = self.netF(torch.cat([self.source, self.real_B]))
        return {f"{name}_F": value for name, value in self.contrasts(content, style).items()}

    def contrasts(self, content, style, keys=None):
        """Both branches. ``keys`` are those of (source, real_B); without them the vectors are their own keys."""
        opt, losses, who = self.opt, {}, "G" if keys else "F"
        for branch, vectors, kind, weight in (
            ("content", content, opt.contrastive_content, opt.lambda_content),
            ("style", style, opt.contrastive_style, opt.lambda_style),
        ):
            if kind != "none":
                pairs, key = self.pairs[branch, who], keys and keys[branch == "style"]
                value = contrast_pairs(vectors, pairs, kind, key, tau=opt.tau, margin=opt.margin)
                losses[branch] = (weight if keys else 1.0) * value
        return losses

    # -- what a test can make instead of the page of held-out characters ---------------------------------------------

    def write_text(self, dataset, engine, folder):
        font_results.write_text(Pen(self, dataset, engine), self.opt.text, folder / "text")

    def write_blend(self, dataset, engine, folder):
        font_results.write_blend(Pen(self, dataset, engine), folder / "blend")

    def write_font(self, dataset, engine, folder):
        font_results.write_font(Pen(self, dataset, engine), folder)

    # -- a run that goes on from another one's weights ---------------------------------------------------------------

    def start_from(self, dataset, engine):
        give_numbers(self.netG, dataset, engine)
        set_modes(self.netG, self.opt.tune)
