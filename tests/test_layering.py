"""Imports point downwards, and methods stay free of machinery."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("options", "util", "networks", "data", "models")
MAY_IMPORT = {
    "options": {"options"},
    "util": {"options", "util"},
    "networks": {"networks"},
    "data": {"options", "util", "data"},
    "models/losses": {"models"},
    "models": {"options", "util", "networks", "models"},
}
MACHINERY = ("autocast", "torch.distributed", "torch.compile", ".backward(", ".cuda(", "zero_grad")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_point_downwards(layer):
    files = list((ROOT / layer).rglob("*.py"))
    if layer == "models":
        files = [f for f in files if "losses" not in f.parts]
    wrong = [
        f"{f.relative_to(ROOT)} imports {name}"
        for f in files
        for name in imported(f)
        if name.split(".")[0] in OURS and name.split(".")[0] not in MAY_IMPORT[layer]
    ]
    assert files and not wrong


def test_options_need_the_standard_library_only():
    import sys

    known = set(sys.stdlib_module_names) | {"options"}
    assert not [
        (f.name, n) for f in (ROOT / "options").glob("*.py") for n in imported(f) if n.split(".")[0] not in known
    ]


def test_losses_know_nothing_of_models():
    wrong = [
        n
        for f in (ROOT / "models/losses").glob("*.py")
        for n in imported(f)
        if n.startswith("models") and not n.startswith("models.losses")
    ]
    assert not wrong


def test_networks_import_torch_only():
    allowed = {"torch", "networks", "math", "copy", "inspect", "collections", "dataclasses", "typing", "itertools"}
    assert not [
        (f.name, n) for f in (ROOT / "networks").glob("*.py") for n in imported(f) if n.split(".")[0] not in allowed
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*_model.py")), ids=lambda p: p.name)
def test_methods_do_not_touch_the_machinery(path):
    assert path.name == "base_model.py" or not [word for word in MACHINERY if word in path.read_text()]
