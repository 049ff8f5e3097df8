"""Recipes that are shipped: what their first lines promise, and that all they ask for fits together."""

import shlex
from pathlib import Path

import pytest

import compare
import train
from models import MODELS
from models.base_latent import LatentModel
from models.base_translation import TranslationModel
from options.command_line import words_of
from tests.conftest import train_options
from util.compare.recipe import read_recipe

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))
GRIDS = ["digits", "glyphs", "zoo", "zoo_digits"]
APART = {"sincut", "template"}  # one picture from one other; an example to copy


def header(path):
    """The lines of a recipe before anything else, as one text."""
    lines = path.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line[1:].strip() for line in lines[:end])


def command(path, script):
    """The words of the command in its first lines, of which one may go on in the next."""
    text = path.read_text().replace("\\\n#", "")
    return shlex.split(next(line for line in text.splitlines() if f"#     python {script}" in line))[3:]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_begins_with_its_commands_and_what_to_expect(path, tmp_path):
    assert "Expected:" in header(path) and "Hours:" in header(path)
    if path.stem in GRIDS:
        assert command(path, "compare.py") == [f"recipes/{path.name}", "--jobs", "2"]
        assert "What may be concluded:" in header(path) and "What may not:" in header(path)
        return
    words = command(path, "train.py")
    assert words[:2] == ["--config", f"recipes/{path.name}"] and "--name" in words
    opt = train_options("--config", path, *words[2:])
    assert opt.dataset_mode == "font" or opt.dataroot.startswith("datasets/")
    assert train_options("--config", path).dataroot == opt.dataroot  # compare.py, which reads the file alone, finds it
    tested = command(path, "test.py")
    assert tested[:2] == ["--name", words[words.index("--name") + 1]]
    compare.check_test([*tested, "--checkpoints_dir", str(tmp_path)], opt)


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_can_be_compared(path, tmp_path, capsys):
    """Options of every run and of its tests are read; nothing is written."""
    assert compare.main([str(path), "--dry_run", "--experiments_dir", str(tmp_path / "experiments")]) == 0
    recipe = read_recipe(path)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("python ")]
    runs = len(recipe.models) * len(recipe.seeds)
    trained = [line for line in lines if "train.py" in line]
    best = [line for line in lines if "--epoch best" in line]  # of runs that are evaluated as they train
    assert len(trained) == runs + len(recipe.prepare) and len(lines) == len(trained) + runs + len(best)
    assert len(best) == runs * ("--eval_freq" in trained[-1]) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "models"), [
    ("glyphs", {"cut", "fastcut", "cycle_gan", "dcl", "simdcl", "zi2zi"}),
    ("digits", {"contragan", "reacgan", "infomaxgan", "dualcontrast", "sngan", "biggan", "acgan"}),
])  # fmt: skip
def test_grids_compare_these_methods_within_an_hour(name, models):
    recipe = read_recipe(RECIPES[0].parent / f"{name}.yaml")
    assert set(recipe.models) == models and recipe.seeds == (0, 1) and recipe.note
    assert len(models) * len(recipe.seeds) * recipe.budget.minutes / 2 < 45  # of training, two runs side by side


def test_only_zi2zi_sees_pairs_of_glyphs(tmp_path):
    recipe = read_recipe(RECIPES[0].parent / "glyphs.yaml")
    paired = {name: compare.parse_train(words_of(options)).paired for name, options in recipe.models.items()}
    assert [name for name, sees in paired.items() if sees] == ["zi2zi"]
    assert "zi2zi alone sees pairs" in recipe.note


def of_zoo(name):
    return read_recipe(RECIPES[0].parent / f"{name}.yaml")


@pytest.mark.parametrize(("name", "kind", "others"), [
    ("zoo", TranslationModel, {"zi2zi"}),
    ("zoo_digits", LatentModel, set()),
])  # fmt: skip
def test_no_method_is_missing_from_the_zoo(name, kind, others):
    """A new method belongs in one of the recipes that compare all of a kind."""
    recipe = of_zoo(name)
    there = {method for method in MODELS.names() if issubclass(MODELS.find(method), kind)}
    assert {options["model"] for options in recipe.models.values()} == (there | others) - APART
    assert recipe.seeds == (0, 1, 2) and recipe.note


def test_pairs_of_the_zoo_are_seen_by_those_that_its_note_names():
    recipe = of_zoo("zoo")
    sees = {name for name, options in recipe.models.items() if compare.parse_train(words_of(options)).paired}
    assert sees == {"pix2pix", "zi2zi"} and recipe.note.startswith("pix2pix and zi2zi see pairs")


def test_the_zoo_takes_a_hundred_minutes_on_two_cores():
    """With what a core was at beside training: 0.4 minutes a run starting and testing, as much timing a variant."""
    recipe = of_zoo("zoo")
    variants = len(recipe.models)
    of_runs = variants * len(recipe.seeds) * (recipe.budget.minutes + 0.4)
    assert (of_runs + 0.4 * variants) / 2 + 1.5 < 100  # the extractor is alone


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name in ("zoo", "zoo_digits") for variant in of_zoo(name).models]
)
def test_every_variant_of_the_zoo_makes_a_step(name, variant, tmp_path):
    """On its own data, which --dry_run does not look at."""
    own = {"name": "run", "checkpoints_dir": tmp_path, "max_steps": 1}
    assert train.main(words_of(of_zoo(name).models[variant] | own)) == 0
