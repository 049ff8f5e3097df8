"""docs/map.md cannot drift: its folders, methods, files and names are those there are, and none is left out."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from models import MODELS
from tests.test_docs import ROOT, TEXT, rows
from util.compare.recipe import read_recipe

MAP = TEXT["docs/map.md"]
PLACES = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", MAP)))


def methods():
    """{name: the other cells of its row}."""
    return {name: cells for name, *cells in rows("docs/map.md", "`--model`")}


def definitions(tree):
    """The names that a file or a class defines, dotted where they stand in a class."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.Assign):
            yield from (name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for name in definitions(node))


def test_every_folder_with_code_has_a_line_and_there_are_no_others():
    scripts = {row[0] for row in rows("docs/map.md", "script")}
    assert scripts == {path.name for path in ROOT.glob("*.py")}
    tops = {path.parent for path in ROOT.glob("*/*.py")} - {ROOT / "tests"}
    folders = {path.parent.relative_to(ROOT).as_posix() for top in tops for path in top.rglob("*.py")}
    assert [row[0] for row in rows("docs/map.md", "folder") if not row[1]] == []
    assert sorted(row[0] for row in rows("docs/map.md", "folder")) == sorted(folders | {"tests"})


def test_every_method_has_a_line_with_its_file_and_paper():
    assert sorted(methods()) == MODELS.names()
    papers = {row[0]: row[2] for row in rows("README.md", "`--model`")}
    for name, (file, paper, *_) in methods().items():
        assert Path(inspect.getfile(MODELS.find(name))) == ROOT / file
        assert paper == (papers[name] if papers[name].startswith("[") else "-"), name


def test_the_losses_of_a_method_are_those_that_it_computes():
    known = {
        name for path in (ROOT / "models/losses").glob("*.py") for name in definitions(ast.parse(path.read_text()))
    }
    for name, (_, _, losses, *_) in methods().items():
        classes = [cls for cls in MODELS.find(name).__mro__ if cls.__module__.startswith("models.")]
        source = "".join(inspect.getsource(cls) for cls in classes)
        for loss in losses.split(", ") if losses != "-" else ():
            assert loss in known and re.search(rf"\b{loss}\b", source), f"{name}: {loss}"


def test_every_recipe_is_named_beside_the_methods_that_it_trains():
    trained = {}
    for path in (ROOT / "recipes").glob("*.yaml"):
        recipe = read_recipe(path)
        names = {options.get("model", variant) for variant, options in {**recipe.models, **recipe.prepare}.items()}
        for name in names:
            trained.setdefault(name, set()).add(path.stem)
    for name, (*_, recipes, _) in methods().items():
        assert set(recipes.split(", ")) - {"-"} == trained.get(name, set()), name


def test_the_page_of_a_method_speaks_of_it():
    for name, (*_, page) in methods().items():
        text = TEXT["docs/" + re.fullmatch(r"\[(.*)\]\(\1\)", page)[1]].lower().replace("-", "")
        assert name.replace("_", "") in text.replace("_", ""), f"{name}: {page}"


@pytest.mark.parametrize(("file", "name"), PLACES, ids=lambda value: value)
def test_every_place_that_is_named_exists(file, name):
    assert name in set(definitions(ast.parse((ROOT / file).read_text(encoding="utf-8"))))


def test_ways_are_told_with_places():
    for heading in ("## A batch", "## A flag", "## An image"):
        way = MAP.split(heading, 1)[1].split("\n## ", 1)[0]
        assert len(re.findall(r"`[\w/]+\.py:[\w.]+`", way)) >= 4, heading


def test_files_that_are_named_exist():
    named = re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|md|yaml|json))`", MAP)
    assert all((ROOT / path).is_file() for path in named if path != "metrics.json")
