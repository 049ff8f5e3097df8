"""A judge of glyphs, to score other models with: which character is this, or which font?

    python train.py --model glyph_judge --judge character --source_font a.ttf --target_font a.ttf,b.ttf --charset kana

Train a judge of characters on fonts that no model it scores has as a target, and on every character
(--test_fraction 0); a judge of styles on the targets themselves, and on training characters alone. test.py takes
them as --recogniser and --style_judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F

from models.base_model import BaseModel
from models.judges import read_judge
from networks.glyph_judge import GlyphJudge
from networks.warp import random_warp
from options import UserError, default, option


class GlyphJudgeModel(BaseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(BaseModel.Options):
        section = "judge of glyphs"
        judge: Literal["character", "style"] = option(
            "character", "what is told apart: characters in any font, or fonts by any character"
        )
        njf: int = option(32, "channels of the judge's first layer", least=1)
        label_smoothing: float = option(0.05, "part of the target that is spread over all classes", least=0)
        augment: float = option(1.0, "strength of random warps, strokes and noise; 0 turns them off", least=0)
        dataset_mode: str = default("font")
        paired: bool = default(True)
        batch_size: int = default(64)
        optimizer: str = default("adamw")
        lr: float = default(2e-3)
        beta1: float = default(0.9)
        weight_decay: float = default(0.05)
        lr_policy: str = default("cosine")
        n_epochs: int = default(20)
        n_epochs_decay: int = default(0)

        def validate(self) -> None:
            if self.label_smoothing >= 1:
                raise UserError(f"--label_smoothing {self.label_smoothing}: must be below 1; 0.05 is usual")

    ema_names = ("C",)  # off by default: averaged statistics of batch norm lag behind averaged weights in short runs
    visual_sides = {"real_B": "B", "seen_B": "B"}
    netC: GlyphJudge
    values: torch.Tensor  # what the data call each class: code points, or numbers of styles, in ascending order

    def __init__(self, opt):
        super().__init__(opt)
        self.visual_names = ("real_B", "seen_B") if opt.is_train else ("real_B",)

    def meet(self, dataset: Any) -> None:
        """Build a judge of the characters or styles of these data; outside training the one that the run trained."""
        opt = self.opt
        if not opt.is_train:
            self.netC = read_judge(Path(opt.checkpoints_dir, opt.name), opt.epoch)
            return
        if not dataset.paired:
            raise UserError("--paired false: a judge must know which character an image of B is")
        if opt.judge == "character":
            named = {code: str(code) for code in dataset.characters}
        else:
            named = {style.label: style.name for style in dataset.style_list}
        if len(named) < 2:
            raise UserError(f"--judge {opt.judge}: these data have one {opt.judge} alone, and nothing to tell it from")
        if opt.crop_size < 32:
            raise UserError(f"--crop_size {opt.crop_size}: a judge sees nothing in so few pixels; give 32 or more")
        values = sorted(named)
        self.netC = GlyphJudge(opt.judge, [named[v] for v in values], opt.output_nc, opt.crop_size, opt.njf)
        self.register_buffer("values", torch.tensor(values), persistent=False)
        self.add_optimizer("C", self.netC)

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """B is (B, C, H, W) in [-1, 1]; character and label are (B,) int64."""
        self.real_B = batch["B"]
        self.image_paths = {"B": list(batch["B_paths"])}
        if self.opt.is_train:
            value = batch["character"] if self.opt.judge == "character" else batch["label"]
            self.target = torch.searchsorted(self.values, value)

    def forward(self):
        if self.opt.is_train:
            self.seen_B = augment(self.real_B, self.opt.augment)
            self.logits = self.netC(self.seen_B)

    def optimize_parameters(self):
        self.forward()
        self.update("C", self.judge_losses)
        self.losses["accuracy"] = (self.logits.argmax(1) == self.target).float().mean()  # told, not minimised

    def judge_losses(self):
        smoothing = self.opt.label_smoothing
        return {"CE": F.cross_entropy(self.logits.float(), self.target, label_smoothing=smoothing)}


def augment(images: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Each glyph as another hand, pen and printer might give it: images (B, C, H, W) in [-1, 1], likewise.

    At strength 1: turned by up to 6 degrees, sheared and scaled by up to a tenth, moved by up to a sixteenth of the
    canvas and bent by about a hundredth of it; strokes blurred and cut anew, up to about half a pixel thicker or
    thinner at either side; noise of up to 0.05 of the range from paper to ink.
    """
    if strength == 0:
        return images
    s, W = strength, images.shape[3]
    warped = random_warp(images, scale=0.1 * s, rotate=6 * s, shear=0.1 * s, shift=s / 16, elastic=0.01 * s * W)
    ink = (1 - warped) / 2

    def within(reach: float) -> torch.Tensor:
        return (torch.rand(len(ink), 1, 1, 1, device=ink.device) * 2 - 1) * reach * strength

    ink = torch.lerp(ink, F.avg_pool2d(ink, 3, stride=1, padding=1), within(0.5).abs().clamp(max=1))
    edge = (0.5 + within(0.15)).clamp(0.1, 0.9)  # the darkness at which ink begins; below 0.5 strokes are thicker
    width = 2 * torch.minimum(edge, 1 - edge) * (1 - within(0.5).abs().clamp(max=0.9))  # paper stays paper, ink ink
    ink = ((ink - edge) / width + 0.5).clamp(0, 1)
    return 1 - 2 * (ink + within(0.05) * torch.randn_like(ink)).clamp(0, 1)
