"""Hneg-SRC: CUT with the relations between patches (SRC) and a decoupled contrast of hard negatives (hDCE).

Jung, Kwon, Ye. Exploring Patch-wise Semantic Relation for Contrastive Learning in Image-to-Image Translation Tasks.
CVPR 2022. The defaults are the published settings for horse2zebra; those of the published parser (all weights 1) are
not those that were used. There the hardness goes from 50 to 10, where every weight of a negative lies in [0.82, 1], so
what acts is decoupling, the small weight and SRC; only --HDCE_gamma 1, of Cityscapes' second half, weighs in earnest.
The published code takes batches of one, and stops at a layer with fewer places than --num_patches; this does not.
"""

from dataclasses import dataclass

import torch

from models.cut_model import FASTCUT, CUTModel
from models.losses import hdce, semantic_relation
from options import UserError, option

CITYSCAPES = dict(lambda_SRC=0.1, step_gamma=True)
SINGLE = dict(lambda_HDCE=4.0, lambda_SRC=10.0, HDCE_gamma=200.0, HDCE_gamma_min=40.0)


class HnegSRCModel(CUTModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        section = "Hneg-SRC"
        preset: str = option(
            "hneg-horse2zebra",
            "published settings by data",
            presets={"hneg-horse2zebra": {}, "hneg-cityscapes": CITYSCAPES, "hneg-single": SINGLE},
        )
        lambda_HDCE: float = option(0.1, "weight of the decoupled contrast", least=0)
        lambda_SRC: float = option(0.05, "weight of the relations, a sum over the places of an image", least=0)
        HDCE_gamma: float = option(50.0, "a negative weighs by e^(its similarity / gamma)", above=0)
        HDCE_gamma_min: float = option(10.0, "--use_curriculum: gamma in the last epoch", above=0)
        use_curriculum: bool = option(True, "gamma falls from --HDCE_gamma, linearly in the epoch")
        step_gamma: bool = option(False, "gamma is 1 after --step_gamma_epoch")
        step_gamma_epoch: int = option(200, "see --step_gamma", least=0)
        no_Hneg: bool = option(False, "all negatives weigh the same")
        lambda_NCE: float = option(
            1.0, "no PatchNCE here, see --lambda_HDCE and --lambda_SRC; 1 alone is taken", least=0
        )
        own_image = True

        def validate(self):
            if self.is_train and self.lambda_NCE != 1:
                of_mode = self.CUT_mode == "FastCUT" and self.lambda_NCE == FASTCUT["lambda_NCE"]
                told = "--CUT_mode FastCUT: it has " * of_mode + f"--lambda_NCE {self.lambda_NCE}"
                raise UserError(
                    f"{told}, and this method's weights are --lambda_HDCE {self.lambda_HDCE} and --lambda_SRC "
                    f"{self.lambda_SRC}; give {'--lambda_NCE 1 too' if of_mode else 'those'}"
                )
            if self.is_train and not (self.lambda_GAN or self.lambda_HDCE or self.lambda_SRC):
                raise UserError(
                    "--lambda_GAN 0 --lambda_HDCE 0 --lambda_SRC 0: G would learn nothing; give one a weight"
                )

    @property
    def gamma(self) -> float | None:
        """How little hard negatives weigh more, in the epoch under way."""
        opt = self.opt
        if opt.no_Hneg:
            return None
        if opt.step_gamma and self.part_done > opt.step_gamma_epoch / opt.total_epochs:
            return 1.0
        fall = self.part_done if opt.use_curriculum else 0.0
        return opt.HDCE_gamma + fall * (opt.HDCE_gamma_min - opt.HDCE_gamma)

    def contrast_of_layer(self, q, k, more):
        return hdce(q, k, self.opt.nce_T, self.gamma)

    def contrast(self):
        """hDCE of both pairs, at the same places, and SRC of the first."""
        opt = self.opt
        weight = opt.lambda_HDCE * (0.5 if opt.nce_idt else 1.0)
        queries = self.queries_of(self.fake_B)
        ids = self.choose(queries, self.keys_A)
        q, k = self.vectors(queries, self.keys_A, ids)
        losses = {"HDCE": weight * self.patch_nce("HDCE", q, k)}
        if opt.nce_idt:
            queries = self.queries_of(self.idt_B)
            same = [a.shape == b.shape for a, b in zip(self.keys_A, self.keys_B, strict=True)]
            ids = (
                ids if all(same) else self.choose(queries, self.keys_B)
            )  # images of two sizes have places of their own
            idt = self.vectors(queries, self.keys_B, ids)
            losses["HDCE_Y"] = weight * self.patch_nce("HDCE_Y", *idt)
        relations = torch.stack([semantic_relation(*pair) for pair in zip(q, k, strict=True)])
        return losses | {"SRC": opt.lambda_SRC * relations.mean()}
