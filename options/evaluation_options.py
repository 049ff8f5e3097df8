"""What images are judged with, in a test and in evaluations while training."""

import dataclasses
from typing import ClassVar

from .base_options import BaseOptions
from .fields import option

RESIZES = ("clean", "legacy-pytorch", "legacy-tf")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions(BaseOptions):
    section: ClassVar[str] = "evaluation"

    extractor: str | None = option(
        None,
        "what sees features of images: inception, domain:<run folder> or module:<path>; docs/evaluation.md",
        per_run=True,
    )
    inception_weights: str | None = option(
        None, "weight file of Inception for --extractor inception; never downloaded", per_run=True
    )
    resize: str = option(
        RESIZES[0],
        "how images become Inception's 299 x 299: as clean-fid, pytorch-fid or torch-fidelity do",
        choices=RESIZES,
    )
    lpips_weights: str | None = option(
        None, "torchvision's weight file of AlexNet, for the metric lpips; never downloaded", per_run=True
    )
    recogniser: str | None = option(
        None, "run folder of a judge of characters, for the metric recognition", per_run=True
    )
    style_judge: str | None = option(None, "run folder of a judge of styles, for the metric style", per_run=True)
