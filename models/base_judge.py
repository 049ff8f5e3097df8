"""What judges share: a classifier of pictures, and how it learns."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from models.base_model import BaseModel
from networks.glyph_judge import GlyphJudge
from options import UserError, default, option
from options.sizes import check_square


@dataclass(frozen=True, kw_only=True)
class ObserverOptions(BaseModel.Options):
    """How networks learn that look at pictures and make none."""

    section = "observer"
    augment: float = option(1.0, "strength of random changes of what it learns from; 0 turns them off", least=0)
    batch_size: int = default(64)
    optimizer: str = default("adamw")
    lr: float = default(2e-3)
    beta1: float = default(0.9)
    weight_decay: float = default(0.05)
    lr_policy: str = default("cosine")
    n_epochs: int = default(20)
    n_epochs_decay: int = default(0)


class JudgeModel(BaseModel):
    """A subclass builds netC in see_data(), and in forward() sets self.logits (B, classes) and self.target (B,)."""

    @dataclass(frozen=True, kw_only=True)
    class Options(ObserverOptions):
        section = "judge"
        label_smoothing: float = option(0.05, "part of the target that is spread over all classes", least=0)

        def validate(self) -> None:
            if self.label_smoothing >= 1:
                raise UserError(f"--label_smoothing {self.label_smoothing}: must be below 1; 0.05 is usual")

    makes = "answers"
    smallest: ClassVar[int] = 32  # pixels a side
    ema_names = ("C",)  # off by default: averaged statistics of batch norm lag behind averaged weights in short runs
    netC: GlyphJudge
    logits: torch.Tensor
    target: torch.Tensor

    def build_C(self, kind: str, classes: list[str], channels: int, flag: str) -> None:
        """netC for classes of these names, and its optimizer.

        Args:
            flag: the flag with its value that says what is told apart, for messages.

        Raises:
            UserError: there is nothing to tell apart, or too little to see.
        """
        opt = self.opt
        if len(classes) < 2:
            raise UserError(f"{flag}: these data have {len(classes)} {kind} alone, and nothing to tell it from")
        check_square(opt.crop_size, f"--model {opt.model} judges")
        if opt.crop_size < self.smallest:
            raise UserError(
                f"--crop_size {opt.crop_size}: a judge sees nothing in so few pixels; give {self.smallest} or more"
            )
        self.netC = GlyphJudge(kind, classes, channels, opt.crop_size, opt.njf)
        self.add_optimizer("C", self.netC)

    def optimize_parameters(self) -> None:
        self.forward()
        self.update("C", self.judge_losses)
        self.losses["accuracy"] = (self.logits.argmax(1) == self.target).float().mean()  # told, not minimised

    def judge_losses(self) -> dict[str, torch.Tensor]:
        smoothing = self.opt.label_smoothing
        return {"CE": F.cross_entropy(self.logits.float(), self.target, label_smoothing=smoothing)}
