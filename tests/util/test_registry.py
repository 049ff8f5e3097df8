"""Plugins by name, from the tree and from outside it."""

import pytest

from data import DATASETS
from evaluation.metrics import METRICS
from models import MODELS
from options import UserError
from util.registry import Plugins

MINE = """
from models.cut_model import CUTModel
class MyModel(CUTModel):
    pass
"""


def test_names():
    assert {"cut", "fastcut", "template"} <= set(MODELS.names()) and "base" not in MODELS.names()
    assert {"aligned", "font", "single", "template", "unaligned"} <= set(DATASETS.names())
    assert "l1" in METRICS.names()
    assert MODELS.find("cut").__name__ == "CUTModel" and MODELS.find("models.cut_model").__name__ == "CUTModel"


def test_a_plugin_outside_the_tree(tmp_path):
    (tmp_path / "my_model.py").write_text(MINE)
    found = MODELS.find("my", str(tmp_path))
    assert found.__name__ == "MyModel" and issubclass(found, MODELS.find("cut"))
    assert "my" in MODELS.names(str(tmp_path)) and "my" not in MODELS.names()


@pytest.mark.parametrize("name", ["../x", "os", "sub.x", "__init__", "Cut", "cut model", "", "base/../cut"])
def test_nothing_else_is_imported(name):
    with pytest.raises(UserError):
        MODELS.find(name)


@pytest.mark.parametrize(
    "text,message",
    [
        ("import nosuchpackage", "imports 'nosuchpackage', which is not installed"),
        ("1/0", "ZeroDivisionError"),
        ("x = (", "SyntaxError"),
        ("class Other: pass", "should define a subclass of BaseModel whose name, in lower case, is 'broken"),
    ],
)
def test_a_broken_plugin_is_named(tmp_path, text, message, request):
    name = f"broken{abs(hash(request.node.name)) % 10**6}"
    (tmp_path / f"{name}_model.py").write_text(text)
    with pytest.raises(UserError, match=message):
        MODELS.find(name, str(tmp_path))
    assert Plugins("models", "model", object).find("cut")
