"""Recipes: what a file says, and what is refused in one line."""

from pathlib import Path

import pytest

from options import UserError
from options.command_line import words_of
from util.compare.recipe import Budget, read_budget, read_recipe

WHOLE = """
title: Two methods
note: Nothing may be
  concluded.
data: {dataset_mode: font, crop_size: 32}
common: {ngf: 8, lr: 1.0e-4}
models: {cut: {}, light: {model: cut, ngf: 4}}
seeds: [0, 3]
budget: 20 steps
prepare: {eyes: {model: domain, crop_size: 64, max_steps: 5}}
evaluate: {metrics: [l1, fid], extractor: "domain:{eyes}"}
during: {eval_freq: 40}
"""


def recipe(folder, text, **extra):
    path = folder / "two.yaml"
    path.write_text(text)
    return read_recipe(path, **extra)


def test_a_variant_has_what_data_common_and_its_own_lines_say(tmp_path):
    read = recipe(tmp_path, WHOLE)
    assert (read.name, read.title, read.seeds, read.budget) == ("two", "Two methods", (0, 3), Budget(steps=20))
    assert read.note == "Nothing may be concluded."
    shared = {"dataset_mode": "font", "crop_size": 32, "lr": 1e-4}
    assert read.models == {
        "cut": {"model": "cut", "ngf": 8, **shared},
        "light": {"model": "cut", "ngf": 4, **shared},
    }
    prepared = {"dataset_mode": "font", "crop_size": 64, "model": "domain", "max_steps": 5}
    assert read.prepare == {"eyes": prepared}  # of the data, not of what is compared


def test_what_the_command_line_says_wins(tmp_path):
    read = recipe(tmp_path, WHOLE, extra={"ngf": "2"}, evaluate={"metrics": "ssim"})
    assert [options["ngf"] for options in read.models.values()] == ["2", "2"]
    assert read.evaluate == {"metrics": "ssim", "extractor": "domain:{eyes}"} and "ngf" not in read.prepare["eyes"]


def test_a_grid_is_every_combination_joined_to_every_name(tmp_path):
    text = "models: {cut: {}, dcl: {lr: 1}}\ngrid: {lr: [2e-4, 1e-4], nce_layers: [[0, 4], [8]]}"
    read = recipe(tmp_path, text)
    assert list(read.models)[:4] == [
        "cut-lr2e-4-nce_layers_0_4_",
        "cut-lr2e-4-nce_layers_8_",
        "cut-lr1e-4-nce_layers_0_4_",
        "cut-lr1e-4-nce_layers_8_",
    ]
    assert len(read.models) == 8 and read.models["dcl-lr1e-4-nce_layers_8_"]["lr"] == "1e-4"


def test_a_flat_file_of_options_is_a_recipe_of_one_variant(tmp_path):
    read = recipe(tmp_path, "model: cut\nlr: 1.0e-4\nseed: 7")
    assert read.models == {"two": {"model": "cut", "lr": 1e-4}} and read.seeds == (7,) and read.budget is None


def test_a_part_of_a_recipe_can_be_chosen(tmp_path):
    read = recipe(tmp_path, WHOLE)
    part = read.chosen(["light"], [5], Budget(minutes=1.0))
    assert (list(part.models), part.seeds, part.budget) == (["light"], (5,), Budget(minutes=1.0))
    assert read.chosen((), (), None) == read
    with pytest.raises(UserError, match=r"--models ligth: .* did you mean light"):
        read.chosen(["ligth"], (), None)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("300steps", Budget(steps=300)),
        ("1 step", Budget(steps=1)),
        ("2min", Budget(minutes=2.0)),
        ("0.5 minutes", Budget(minutes=0.5)),
    ],
)
def test_budgets(text, budget):
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["300", "0 steps", "1.5 steps", "-3 min", "three minutes", "2h", ""])
def test_what_is_no_budget(text):
    with pytest.raises(UserError, match="--budget"):
        read_budget(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sedes: [1]\nmodels: {cut: {}}", "two.yaml: no key 'sedes'; did you mean seeds"),
        ("seeds: [1]\nseeds: [2]\nmodels: {cut: {}}", "'seeds' is given twice, on line 2"),
        ("models: {cut: {lr: 1, lr: 2}}", "'lr' is given twice"),
        ("title: none", "two.yaml: models: name at least one"),
        ("models: [cut]", "two.yaml: models: expected lines"),
        ("models: {cut: 3}", "two.yaml: models: cut: expected lines"),
        ("models: {cut: {lr: {a: 1}}}", "two.yaml: models: cut: 'lr' holds options"),
        ("models: {cut: {seed: 1}}", "two.yaml: models: cut: 'seed' is set for each run"),
        ("models: {../cut: {}}", "two.yaml: models: '../cut' cannot name a folder"),
        ("models: {cut: {}}\nseeds: [1, 1]", "seeds: expected different whole numbers"),
        ("models: {cut: {}}\nseeds: 2", "seeds: expected different whole numbers"),
        ("models: {cut: {}}\nseeds: [true]", "seeds: expected different whole numbers"),
        ("models: {cut: {}}\nbudget: 20", "two.yaml: budget 20: expected a number of steps"),
        ("models: {cut: {}}\ngrid: {lr: 1}", "grid: lr: expected a list"),
        ("models: {cut: {}}\ngrid: {charset: [a b, a-b, a*b]}", "two variants would be called cut-charseta_b"),
        ("models: {cut: {}}\nprepare: {eyes: {}}", "prepare: eyes: name its model"),
        ("models: {cut: {}}\nprepare: {eyes: {model: domain, seed: 1}}", "prepare: eyes: 'seed' is set"),
        ("models: {cut: {}}\nevaluate: {epoch: latest, results_dir: x}", "evaluate: 'results_dir' is set"),
        ("model: cut\nname: x", "two.yaml: 'name' is set for each run"),
        ("models: {cut: {}}\ntitle: [1]", "title: expected a text"),
        ("? [1, 2]\n: 3", "the key on line 1 is no name"),
        ("models: {cut: {}", "two.yaml"),
        ("- cut", "expected lines"),
        ("title: !!python/object/apply:os.getcwd []\nmodels: {cut: {}}", "could not determine a constructor"),
    ],
)
def test_mistakes_are_told_with_the_file_and_the_key(tmp_path, text, said):
    with pytest.raises(UserError) as error:
        recipe(tmp_path, text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"no\.yaml: No such file"):
        read_recipe(Path(tmp_path, "no.yaml"))


def test_words_read_as_the_values_they_came_from():
    options = {"lr": 1e-4, "gpu_ids": -1, "no_html": True, "nce_layers": [0, 4], "lr_D": None, "charset": "", "ngf": 8}
    words = ["--lr", "0.0001", "--gpu_ids=-1", "--no_html", "true", "--nce_layers", "0,4", "--lr_D", "none"]
    assert words_of(options) == [*words, "--charset=", "--ngf", "8"]


FAMILIES = (
    "models: {cut: {}, dcl: {}}\nfamilies: {mine: [cut]}\nnotes: {dcl: needs  longer}\nsettings: a sweep of three\n"
)


def test_families_notes_and_settings_are_of_variants(tmp_path):
    (tmp_path / "some.yaml").write_text(FAMILIES)
    recipe = read_recipe(tmp_path / "some.yaml")
    assert (recipe.families, recipe.notes, recipe.settings) == (
        {"cut": "mine"},
        {"dcl": "needs longer"},
        "a sweep of three",
    )
    (tmp_path / "some.yaml").write_text(FAMILIES + "grid: {lr: [1, 2]}\n")
    recipe = read_recipe(tmp_path / "some.yaml")
    assert recipe.families == {"cut-lr1": "mine", "cut-lr2": "mine"} and list(recipe.notes) == ["dcl-lr1", "dcl-lr2"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("families: {mine: [cutt]}", "families: mine: no variant 'cutt'; did you mean cut?"),
        ("families: {mine: [cut], other: [cut]}", "families: other: cut is in 'mine' too; a variant has one family"),
        ("families: {mine: cut}", "families: mine: expected a list of variants, such as '[cut, dcl]', not 'cut'"),
        ("notes: {dcl: [1]}", "notes: dcl: expected a text, not [1]"),
        ("notes: {gone: x}", "notes: no variant 'gone'"),
        ("settings: [1]", "settings: expected a text, not [1]"),
    ],
)
def test_what_is_said_of_variants_that_are_not_there_is_refused(tmp_path, line, words):
    (tmp_path / "some.yaml").write_text(f"models: {{cut: {{}}, dcl: {{}}}}\n{line}\n")
    with pytest.raises(UserError) as refused:
        read_recipe(tmp_path / "some.yaml")
    assert f"some.yaml: {words}" in str(refused.value)


@pytest.mark.parametrize("key", ["launcher", "slurm", "ray", "gpus", "gpus_per_run", "jobs"])
def test_where_runs_go_is_no_matter_of_a_recipe(tmp_path, key):
    with pytest.raises(UserError, match=f"no key '{key}'"):
        recipe(tmp_path, f"{WHOLE}{key}: slurm\n")
