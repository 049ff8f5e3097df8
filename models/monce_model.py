"""MoNCE: CUT whose negatives push with weights that an optimal transport finds.

Zhan, Zhang, Yu, Wu, Lu. Modulated Contrast for Versatile Image Synthesis. CVPR 2022. The published scripts train with
``--batch_size 12``; that of horse2zebra says ``--eps 0.1``. The published code counts the places of a layer as
--num_patches, also where the layer has fewer, which makes its negatives too heavy there; here they are counted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F

from models.cut_model import CUTModel
from models.losses import monce
from models.losses.transport import ROUNDS, log_weights
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

    def __init__(self, opt):
        super().__init__(opt)
        head = Path(opt.checkpoints_dir, opt.name, f"{getattr(opt, 'epoch', '')}_net_F.pth")
        has_head = head.is_file() and opt.lambda_NCE > 0 and opt.netF in ("mlp_sample", "sample")
        if not opt.is_train and has_head:  # published weights come without one
            self.taps = opt.nce_layers
            self.netF = self.build_F(self.netG)
            self.visual_names = ("real_A", "fake_B", "weights", "real_B")

    def forward(self):
        super().forward()
        if not self.opt.is_train and "weights" in self.visual_names:
            self.weights = None if self.real_A is None else self.weights_of_centre(self.real_A, self.fake_B)

    def weights_of_centre(self, source, output):
        """For the page: how much each place of the source pushes the output's middle one, white most, (B, 1, H, W)."""
        o, size = self.opt, source.shape[2:]
        keys, queries = self.seen_small(source), self.seen_small(output)
        H, W = keys[-1].shape[2:]
        places = [torch.arange(n, device=source.device) for n in (*[1] * (len(keys) - 1), H * W)]  # all of the last
        q, k = (self.netF(features, places)[-1] for features in (queries, keys))
        itself = torch.eye(H * W, dtype=torch.bool, device=q.device)
        log_w = log_weights(q @ k.transpose(1, 2), itself, o.eps, o.cost_type, ROUNDS, o.exact_mask)
        w = log_w[:, H // 2 * W + W // 2].exp()
        return F.interpolate((2 * w / w.amax(1, keepdim=True) - 1).view(-1, 1, H, W), size, mode="nearest")

    def contrast_of_layer(self, q, k, more):
        o = self.opt
        return monce(
            q, k, o.nce_T, o.eps, o.cost_type, o.neg_term_weight, exact_mask=o.exact_mask,
            constant_weights=o.constant_weights,
        )  # fmt: skip
