"""Options of test.py."""

import dataclasses
from typing import ClassVar, Literal

from .base_options import BaseOptions
from .fields import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TestOptions(BaseOptions):
    __test__: ClassVar[bool] = False  # not a test class, whatever pytest thinks of its name
    section: ClassVar[str] = "testing"
    is_train: ClassVar[bool] = False

    phase: str = option("test", "which split to read: <dataroot>/<phase>A, ...", per_run=True)
    results_dir: str = option("./results/", "where result pages go", per_run=True)
    num_test: int | Literal["all"] = option(
        50, "how many rows to run, of each style where there are several, or all", least=1, per_run=True
    )
    eval: bool = option(False, "put the networks in eval mode (batch norm and dropout)", per_run=True)
    use_ema: bool = option(True, "use the averaged weights where the run kept them", per_run=True)
    metrics: tuple[str, ...] = option((), "metrics of translations against their true targets, e.g. l1", per_run=True)
    recogniser: str | None = option(
        None, "run folder of a judge of characters, for the metric recognition", per_run=True
    )
    style_judge: str | None = option(None, "run folder of a judge of styles, for the metric style", per_run=True)
