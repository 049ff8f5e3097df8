"""Options of translate.py."""

import dataclasses
from typing import ClassVar, Literal

from .errors import UserError
from .fields import check_scale, check_tile, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    section: ClassVar[str] = "translation"

    checkpoint: str = option("", "folder of a run or of published weights, or one .pth file")
    input: tuple[str, ...] = option((), "pictures, and folders of them with all below")
    output: str = option("", "folder for the results, or a file name where the input is one picture")
    plugin_dir: str | None = option(
        None, "folder of the method of a run, where that is one of your own; its code is executed"
    )
    direction: Literal["auto", "AtoB", "BtoA"] = option(
        "auto", "which side the pictures are of, as in the data trained on; auto is the direction of the training"
    )
    epoch: str = option("latest", "which checkpoint of a folder: latest, best, an epoch's number, or iter_<n>")
    use_ema: bool = option(True, "use the averaged weights where the run kept them")
    batch_size: int = option(1, "neighbouring pictures of one size that go through the network together", least=1)
    tile: int = option(0, "cut larger pictures into tiles of this many pixels a side; 0 does not", least=0)
    overlap: int = option(128, "pixels that neighbouring tiles share", least=0)
    scale: str = option(
        "auto",
        "size at which pictures are translated: native, train (that of the training), or a factor; auto is train where "
        "that is far from native",
    )
    keep_scale: bool = option(False, "do not bring results back to the size of their source")
    precision: Literal["fp32", "bf16", "fp16", "auto"] = option(
        "fp32", "what the network computes in; auto is bf16 where the device is faster with it"
    )
    gpu_ids: str = option("0", "the GPU to use, by number; -1 is the CPU")
    device: str = option("auto", "auto (what --gpu_ids says), cpu, cuda, cuda:<n> or mps")
    format: Literal["auto", "png", "jpg", "tif", "npy"] = option(
        "auto",
        "kind of file; tif and npy have any values and channels; auto is png, or tif where no PNG holds the values",
    )
    overwrite: bool = option(False, "replace results that exist")
    on_bad_image: Literal["error", "skip"] = option("error", "when a picture cannot be read: stop, or go on without it")
    seed: int = option(0, "of the noise that stylegan2 adds to every picture", least=0)
    data_timeout: float = option(600.0, "seconds to wait for a picture that does not come; 0 is for ever", least=0)
    verbose: bool = option(False, "print a traceback when something fails")

    def validate(self) -> None:
        for name in ("checkpoint", "input", "output"):
            if not getattr(self, name):
                raise UserError(f"--{name}: not given; translate.py needs --checkpoint, --input and --output")
        check_scale(self.scale)
        check_tile(self.tile, self.overlap)
