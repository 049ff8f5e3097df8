"""MoNCE: CUT whose negatives push with weights that an optimal transport finds.

Zhan, Zhang, Yu, Wu, Lu. Modulated Contrast for Versatile Image Synthesis. CVPR 2022. The published scripts train with
``--batch_size 12``; that of horse2zebra says ``--eps 0.1``. The published code counts the places of a layer as
--num_patches, also where the layer has fewer, which makes its negatives too heavy there; here they are counted.
"""

from dataclasses import dataclass
from typing import Literal

from models.cut_model import CUTModel
from models.losses import monce
from options import option

HORSES = dict(eps=0.1, batch_size=12)


class MoNCEModel(CUTModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        section = "MoNCE"
        preset: str = option(
            "as-code",
            "settings of the published parser, or of the script for horse2zebra",
            presets={"as-code": {}, "monce-horse2zebra": HORSES},
        )
        cost_type: Literal["hard", "easy"] = option("hard", "whether similar or dissimilar negatives weigh more")
        eps: float = option(1.0, "of the transport that weighs negatives; large values are CUT's PatchNCE", above=0)
        neg_term_weight: float = option(1.0, "weight of all negatives of a patch together", above=0)
        exact_mask: bool = option(True, "keep the positive out of the transport; published: all but e^(-10/eps) of it")
        constant_weights: bool = option(
            False, "no gradient through the weights, which saves memory; as published they are differentiated"
        )
        own_image = True

    def contrast_of_layer(self, q, k, more):
        o = self.opt
        return monce(
            q, k, o.nce_T, o.eps, o.cost_type, o.neg_term_weight, exact_mask=o.exact_mask,
            constant_weights=o.constant_weights,
        )  # fmt: skip
