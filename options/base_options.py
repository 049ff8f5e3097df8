"""Options of every run."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .errors import UnknownName
from .fields import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaseOptions:
    """What train.py and test.py share. Models and datasets add theirs by subclassing."""

    section: ClassVar[str] = "run"  # the heading of the class's own flags in --help
    of_a_family: ClassVar[bool] = False  # whether they are those of many methods, which the short help leaves out
    # Options of the class that shape networks: a run that begins with the weights of another one takes them from it.
    shapes: ClassVar[tuple[str, ...]] = ("model", "input_nc", "output_nc")
    is_train: ClassVar[bool]

    dataroot: str = option("placeholder", "folder with trainA, trainB, testA, testB", matters=True)
    name: str = option("experiment_name", "name of the run; its files go to <checkpoints_dir>/<name>", matters=True)
    checkpoints_dir: str = option("./checkpoints", "where runs are kept", per_run=True)
    model: str = option("cut", "method: models/<model>_model.py, or the dotted path of a module", matters=True)
    dataset_mode: str = option(
        "unaligned", "kind of data: data/<dataset_mode>_dataset.py, or a dotted path", matters=True
    )
    plugin_dir: str | None = option(
        None, "folder with models and datasets of your own, outside the toolkit", per_run=True
    )
    config: tuple[str, ...] = option((), "YAML files of options; later files win, flags win over all", per_run=True)
    trust: tuple[str, ...] = option(
        (), "files of --config that may name code to run, as the command line may", per_run=True
    )
    input_nc: int = option(3, "channels of an input image: 3 for RGB, 1 for greyscale", least=1)
    output_nc: int = option(3, "channels of an output image", least=1)
    direction: Literal["AtoB", "BtoA"] = option(
        "AtoB", "which side is translated; BtoA swaps A and B. In a test: docs/translate.md"
    )
    batch_size: int = option(1, "items per step and per process", least=1, per_run=True, matters=True)
    num_threads: int = option(
        4, "data-loading workers per process; 0 loads in the process itself", least=0, per_run=True
    )
    data_timeout: float = option(
        600.0, "seconds to wait for data that do not come before the script ends; 0 is for ever", least=0, per_run=True
    )
    gpu_ids: str = option(
        "0", "the GPU to use, by number; -1 is the CPU; for several see docs/running.md", per_run=True, matters=True
    )
    device: str = option("auto", "auto (what --gpu_ids says), cpu, cuda, cuda:<n> or mps", per_run=True)
    precision: Literal["fp32", "bf16", "fp16"] = option(
        "fp32", "what the networks compute in; losses stay in float32", per_run=True
    )
    compile: bool = option(False, "compile the networks with torch.compile", per_run=True)
    seed: int = option(0, "every random draw of the run is a function of this number", least=0)
    deterministic: bool = option(
        False, "refuse operations whose result depends on timing (slower on a GPU)", per_run=True
    )
    epoch: str = option(
        "latest", "which checkpoint to load: latest, best, an epoch's number, or iter_<n>", per_run=True
    )
    suffix: str = option("", "appended to the name, with options filled in: {model}_{netG}", per_run=True)
    easy_label: str = option(
        "experiment_name", "a label for launchers; the toolkit itself does not use it", per_run=True
    )
    verbose: bool = option(False, "print the networks, and a traceback when something fails", per_run=True)
    display_winsize: int = option(256, "width of an image on pages and in visdom, in pixels", least=1)

    if not TYPE_CHECKING:  # to a type checker an unknown name stays a mistake

        def __getattr__(self, name: str) -> Any:
            if name == "isTrain":  # what CycleGAN's and CUT's files ask
                raise UnknownName("opt.isTrain: write opt.is_train")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
