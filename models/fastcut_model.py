"""FastCUT: CUT without the identity term and with a heavier PatchNCE (Park et al., 2020, section 4)."""

from dataclasses import dataclass

from models.cut_model import CUTModel
from options import default


class FastCUTModel(CUTModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(CUTModel.Options):
        nce_idt: bool = default(False)
        lambda_NCE: float = default(10.0)
        flip_equivariance: bool = default(True)
        n_epochs: int = default(150)
        n_epochs_decay: int = default(50)
