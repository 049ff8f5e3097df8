"""F-LSeSim: a translation keeps, of each patch, how similar its surroundings are to it.

Zheng, Cham, Cai. The Spatially-Correlative Loss for Various Image Translation Tasks. CVPR 2021. FSeSim, the default,
looks through a frozen VGG-16, LSeSim (``--learned_attn``) through a head on it that learns to tell places apart; its
published figures are of ``--preset lsesim``, with --augment and windows of 32. VGG's weights are a file of
torchvision's; without one the features are those of a ``domain`` run, or of G's encoder, and figures are others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F

import networks
from evaluation.judges import judge_weights
from models.base_translation import TranslationModel, at_size_of
from models.losses import similarity_maps, spatial_contrast, spatial_loss
from networks.domain_encoder import encoder_of
from networks.frozen import Frozen
from networks.heads import random_places
from networks.lsesim_head import SimilarityHead
from networks.vgg import VGG16Features
from options import Exit, UserError, default, option
from util import distributed
from util.image_pool import ImagePool
from util.reading.weights import NETWORK, STATE, check_finite, read_tensors

LSESIM = dict(learned_attn=True, augment=True, patch_size=32)
JITTER = dict(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.3)
USUAL = {"vgg": (4, 7, 9), "domain": (1, 2, 3), "G": (8, 12, 16)}  # layers of what is looked through


class LSeSimModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        section = "F-LSeSim"
        shapes: ClassVar[tuple[str, ...]] = ("learned_attn", "attn_layers")
        preset: str = option("fsesim", "FSeSim, or LSeSim as published", presets={"fsesim": {}, "lsesim": LSESIM})
        vgg_weights: str | None = option(None, "file of torchvision's weights of vgg16, which FSeSim looks through")
        domain_run: str | None = option(None, "folder of a run of --model domain to look through in place of VGG-16")
        attn_layers: tuple[int, ...] = option(
            (),
            "what to look at: ReLUs of VGG-16 (none is 4,7,9), stages of a domain run (1,2,3), layers of G (8,12,16)",
            least=0,
        )
        lambda_GAN: float = option(1.0, "weight of the adversarial term", least=0)
        lambda_spatial: float = option(10.0, "weight of the distance between maps of similarity", least=0)
        lambda_identity: float = option(
            0.0, "weight of the distance between an image of B and its translation", least=0
        )
        loss_mode: Literal["cos", "l1"] = option("cos", "maps are compared by their cosine or by their differences")
        use_norm: bool = option(False, "maps of cosines in place of tanh of products")
        learned_attn: bool = option(False, "LSeSim: compare behind a head that learns to tell places apart")
        augment: bool = option(False, "LSeSim: the head learns from images in other colours too")
        patch_size: int = option(64, "side of the window around a place, in places; 0 is the whole map", least=0)
        patch_nums: int = option(256, "places per layer; 0 takes all", least=0)
        T: float = option(0.07, "LSeSim: temperature", above=0)
        lr: float = default(1e-4)

        def validate(self):
            if not self.is_train:
                return
            if self.vgg_weights and self.domain_run:
                raise UserError(f"--vgg_weights {self.vgg_weights} --domain_run {self.domain_run}: look through one")
            if self.augment and not self.learned_attn:
                raise UserError("--augment: colours are changed for LSeSim's head alone; give --learned_attn too")
            if self.patch_size == 1:
                raise UserError("--patch_size 1: a place would be compared with itself alone; give two or more, or 0")
            if self.learned_attn and not self.lambda_spatial:
                raise UserError("--learned_attn --lambda_spatial 0: nothing would be compared behind the head")
            if self.learned_attn and self.patch_nums == 1:
                raise UserError("--patch_nums 1: LSeSim tells places apart; give two or more")
            if self.lambda_identity > 0 and self.input_nc != self.output_nc:
                raise UserError(
                    f"--lambda_identity {self.lambda_identity} feeds side B to G; with --input_nc {self.input_nc} and "
                    f"--output_nc {self.output_nc} give --lambda_identity 0"
                )
            if not (self.lambda_GAN or self.lambda_spatial or self.lambda_L1):
                raise UserError("--lambda_GAN 0 --lambda_spatial 0: G would learn nothing; give one of them a weight")

    visual_names: tuple[str, ...] = ("real_A", "fake_B", "real_B")
    netG: Any
    netD: Any
    netF: Any

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = self.build_G(opt.input_nc, opt.output_nc)
        if not opt.is_train:
            return
        self.visual_names += ("idt_B",) if opt.lambda_identity > 0 else ()
        self.eyes = self.build_eyes()
        if opt.learned_attn:
            channels = [feature.shape[1] for feature in self.tried_out()]
            self.netF = networks.init_weights(SimilarityHead(channels), opt.init_type, opt.init_gain)
            self.add_optimizer("F", self.netF)
        self.netD = self.build_D(opt.output_nc)
        self.pool = ImagePool(opt.pool_size)
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", self.netG)

    # -- what is looked through ------------------------------------------------------------------

    def build_eyes(self):
        """A frozen network, or none for G's encoder; what it is is said once."""
        opt = self.opt
        flag = "vgg_weights" if opt.vgg_weights else "domain_run" if opt.domain_run else ""
        what = {"vgg_weights": "vgg", "domain_run": "domain", "": "G"}[flag]
        self.layers = opt.attn_layers or USUAL[what]
        if not flag:
            if opt.input_nc != opt.output_nc:
                raise UserError(
                    f"--input_nc {opt.input_nc} --output_nc {opt.output_nc}: G's encoder sees both sides where neither "
                    "--vgg_weights nor --domain_run is given; give one, or equal numbers"
                )
            self.shapes_at(self.netG, tuple(map(str, self.layers)), "--attn_layers")
            distributed.say_once(
                "F-LSeSim looks through G's encoder; its published figures are of VGG-16, see --vgg_weights"
            )
            return None
        told = getattr(opt, flag)
        if what == "vgg" and not Path(told).is_file():
            raise UserError(f"--{flag} {told}: no such file; give torchvision's weights of vgg16", Exit.CHECKPOINT)
        try:
            state = read_tensors(
                Path(told) if what == "vgg" else judge_weights(Path(told), model="domain"), STATE, NETWORK
            )
            network = VGG16Features(state, self.layers) if what == "vgg" else Stages(encoder_of(state), self.layers)
        except (ValueError, UserError) as error:
            code = error.code if isinstance(error, UserError) else Exit.CHECKPOINT
            raise UserError(f"--{flag} {told}: {error}", code) from None
        check_finite(state, f"--{flag} {told}")
        self.check_channels(f"--{flag} {told}", network.channels)
        return Frozen(network)

    def check_channels(self, eyes: str, channels: int):
        """Raises:
        UserError: images of a side have other channels than ``eyes`` takes, and are neither grey nor to be.
        """
        opt = self.opt
        if channels != 1 and not {opt.input_nc, opt.output_nc} <= {1, channels}:
            raise UserError(
                f"{eyes}: takes images of {channels} channels or of one, and here are --input_nc {opt.input_nc} "
                f"--output_nc {opt.output_nc}"
            )

    def seen(self, image):
        """Features (B, C_l, H_l, W_l) of an image at its own size."""
        if self.eyes is None:
            return self.netG(image, tuple(map(str, self.layers)), encode_only=True)
        return self.eyes(image)

    def tried_out(self):
        """What is seen of a small image."""
        opt = self.opt
        with torch.no_grad():
            return self.seen(torch.zeros(1, opt.input_nc, max(64, self.netG.stride), max(64, self.netG.stride)))

    # -- a step ----------------------------------------------------------------------------------

    def forward(self):
        opt = self.opt
        self.fake_B = self.netG(self.real_A) if opt.is_train else self.translate(self.netG, self.real_A)
        if not opt.is_train:
            return
        if opt.lambda_identity > 0:
            self.idt_B = self.netG(self.real_B)
        with torch.no_grad():
            self.seen_A = self.seen(self.real_A)  # for the head and for G

    def optimize_parameters(self):
        self.forward()
        if self.opt.learned_attn:
            self.update("F", self.head_losses)
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def head_losses(self):
        """Contrast of the source with the output and, with --augment, with itself in other colours."""
        A, B = self.real_A, self.real_B
        value = self.contrast(self.fake_B.detach(), B)
        if not self.opt.augment:
            return {"spatial": value}
        return {"spatial": (value + self.contrast(self.jittered("A", A), self.jittered("B", B))) / 2}

    def contrast(self, target, other):
        """Of A with its target, the mean over layers; the other image is turned by 180 degrees."""
        with torch.no_grad():
            seen = [self.seen(image) for image in (target, at_size_of(target, other).flip(2, 3))]
        maps = zip(*self.maps(self.seen_A, *seen), strict=True)
        return torch.stack([spatial_contrast(*layer, self.opt.T) for layer in maps]).mean()

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.pool.query(self.fake_B.detach()))

    def generator_losses(self):
        opt = self.opt
        losses = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, self.fake_B)}
        if opt.lambda_spatial > 0:
            maps = zip(*self.maps(self.seen_A, self.seen(self.fake_B)), strict=True)
            values = [spatial_loss(*layer, opt.loss_mode, opt.use_norm) for layer in maps]
            losses["G_s"] = opt.lambda_spatial * torch.stack(values).mean()
        if opt.lambda_identity > 0:
            losses["idt"] = opt.lambda_identity * F.l1_loss(self.idt_B.float(), self.real_B)
        return losses | self.supervised("L1", self.fake_B, self.real_B)

    def maps(self, *seen):
        """Of each image the maps of each layer, at places that all of them share."""
        opt = self.opt
        seen = tuple(self.netF(features) for features in seen) if opt.learned_attn else seen
        ids = self.places(min(seen, key=lambda features: features[0][0, 0].numel()))
        centred = [[x - x.mean((2, 3), keepdim=True) for x in features] for features in seen]
        return [
            [similarity_maps(x, rows, opt.patch_size, opt.use_norm) for x, rows in zip(features, ids, strict=True)]
            for features in centred
        ]

    def places(self, features):
        """At most --patch_nums places of each map."""
        return random_places(features, self.opt.patch_nums)

    def jittered(self, side, image):
        """Each image in colours of its own; of images with other channels than three, brightness and contrast."""
        from torchvision.transforms.v2 import ColorJitter  # it takes as long to import as torch

        jitter = ColorJitter(**(JITTER if image.shape[1] == 3 else {k: JITTER[k] for k in ("brightness", "contrast")}))
        return torch.stack([jitter((x + 1) / 2) for x in image]) * 2 - 1


class Stages(torch.nn.Module):
    """What the stages of a domain network put out, counted from 0, of images at their own size."""

    def __init__(self, encoder: Any, taps: tuple[int, ...]):
        super().__init__()
        self.stages, self.channels, self.taps = encoder.features, encoder.channels, taps
        ends = [i + 1 for i, layer in enumerate(self.stages[:-1]) if isinstance(self.stages[i + 1], torch.nn.Conv2d)]
        self.ends = [end - 1 for end in (*ends, len(self.stages))]
        if lacking := [tap for tap in taps if not 0 <= tap < len(self.ends)]:
            raise ValueError(f"the network has no stage {lacking[0]}; they count from 0 to {len(self.ends) - 1}")

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        if images.shape[1] != self.channels:
            images = images.mean(1, keepdim=True) if self.channels == 1 else images.expand(-1, self.channels, -1, -1)
        features, x = {}, images
        for i, layer in enumerate(self.stages):
            x = layer(x)
            if i in self.ends:
                features[self.ends.index(i)] = x
        return [features[tap] for tap in self.taps]
