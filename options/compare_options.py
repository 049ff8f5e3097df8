"""Options of compare.py."""

import dataclasses
from typing import ClassVar

from .errors import UserError
from .fields import option

LAUNCHERS = ("local", "slurm", "ray")
SMALLEST = 0.01  # share of a GPU
OF_RECIPES = (
    *("models", "seeds", "budget", "set", "evaluate", "trust", "jobs", "launcher", "gpus", "gpus_per_run"),
    *("slurm", "ray", "dry_run", "page_only", "retry_failed", "overwrite"),
)
OF_RUNS = ("checkpoints_dir", "results_dir", "output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareOptions:
    section: ClassVar[str] = "comparison"

    runs: tuple[str, ...] = option(
        (), "a recipe, or names or folders of runs that are there already; may come first, without the flag"
    )
    experiments_dir: str = option("./experiments", "where experiments go: <experiments_dir>/<name of the recipe>")
    models: tuple[str, ...] = option((), "recipe: these variants alone, by name; none is all")
    seeds: tuple[int, ...] = option((), "recipe: these seeds in place of its own", least=0)
    budget: str | None = option(None, "recipe: what each run may take in place of its own: 300steps or 2min")
    set: tuple[str, ...] = option((), "recipe: option=value for every run that is compared, e.g. device=cuda ngf=8")
    evaluate: tuple[str, ...] = option((), "recipe: option=value for every test.py, e.g. metrics=fid,kid num_test=all")
    trust: tuple[str, ...] = option((), "the recipe, if it may name code to run, as the command line may")
    jobs: int | None = option(
        None, "recipe: runs at once, wherever they run; none is one, or as many as --gpus have room for", least=1
    )
    launcher: str = option("local", "recipe: what starts the runs: this machine, Slurm or Ray", choices=LAUNCHERS)
    gpus: tuple[str, ...] = option((), "local: GPUs of this machine that runs are given, such as 0,1,2,3")
    gpus_per_run: float | None = option(
        None, "recipe: GPUs of each run, a share such as 0.25 too; none is one where there are GPUs to give", least=0
    )
    slurm: tuple[str, ...] = option(
        (), "slurm: parameters of each job, such as partition=gpu,time=600 (minutes), cpus_per_task=8"
    )
    ray: str | None = option(
        None, "ray: address of a cluster, such as ray://head:10001; none is one of this machine, started for the runs"
    )
    dry_run: bool = option(False, "recipe: print what would be run, with the exact commands, and run nothing")
    page_only: bool = option(False, "recipe: build the page of what there is, and run nothing")
    retry_failed: bool = option(False, "recipe: try runs again that failed earlier")
    overwrite: bool = option(False, "recipe: delete runs whose options have changed and start them anew")
    checkpoints_dir: str = option("./checkpoints", "runs that are there: where names are looked for")
    results_dir: str = option("./results", "runs that are there: where test.py left their results")
    output: str | None = option(None, "runs that are there: folder of the page; none is one in --experiments_dir")
    verbose: bool = option(False, "print a traceback when something fails")

    @property
    def recipe(self) -> str | None:
        """The recipe, where one is compared and not runs."""
        return self.runs[0] if self.runs[0].lower().endswith((".yaml", ".yml")) else None

    @property
    def settings(self) -> dict[str, str]:
        """--set as {option: value}."""
        return _settings(self.set)

    @property
    def test_settings(self) -> dict[str, str]:
        """--evaluate, likewise."""
        return _settings(self.evaluate)

    @property
    def parameters(self) -> dict[str, str]:
        """--slurm, likewise."""
        return _settings(self.slurm)

    def validate(self) -> None:
        if not self.runs:
            raise UserError("give a recipe, such as recipes/glyphs.yaml, or the names of runs to compare")
        recipes = [name for name in self.runs if name.lower().endswith((".yaml", ".yml"))]
        if recipes and len(self.runs) > 1:
            raise UserError(f"{' '.join(self.runs)}: one recipe at a time, and no runs beside it")
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        for flag in OF_RUNS if recipes else OF_RECIPES:
            if getattr(self, flag) != usual[flag]:
                kinds = ("runs that are there", "a recipe") if recipes else ("a recipe", "runs that are there")
                raise UserError(f"--{flag} is of {kinds[0]}, and this compares {kinds[1]}; leave it out")
        for flag, words in {"set": self.set, "evaluate": self.evaluate}.items():
            if words and "=" not in words[0]:
                raise UserError(f"--{flag} {words[0]}: expected option=value, such as device=cuda")
        if self.slurm and "=" not in self.slurm[0]:
            raise UserError(f"--slurm {self.slurm[0]}: expected parameter=value, such as partition=gpu,time=600")
        for flag, owner in {"gpus": "local", "slurm": "slurm", "ray": "ray"}.items():
            if getattr(self, flag) and self.launcher != owner:
                raise UserError(
                    f"--{flag} is of --launcher {owner}, and this is --launcher {self.launcher}; leave it out"
                )
        if self.gpus_per_run and self.gpus_per_run < SMALLEST:
            raise UserError(
                f"--gpus_per_run {self.gpus_per_run:g}: expected {SMALLEST:g} or more, a hundred runs on a GPU"
            )
        if self.page_only and self.dry_run:
            raise UserError("--page_only and --dry_run contradict each other; give one of them")


def _settings(words: tuple[str, ...]) -> dict[str, str]:
    """The parts of a list, which commas divide as they do in any flag, belong together."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if sign:
            found[name] = value
        elif found:
            found[next(reversed(found))] += f",{word}"
    return found
