"""NEGCUT: CUT whose negatives are made by a network that learns to be taken for the positive.

Wang, Zhou, Bao, Zhou, Li. Instance-wise Hard Negative Example Generation for Contrastive Learning in Unpaired
Image-to-Image Translation. ICCV 2021. netF_ follows the head netF slowly; its mean over an image, beside noise, is what
netN makes negatives of.

The published code differs in two points, which ``--negatives_learn`` and ``--diversity_of last`` bring back: the
negatives of G's step carry a gradient into its encoder, through netF_ and the image's mean, and of two pairs only the
last one's negatives are asked to differ. There netF_ begins with weights of its own, here as a copy of netF.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

import networks
from models.cut_model import FASTCUT, CUTModel
from models.losses import diversity, nce_against
from networks.momentum import follow, momentum_copy
from networks.negative_generator import NegativeGenerator
from options import UserError, option


class NEGCUTModel(CUTModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        section = "NEGCUT"
        shapes: ClassVar[tuple[str, ...]] = ("noise_N",)
        NEGCUT_mode: str = option(
            "NEGCUT", "FastNEGCUT: FastCUT's settings", presets={"NEGCUT": {}, "FastNEGCUT": FASTCUT}
        )
        lambda_MS_neg: float = option(1.0, "weight of how much the negatives of an image differ", least=0)
        momentum_F: float = option(0.9, "part of its weights that netF_ keeps in a step", least=0, below=1)
        noise_N: int = option(64, "numbers of the noise that negatives are made of", least=1)
        mean_places: int = option(0, "places that an image's mean is over, drawn anew; 0 is all of them", least=0)
        negatives_learn: bool = option(False, "let a gradient into G through the negatives, as the published code does")
        diversity_of: Literal["both", "last"] = option(
            "both", "negatives that are to differ: of both pairs, or of the identity pair alone as published"
        )
        own_image = True

        def validate(self):
            if self.is_train and not self.lambda_NCE:
                raise UserError("--lambda_NCE 0: NEGCUT's negatives are for PatchNCE; take --model cut without it")
            if self.is_train and not self.num_patches:
                raise UserError("--num_patches 0: it is the number of negatives too; give one, such as 256")
            if self.is_train and self.netF in ("reshape", "strided_conv"):
                raise UserError(f"--netF {self.netF}: has no vector for every place; choose mlp_sample or sample")

    netF_: Any
    netN: Any

    def __init__(self, opt):
        super().__init__(opt)
        if opt.is_train:
            self.keys_learn = opt.negatives_learn
            self.netF_ = momentum_copy(self.netF)
            generator = NegativeGenerator(self.netF.dims, opt.noise_N)
            self.netN = networks.init_weights(generator, opt.init_type, opt.init_gain)
            self.add_optimizer("N", self.netN)

    def optimize_parameters(self):
        self.forward()
        self.update("D", self.discriminator_losses)
        self.update("N", self.negative_losses)
        self.update("G", self.generator_losses)
        if self.has_stepped("G"):
            follow(self.netF_, self.netF, self.opt.momentum_F)

    @property
    def pairs_compared(self):
        """Term, the image that G made, and the features of its source."""
        pairs = {"NCE": (self.fake_B, self.keys_A)}
        return pairs | ({"NCE_Y": (self.idt_B, self.keys_B)} if self.opt.nce_idt else {})

    def negative_losses(self):
        """N's part: the contrast, which it makes as hard as it can, and the differences between its vectors."""
        opt, terms, differences = self.opt, {}, []
        weight = opt.lambda_NCE * (0.5 if opt.nce_idt else 1.0)
        for term, (image, keys) in self.pairs_compared.items():
            with torch.no_grad():
                queries = self.queries_of(image)
                q, k = self.vectors(queries, keys, self.choose(queries, keys))
                means = self.means(keys)
            value, negatives = self.against((q, k), means)
            terms[f"N_{term}"] = -weight * value
            differences.append(torch.stack([diversity(n) for n in negatives]).mean())
        kept = differences if opt.diversity_of == "both" else differences[-1:]
        return terms | {"N_diversity": -opt.lambda_MS_neg * torch.stack(kept).mean()}

    def nce(self, term, image, keys):
        queries = self.queries_of(image)
        vectors = self.vectors(queries, keys, self.choose(queries, keys))
        with torch.set_grad_enabled(self.keys_learn):
            means = self.means(keys)
        return self.against(vectors, means)[0]

    def means(self, keys):
        """The mean of an image's vectors by netF_, (B, D) of each layer: shorter than 1."""
        return [vectors.mean(1) for vectors in self.netF_(keys, self.netF_.sample_ids(keys, self.opt.mean_places))]

    def against(self, vectors, means):
        """The contrast of queries and keys, the mean over layers, and the negatives (B, M, D) of each layer."""
        opt = self.opt
        noise = [self.draw(layer, len(mean), opt.num_patches, opt.noise_N) for layer, mean in enumerate(means)]
        negatives = self.netN(means, noise)
        values = [nce_against(q, k, n, opt.nce_T) for q, k, n in zip(*vectors, negatives, strict=True)]
        return torch.stack(values).mean(), negatives

    def draw(self, layer, *shape):
        """Noise of a layer."""
        return torch.randn(shape, device=self.real_A.device)
