"""A judge of glyphs, to score other models with: which character is this, or which font?

    python train.py --model glyph_judge --judge character --source_font a.ttf --target_font a.ttf,b.ttf --charset kana

Train a judge of characters on fonts that no model it scores has as a target, and on every character
(--test_fraction 0); a judge of styles on the targets themselves, and on training characters alone. test.py takes
them as --recogniser and --style_judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F

from evaluation.judges import read_judge
from models.base_judge import JudgeModel
from networks.warp import random_warp
from options import UserError, default, option


class GlyphJudgeModel(JudgeModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(JudgeModel.Options):
        section = "judge of glyphs"
        shapes: ClassVar[tuple[str, ...]] = ("njf", "judge")
        judge: Literal["character", "style"] = option(
            "character", "what is told apart: characters in any font, or fonts by any character"
        )
        njf: int = option(32, "channels of the judge's first layer", least=1)
        dataset_mode: str = default("font")
        paired: bool = default(True)

    visual_sides = {"real_B": "B", "seen_B": "B"}
    values: torch.Tensor  # what the data call each class: code points, or numbers of styles, in ascending order

    def __init__(self, opt):
        super().__init__(opt)
        self.visual_names = ("real_B", "seen_B") if opt.is_train else ("real_B",)

    def see_data(self, dataset: Any) -> None:
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
        values = sorted(named)
        self.build_C(opt.judge, [named[v] for v in values], opt.output_nc, f"--judge {opt.judge}")
        self.register_buffer("values", torch.tensor(values), persistent=False)

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
