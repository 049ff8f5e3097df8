"""Options of test.py."""

import dataclasses
from typing import ClassVar, Literal

from .evaluation_options import EvaluationOptions
from .fields import check_scale, check_tile, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TestOptions(EvaluationOptions):
    __test__: ClassVar[bool] = False  # not a test class, whatever pytest thinks of its name
    section: ClassVar[str] = "testing"
    is_train: ClassVar[bool] = False

    phase: str = option("test", "which split to read: <dataroot>/<phase>A, ...", per_run=True)
    results_dir: str = option("./results/", "where result pages go", per_run=True, matters=True)
    num_test: int | Literal["all"] = option(
        50, "how many rows to run, of each style where there are several, or all", least=1, per_run=True, matters=True
    )
    eval: bool = option(False, "put the networks in eval mode (batch norm and dropout)", per_run=True)
    use_ema: bool = option(True, "use the averaged weights where the run kept them", per_run=True)
    format: Literal["auto", "png", "tif", "npy"] = option(
        "auto",
        "kind of file of results in the values of --value_range; auto is png, or tif where no PNG holds them",
        per_run=True,
    )
    scale: str | None = option(
        None,
        "size to translate at: auto, native, train, a factor; none: docs/translate.md",
        per_run=True,
    )
    keep_scale: bool = option(False, "do not bring results back to the size of their source", per_run=True)
    tile: int = option(
        0, "cut larger pictures into tiles of this many pixels a side; 0 does not", least=0, per_run=True
    )
    overlap: int = option(128, "pixels that neighbouring tiles share", least=0, per_run=True)
    copy_inputs: bool = option(
        False,
        "keep copies of inputs in images/real_*; else the page shows those below the current folder where they lie",
        per_run=True,
    )
    metrics: tuple[str, ...] = option(
        (), "metrics of what was made, e.g. l1, ssim, fid; docs/evaluation.md", per_run=True, matters=True
    )

    def validate(self) -> None:
        if self.scale is not None:
            check_scale(self.scale)
        check_tile(self.tile, self.overlap)
