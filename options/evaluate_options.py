"""Options of evaluate.py."""

import dataclasses
from typing import ClassVar

from .errors import UserError
from .evaluation_options import RESIZES
from .fields import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    section: ClassVar[str] = "evaluation of folders"

    real: str = option("", "folder of real pictures, with all below")
    fake: str = option("", "folder of generated pictures; metrics of pairs go by the names that both have")
    train: str | None = option(None, "folder of other real pictures, such as those trained on, for the floors")
    metrics: tuple[str, ...] = option(("fid", "kid"), "metrics by name, e.g. fid, kid, prdc, ssim; docs/evaluation.md")
    extractor: str | None = option(
        None, "what sees features of images: inception, domain:<run folder> or module:<path>"
    )
    inception_weights: str | None = option(None, "weight file of Inception for --extractor inception; never downloaded")
    resize: str = option(
        RESIZES[0],
        "how images become Inception's 299 x 299: as clean-fid, pytorch-fid or torch-fidelity do",
        choices=RESIZES,
    )
    lpips_weights: str | None = option(
        None, "torchvision's weight file of AlexNet, for the metric lpips; never downloaded"
    )
    channels: int = option(3, "channels that pictures are read in: 3 for colours, 1 for grey", least=1)
    value_range: tuple[float, ...] | None = option(
        None, "values in files that are black and white: lo,hi, or lo,hi,lo,hi for --real and --fake"
    )
    output: str | None = option(None, "also write the values to this JSON file")
    plugin_dir: str | None = option(None, "folder with metrics of your own, outside the toolkit")
    gpu_ids: str = option("0", "the GPU to use, by number; -1 is the CPU")
    device: str = option("auto", "auto (what --gpu_ids says), cpu, cuda, cuda:<n> or mps")
    data_timeout: float = option(600.0, "seconds to wait for a picture that does not come; 0 is for ever", least=0)
    verbose: bool = option(False, "print a traceback when something fails")

    def validate(self) -> None:
        for name in ("real", "fake"):
            if not getattr(self, name):
                raise UserError(f"--{name}: not given; evaluate.py needs --real <folder> and --fake <folder>")
        if not self.metrics:
            raise UserError("--metrics: give at least one, such as fid")
