"""EnCo: the features on G's way up predict those on its way down, and the discriminator says where to look.

Cai, Zhu, Miao, Fu, Yao. Rethinking the Paradigm of Content Constraints in Unpaired Image-to-Image Translation. AAAI
2024. The output is never encoded again: one pass of G is all. The distance is SimSiam's, which the published log calls
BYOL. As published, it counts half while there is an identity term and whole once that ends.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F

import networks
from models.base_contrastive import ContrastiveModel
from networks.enco_head import PairHead
from options import UserError, default, option

CITYSCAPES = dict(n_epochs=100, n_epochs_decay=100, warmup_epochs=20)


class EnCoModel(ContrastiveModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ContrastiveModel.Options):
        section = "EnCo"
        preset: str = option("enco", "published settings by data", presets={"enco": {}, "enco-cityscapes": CITYSCAPES})
        nce_layers: tuple[str, ...] = option(
            (),
            "layers on G's way down, then as many on its way up, paired from the outside in; a ResNet has a default",
        )
        netF: str = option("mlp_sample_with_DAG", "EnCo's head, its only value", choices=("mlp_sample_with_DAG",))
        num_patches: int = option(256, "places compared per pair of layers; 0 compares as many as there are", least=0)
        nce_idt: bool = option(True, "also ask G to leave images of B as they are, until --stop_idt_epochs")
        lambda_NCE: float = option(2.0, "weight of the distance between predictions and features", least=0)
        lambda_IDT: float = option(10.0, "weight of the distance between an image of B and its translation", least=0)
        stop_idt_epochs: int | None = option(None, "the last epoch with an identity term; none is --n_epochs", least=0)
        oversample_ratio: int = option(
            4, "draw so many times the places and keep those that D is surest are made", least=1
        )
        random_ratio: float = option(0.5, "part of the places that are random instead", least=0, most=1)
        lr: float = default(5e-5)
        lr_D: float | None = default(2e-4)
        lr_G: float | None = option(None, "learning rate of the generator; none is --lr", least=0)
        lr_F: float | None = option(None, "learning rate of the head; none is --lr", least=0)
        has_negatives = False
        flip_equivariance: bool = option(
            False,
            "accepted for commands that say it",
            idle="images are mirrored at random, each side by itself, unless --no_flip says otherwise",
        )
        negatives: Literal["internal"] = option("internal", "EnCo has no negatives; accepted for commands that say it")
        nce_includes_all_negatives_from_minibatch: bool = option(
            False, "accepted for commands that say it", idle="EnCo has no negatives"
        )
        pool_size: int = option(
            0, "accepted for commands that say it", least=0, idle="D sees the fakes of its step alone"
        )
        nce_T: float = option(0.07, "accepted for commands that say it", above=0, idle="EnCo has no temperature")

        def validate(self):
            if not self.is_train:
                return
            if self.netF_nc < 2:
                raise UserError(f"--netF_nc {self.netF_nc}: the head narrows vectors to half of it; give two or more")
            if self.num_patches == 1:
                raise UserError("--num_patches 1: the head has batch norms, which take two places or more")
            if self.nce_idt and self.input_nc != self.output_nc:
                raise UserError(
                    f"--nce_idt feeds side B to G; with --input_nc {self.input_nc} and --output_nc {self.output_nc} "
                    "give --nce_idt false"
                )
            if not (self.lambda_GAN or self.lambda_NCE or self.lambda_L1):
                raise UserError("--lambda_GAN 0 --lambda_NCE 0: G would learn nothing; give one of them a weight")

    netF: Any
    netD: Any
    netG: Any

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = self.build_G(opt.input_nc, opt.output_nc)
        self.visual_names = ("real_A", "fake_B", "real_B")
        if opt.is_train:
            self.taps = self.layers_to_pair() if opt.lambda_NCE > 0 else ()
            self.netF = self.build_pairs()
            self.netD = self.build_D(opt.output_nc)
            if self.taps and hasattr(self.netD, "size"):
                raise UserError(
                    f"--netD {opt.netD}: judges an image as a whole, and EnCo looks at the places that D says; take "
                    "--netD basic, n_layers, multiscale or pixel"
                )
            self.add_optimizer("D", self.netD)
            self.add_optimizer("G", self.netG, lr=opt.lr_G)
            self.add_optimizer("G", self.netF, lr=opt.lr_F)

    def layers_to_pair(self):
        if self.opt.nce_layers:
            return self.opt.nce_layers
        if not hasattr(self.netG, "mirrored_taps"):
            raise UserError(
                f"--netG {self.opt.netG}: name by --nce_layers which of its layers are paired, as many on the way down "
                "as after them on the way up"
            )
        return tuple(map(str, self.netG.mirrored_taps()))

    def build_pairs(self):
        """The head for taps that are to be paired from the outside in."""
        opt, shapes = self.opt, self.shapes_at(self.netG, self.taps, "--nce_layers")
        if shapes != shapes[::-1]:
            pairs = zip(self.taps, self.taps[::-1], shapes, shapes[::-1], strict=True)
            told = next(f"{a} and {b} have {tuple(x)} and {tuple(y)} numbers" for a, b, x, y in pairs if x != y)
            raise UserError(
                f"--nce_layers {','.join(self.taps)}: the first is paired with the last and so on, and {told} (of an "
                "image of 64 pixels); name layers of equal size"
            )
        head = PairHead([shape[0] for shape in shapes[: len(shapes) // 2]], opt.netF_nc)
        return networks.init_weights(head, opt.init_type, opt.init_gain)

    @property
    def with_identity(self):
        opt = self.opt
        last = opt.n_epochs if opt.stop_idt_epochs is None else opt.stop_idt_epochs
        return opt.nce_idt and self.part_done <= last / opt.total_epochs

    def forward(self):
        if not self.opt.is_train:
            self.fake_B = self.translate(self.netG, self.real_A)
            return
        images, B = [self.real_A], len(self.real_A)
        if self.with_identity and self.real_A.shape == self.real_B.shape:
            images.append(self.real_B)
        made, features = self.netG(torch.cat(images), self.taps)
        self.fake_B, self.features = made[:B], [feature[:B] for feature in features]
        if self.with_identity:
            self.idt_B = made[B:] if len(images) > 1 else self.netG(self.real_B)

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("G", self.generator_losses)

    def discriminator_losses(self):
        return self.real_or_fake(self.netD, self.real_B, self.fake_B)

    def generator_losses(self):
        opt, logits = self.opt, self.netD(self.fake_B)
        losses = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, self.fake_B, lambda image: logits)}
        part = 0.5 if self.with_identity else 1.0
        if self.taps:
            losses["distance"] = part * opt.lambda_NCE * self.distance(self.in_place(logits))
        if self.with_identity:
            losses["idt"] = part * opt.lambda_IDT * F.l1_loss(self.idt_B.float(), self.real_B)
        return losses | self.supervised("L1", self.fake_B, self.real_B)

    def in_place(self, logits):
        """D's logits of the output as it stands: with --augment_D they are of one that is moved or cut."""
        if not self.augmentations:
            return logits
        with torch.no_grad():
            return self.netD.forward(self.fake_B)

    def distance(self, logits):
        """2 - 2 cos of queries and keys, the mean over places and pairs: 0 to 4, and 2 where they are unrelated."""
        half = len(self.features) // 2
        encoder, decoder = self.features[:half], self.features[half:][::-1]
        logits = (logits if isinstance(logits, torch.Tensor) else logits[0]).detach()
        ids = [self.places(pair, feature, logits) for pair, feature in enumerate(encoder)]
        pairs = zip(*self.netF(decoder, encoder, ids), strict=True)
        return torch.stack([(2 - 2 * (q * k).sum(2)).mean() for q, k in pairs]).mean()

    def places(self, pair, feature, logits):
        """(B, S) for each image: of places drawn at random those that D is surest are made, and some at random."""
        opt, (H, W) = self.opt, feature.shape[2:]
        S = min(opt.num_patches or H * W, H * W)
        random = int(opt.random_ratio * S)
        drawn, more = self.draw(pair, len(feature), H * W, opt.oversample_ratio * S, random)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        answers = F.interpolate(logits, (H, W), mode="bilinear").mean(1).flatten(1)
        order = answers.gather(1, drawn).argsort(dim=1, stable=True)
        return torch.cat([drawn.gather(1, order[:, : S - random]), more], 1)

    def draw(self, pair, images, places, count, random):
        """For each image ``count`` of its places and ``random`` others, each drawn without repetition."""
        device = self.real_A.device
        both = [torch.rand(images, places, device=device).argsort(1) for _ in range(2)]
        return both[0][:, :count], both[1][:, places - random :]
