"""A recipe: which runs an experiment is made of, as a YAML file says it.

    title: One font from another
    note: what may be concluded, for the page
    data: {dataset_mode: font, source_font: [DejaVuSans]}     # options of every run, and of those that are prepared
    common: {ngf: 16}                                         # options of the runs that are compared
    models: {cut: {}, light: {model: cut, ngf: 8}}            # variant: its options; without `model` its name is one
    grid: {lr: [2e-4, 1e-4]}                                  # every combination, joined to each variant's name
    seeds: [0, 1]
    budget: 800 steps                                         # or 3 minutes, timed once on the machine
    prepare: {eyes: {model: domain, n_epochs: 5}}             # runs that come first, once
    evaluate: {metrics: [l1, fid], extractor: "domain:{eyes}"}   # options of test.py; {eyes} is that run's folder
    during: {evaluations: 4}                                  # of each run while it trains, by the same metrics
    families: {one-sided: [cut, light]}                       # how the page groups variants; each method says its own
    notes: {light: needs twice the steps}                     # a sentence of a variant, for its row
    settings: how the options of each variant were chosen     # for the page

A flat file of ``--config`` that names its model is a recipe of one variant.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from options import UserError, nearest
from options.trust import check_code, is_trusted
from util.reading.yaml_file import read_yaml

Options = dict[str, Any]
KEYS = (
    *("title", "note", "data", "common", "models", "grid", "seeds", "budget", "prepare", "evaluate", "during"),
    *("families", "notes", "settings"),
)
MAPPINGS = ("data", "common", "models", "grid", "prepare", "evaluate", "during", "families", "notes")
OWN = ("name", "checkpoints_dir", "results_dir", "seed", "max_steps", "continue_train", "overwrite", "config")
VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(steps?|min(?:utes?)?)")


@dataclass(frozen=True)
class Budget:
    """What a run may take: optimizer steps, or minutes of training, of which one is given."""

    steps: int | None = None
    minutes: float | None = None

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.minutes is None else f"{self.minutes:g} minutes"


@dataclass(frozen=True)
class Recipe:
    """What a file says.

    Attributes:
        models: variant -> all options of its runs but seed and budget.
        prepare: name -> options of a run that comes first.
        evaluate: options of test.py, without ``{name}`` replaced.
        during: options of evaluation while training, likewise; empty is none.
        families: variant -> the family that the page shows it in; ``notes``: variant -> a sentence about it.
        settings: how options were chosen, in a sentence or more.
    """

    path: Path
    title: str
    note: str
    models: dict[str, Options]
    seeds: tuple[int, ...] = (0,)
    budget: Budget | None = None
    prepare: dict[str, Options] = field(default_factory=dict)
    evaluate: Options = field(default_factory=dict)
    during: Options = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    settings: str = ""

    @property
    def name(self) -> str:
        return self.path.stem

    def chosen(self, variants: Sequence[str], seeds: Sequence[int], budget: Budget | None) -> "Recipe":
        """The recipe with these variants, seeds and budget alone, where they are given.

        Raises:
            UserError: it has no such variant.
        """
        for variant in variants:
            if variant not in self.models:
                known = ", ".join(self.models)
                raise UserError(f"--models {variant}: {self.path} has {known}{nearest(variant, self.models)}")
        models = {variant: options for variant, options in self.models.items() if not variants or variant in variants}
        return replace(self, models=models, seeds=tuple(seeds) or self.seeds, budget=budget or self.budget)


def read_recipe(
    path: Path, extra: Options | None = None, evaluate: Options | None = None, trusted: Sequence[str] = ()
) -> Recipe:
    """Read a recipe, or a flat file of ``--config``.

    Args:
        extra, evaluate: options of the runs that are compared, and of their tests, which win over what the file says.
        trusted: files that may name code to run.

    Raises:
        UserError: it cannot be read, a key is unknown, a value is not what the key wants, or it names code.
    """
    extra, evaluate = _options(path, "--set", extra or {}), _options(path, "--evaluate", evaluate or {})
    recipe = _read(path, extra, evaluate)
    if not is_trusted(path, trusted):
        for options in recipe.models.values():
            check_code(str(path), options, extra)
        for options in (*recipe.prepare.values(), recipe.during):
            check_code(str(path), options)
        check_code(str(path), recipe.evaluate, evaluate)
    return recipe


def _read(path: Path, extra: Options, evaluate: Options) -> Recipe:
    said = read_yaml(path)
    if isinstance(said.get("model"), str) and "models" not in said:
        return _flat(path, said | extra, evaluate)
    for key in said:
        if key not in KEYS:
            raise UserError(f"{path}: no key {key!r}{nearest(key, KEYS)}; a recipe has {', '.join(KEYS)}")
    parts = {key: _mapping(path, key, said.get(key)) for key in MAPPINGS}
    if not parts["models"]:
        raise UserError(f"{path}: models: name at least one, such as 'models: {{cut: {{}}}}'")
    budget, variants = said.get("budget"), _variants(path, parts, extra)
    return Recipe(
        path=path,
        title=_text(path, "title", said.get("title", path.stem)),
        note=_text(path, "note", said.get("note", "")),
        models=variants,
        seeds=_seeds(path, said.get("seeds", [0])),
        budget=None if budget is None else read_budget(str(budget), f"{path}: budget"),
        prepare=_prepared(path, parts),
        evaluate=_options(path, "evaluate", parts["evaluate"]) | evaluate,
        during=_options(path, "during", parts["during"]),
        families=_families(path, parts, variants),
        notes={
            variant: _text(path, f"notes: {name}", text)
            for name, text in parts["notes"].items()
            for variant in _named(path, "notes", name, parts, variants)
        },
        settings=_text(path, "settings", said.get("settings", "")),
    )


def read_budget(text: str, what: str = "--budget") -> Budget:
    """``800 steps``, ``800steps``, ``3 minutes`` or ``3min``."""
    found = BUDGET.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise UserError(f"{what} {text}: expected a number of steps or minutes, such as '800 steps' or '3 minutes'")
    if found[2].startswith("min"):
        return Budget(minutes=float(found[1]))
    if "." in found[1]:
        raise UserError(f"{what} {text}: steps are a whole number")
    return Budget(steps=int(found[1]))


def _flat(path: Path, options: Options, evaluate: Options) -> Recipe:
    seed = options.pop("seed", 0)
    check_variant_name(path, "models", path.stem)
    options = _options(path, "", options)
    return Recipe(path, path.stem, "", {path.stem: options}, _seeds(path, [seed]), evaluate=evaluate)


def _variants(path: Path, parts: Mapping[str, Options], extra: Options) -> dict[str, Options]:
    shared = _options(path, "data", parts["data"]) | _options(path, "common", parts["common"])
    for key, values in parts["grid"].items():
        if not isinstance(values, list) or not values:
            raise UserError(f"{path}: grid: {key}: expected a list of values, such as '{key}: [1, 2]'")
    _options(path, "grid", parts["grid"])
    points = list(itertools.product(*([(key, value) for value in values] for key, values in parts["grid"].items())))
    variants: dict[str, Options] = {}
    for variant, own in parts["models"].items():
        check_variant_name(path, "models", variant)
        own = _options(path, f"models: {variant}", _mapping(path, f"models: {variant}", own))
        for point in points:
            words = [f"{key}{re.sub(r'[^A-Za-z0-9._-]+', '_', str(value))}" for key, value in point]
            name = "-".join([variant, *words])
            check_variant_name(path, "grid", name)
            if name in variants:
                raise UserError(f"{path}: grid: two variants would be called {name}; tell their values apart")
            variants[name] = {"model": variant} | shared | own | dict(point) | extra
    return variants


def _families(path: Path, parts: Mapping[str, Options], variants: Mapping[str, Options]) -> dict[str, str]:
    found: dict[str, str] = {}
    for family, names in parts["families"].items():
        key = f"families: {family}"
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{path}: {key}: expected a list of variants, such as '[cut, dcl]', not {names!r}")
        for variant in (variant for name in names for variant in _named(path, key, name, parts, variants)):
            if variant in found:
                raise UserError(f"{path}: {key}: {variant} is in {found[variant]!r} too; a variant has one family")
            found[variant] = family
    return found


def _named(path: Path, key: str, name: str, parts: Mapping[str, Options], variants: Mapping[str, Options]) -> list[str]:
    """Variants of a name: it alone, or with a grid all points of a key of ``models``."""
    points = [v for v in variants if v not in parts["models"] and v.startswith(f"{name}-")]
    found = [name] if name in variants else points if name in parts["models"] else []
    if not found:
        known = list(dict.fromkeys((*parts["models"], *variants)))
        raise UserError(f"{path}: {key}: no variant {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    return found


def _prepared(path: Path, parts: Mapping[str, Options]) -> dict[str, Options]:
    data, runs = _options(path, "data", parts["data"]), {}
    for name, own in parts["prepare"].items():
        key = f"prepare: {name}"
        check_variant_name(path, "prepare", name)
        own = _mapping(path, key, own)
        runs[name] = data | {k: v for k, v in own.items() if k == "max_steps"} | _options(path, key, own, "max_steps")
        if "model" not in own:
            raise UserError(f"{path}: {key}: name its model, such as 'model: domain'")
    return runs


def _options(path: Path, key: str, options: Options, *but: str) -> Options:
    """Options that a recipe may say; the others are compare.py's own."""
    where = f"{path}: {key}" if key else str(path)
    for name, value in options.items():
        if not name.isidentifier():
            raise UserError(f"{where}: {name!r} is no option")
        if name in OWN and name not in but:
            raise UserError(f"{where}: {name!r} is set for each run; leave it out, see --seeds, --budget and --name")
        if isinstance(value, dict):
            raise UserError(f"{where}: {name!r} holds options of its own; expected a value or a list")
    return {name: value for name, value in options.items() if name not in but}


def _mapping(path: Path, key: str, value: Any) -> Options:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UserError(f"{path}: {key}: expected lines of the form 'name: value'")
    return value


def _text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UserError(f"{path}: {key}: expected a text, not {value!r}")
    return " ".join(value.split())


def _seeds(path: Path, value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in value)
    if not whole or not value or len(set(value)) < len(value):
        raise UserError(f"{path}: seeds: expected different whole numbers, such as [0, 1], not {value!r}")
    return tuple(value)


def check_variant_name(path: Path, key: str, name: str) -> None:
    """A variant's name becomes part of a folder's."""
    if not VARIANT.fullmatch(name) or ".." in name:
        raise UserError(f"{path}: {key}: {name!r} cannot name a folder; use letters, digits, dots and dashes")
