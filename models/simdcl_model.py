"""SimDCL: DCLGAN with a similarity loss between real and generated images of one domain.

Han, Shoeiby, Petersson, Armin. NTIRE 2021, section 3.5. Where the published code departs from the paper, the code is
the default: 'sum' in equation 6 is a mean over the 64 numbers of a vector (torch reads it as an old argument), and
PatchNCE is not weighted. ``--preset simdcl-paper`` takes the sum and weights PatchNCE by lambda_NCE.
"""

from dataclasses import dataclass
from typing import Any

import torch

import networks
from models.dcl_model import DCLModel
from options import default, option

PAPER = dict(sim_sum=True, weight_NCE=True, pool_size=50)


class SimDCLModel(DCLModel):
    netF3: Any
    netF4: Any
    netF5: Any
    netF6: Any

    @dataclass(frozen=True, kw_only=True)
    class Options(DCLModel.Options):
        section = "SimDCL"
        preset: str = option(
            "as-code", "settings of the published code or of the paper", presets={"as-code": {}, "simdcl-paper": PAPER}
        )
        DCL_mode: str = option("SIM", "accepted in published commands; SIM is its only value", choices=("SIM",))
        lambda_SIM: float = option(10.0, "weight of the similarity loss", least=0)
        sim_sum: bool = option(
            False, "sum the differences of a vector's 64 numbers, as the paper does, instead of their mean"
        )
        weight_NCE: bool = option(False, "weight PatchNCE by --lambda_NCE, as the paper does")
        lr_F: float | None = default(None)

    keys_learn = True  # the similarity loss trains the encoder of the real images through them

    def add_heads(self):
        opt = self.opt
        for number in range(3, 7):  # real A, fake B, real B, fake A
            head = networks.define("F", "mapping", n_layers=len(opt.nce_layers))
            setattr(self, f"netF{number}", networks.init_weights(head, opt.init_type, opt.init_gain))
        super().add_heads()
        self.add_optimizer("G", self.netF3, self.netF4, self.netF5, self.netF6)

    def contrast(self):
        opt = self.opt
        weight = 0.5 * (opt.lambda_NCE if opt.weight_NCE else 1.0)
        queries_B, queries_A = self.encode(self.netG_B, self.fake_B), self.encode(self.netG_A, self.fake_A)
        nce_1, _, real_A = self.nce("NCE1", self.netF2, queries_B, self.netF1, self.keys_A)
        nce_2, _, real_B = self.nce("NCE2", self.netF1, queries_A, self.netF2, self.keys_B)
        fake_B = self.netF2(queries_B, self.netF2.sample_ids(queries_B, opt.num_patches))  # at locations of their own
        fake_A = self.netF1(queries_A, self.netF1.sample_ids(queries_A, opt.num_patches))
        distance = self.distance(self.netF3, real_A, self.netF6, fake_A) + self.distance(
            self.netF4, fake_B, self.netF5, real_B
        )
        return {"NCE1": weight * nce_1, "NCE2": weight * nce_2, "Sim": opt.lambda_SIM * distance}

    def distance(self, net_x, x, net_y, y):
        """Equation 6: L1 between the vectors, (B, 64), of two stacks of patches."""
        differences = (net_x(stack(x)) - net_y(stack(y))).abs()
        return differences.sum(1).mean() if self.opt.sim_sum else differences.mean()


def stack(features):
    """Vectors (B, S_l, D) of each layer as one image (B, L, S, D), S being the least S_l."""
    rows = min(f.shape[1] for f in features)
    return torch.stack([f[:, :rows] for f in features], 1)
