"""QS-Attn: CUT that compares the places whose attention is most concentrated, each mixed of what it attends to.

Hu, Zhou, Huang, Shi, Sun, Li. QS-Attn: Query-Selected Attention for Contrastive Learning in I2I Translation. CVPR 2022.

The attention is the source's, for queries and keys alike. The published code lets a gradient into it through the
queries; here it is constant unless ``--attention_learns``. Its local windows are scrambled, as
networks/query_attention.py tells. At the published initialisation the attention of the deepest tap is one at the place
itself in float32, at about half of the places: then the choice is one among ties, and routing changes nothing.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

from models.cut_model import CUTModel
from networks.query_attention import attention, entropy
from options import UserError, option

WINDOW = 7  # places a side of a local window, as published


class QSAttnModel(CUTModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        section = "QS-Attn"
        QS_mode: Literal["global", "local", "local_global"] = option(
            "global",
            "attention over the image, over 7 x 7 places, or chosen by those and mixed of the image",
        )
        random_taps: int = option(
            3, "the first so many of --nce_layers are compared at random places, as in CUT", least=0
        )
        attention_learns: bool = option(False, "let a gradient through the attention, as the published code does")

        def validate(self):
            if not self.is_train:
                return
            if self.netF not in ("mlp_sample", "sample"):
                raise UserError(f"--netF {self.netF}: QS-Attn mixes vectors of places; choose mlp_sample or sample")
            if self.random_taps >= len(self.nce_layers):
                raise UserError(
                    f"--random_taps {self.random_taps}: of {len(self.nce_layers)} --nce_layers: none is left to attend"
                )
            if not self.num_patches:
                raise UserError("--num_patches 0: the places that attend are to be selected; give their number")

    def __init__(self, opt):
        super().__init__(opt)
        self.keys_learn = opt.is_train and opt.attention_learns
        if not opt.is_train:
            self.visual_names = ("real_A", "attention", "fake_B", "real_B")

    def choose(self, queries, keys):
        """Random places of the first taps; of the others the S places of least entropy, as rows of the attention."""
        first = self.opt.random_taps
        random = super().choose(queries[:first], keys[:first])
        return random + [self.routes(k) for k in keys[first:]]

    def routes(self, feature: torch.Tensor) -> torch.Tensor:
        """What the selected places of a map (B, C, H, W) attend to, (B, S, H W), from the lowest entropy up."""
        x, width = feature.flatten(2).transpose(1, 2), feature.shape[3]
        local = WINDOW if self.opt.QS_mode != "global" else None
        entropies = entropy(x, width, local)
        rows = entropies.topk(min(self.opt.num_patches, entropies.shape[1]), largest=False).indices
        with torch.set_grad_enabled(self.keys_learn and torch.is_grad_enabled()):
            return attention(x, rows, width, local if self.opt.QS_mode == "local" else None)

    def forward(self):
        super().forward()
        if not self.opt.is_train:
            self.attention = self.attention_of(self.real_A)

    def attention_of(self, image):
        """For the page: where the last tap chooses first, white, and last, black, (B, 1, H, W)."""
        if image is None:
            return None
        size, feature = image.shape[2:], self.seen_small(image)[-1]
        H, W = feature.shape[2:]
        local = WINDOW if self.opt.QS_mode != "global" else None
        entropies = entropy(feature.flatten(2).transpose(1, 2), W, local)
        ranks = entropies.argsort(1).argsort(1).float() / max(1, H * W - 1)
        return F.interpolate((1 - 2 * ranks).view(-1, 1, H, W), size, mode="nearest")
