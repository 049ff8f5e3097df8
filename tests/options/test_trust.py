"""What may execute is typed by hand: every door through which a file could name code, and those that stay open."""

import itertools
import sys

import pytest

import compare as compare_script
import train as train_script
from evaluation.training import words_of_test
from models.cut_model import CUTModel
from options import TrainOptions, UserError
from options.command_line import words_of
from options.parsing import parse
from options.trust import CODE, SERVERS
from tests.conftest import PLUGINS, small_argv, test_options, train_options
from util.compare.recipe import read_recipe
from util.config import read_config, saved_options

PAYLOAD = "from pathlib import Path\nPath({!r}).touch()\nfrom models.cut_model import CUTModel as {}Model\n"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with code that leaves a file behind when it is imported; also importable as ``payload_lab``."""
    for folder, name in (("payload_lab", "odd"), ("lab", "odd")):
        (tmp_path / folder).mkdir()
        text = PAYLOAD.format(str(tmp_path / "executed"), name.title()).replace("as OddModel", "as Base")
        text += "class OddModel(Base): pass\n"
        (tmp_path / folder / f"{name}_model.py").write_text(text)
    (tmp_path / "payload_lab/__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("payload_lab", "payload_lab.odd_model", "odd_model"):
        sys.modules.pop(name, None)


CODES = {
    "model": "payload_lab.odd_model",
    "dataset_mode": "payload_lab.odd_dataset",
    "plugin_dir": "lab",
    "metrics": "[fid, payload_lab.odd_metric]",
    "eval_metrics": "fid,payload_lab.odd_metric",
    "extractor": "module:payload_lab/eyes.py:Eyes",
    "trust": "[a.yaml]",
}


def test_every_option_that_names_code_is_tried():
    assert CODES.keys() == CODE.keys()


@pytest.mark.parametrize("option", CODES)
def test_a_configuration_names_no_code(lab, option):
    (lab / "a.yaml").write_text(f"ngf: 8\n{option}: {CODES[option]}\n")
    for options in (train_options, test_options):
        with pytest.raises(UserError, match=rf"a\.yaml: {option} is .*, a module of its own; give --{option}"):
            options("--config", lab / "a.yaml")
    assert not (lab / "executed").exists()


def test_a_trusted_configuration_may(lab, monkeypatch):
    monkeypatch.chdir(lab)
    (lab / "a.yaml").write_text("model: odd\nplugin_dir: lab\n")
    (lab / "b.yaml").write_text("dataset_mode: payload_lab.odd_dataset\n")
    opt = train_options("--config", "a.yaml", "--trust", lab / "a.yaml")
    assert opt.model == "odd" and (lab / "executed").exists()
    with pytest.raises(UserError, match=r"b\.yaml: dataset_mode is 'payload_lab.odd_dataset'"):
        train_options("--config", "a.yaml", "b.yaml", "--trust", "a.yaml")  # each file by its name
    with pytest.raises(UserError, match=r"--trust b\.yaml: nothing is read from it; name the file of --config"):
        train_options("--config", "a.yaml", "--trust", "b.yaml")


def test_what_is_typed_wins_over_what_a_file_names(lab):
    (lab / "a.yaml").write_text("model: payload_lab.odd_model\nplugin_dir: lab\n")
    opt = train_options("--config", lab / "a.yaml", "--model=cut", "--plugin_dir", lab / "lab")
    assert opt.model == "cut" and not (lab / "executed").exists()


def test_a_file_that_names_no_code_needs_no_trust(lab):
    (lab / "a.yaml").write_text(
        "model: dcl\nplugin_dir: null\neval_metrics: [l1]\neval_freq: 4\ndataset_mode: aligned\n"
    )
    assert train_options("--config", lab / "a.yaml").model == "dcl"


RECIPES = {
    "models: {one: {model: payload_lab.odd_model}}": "model",
    "models: {payload_lab.odd_model: {}}": "model",
    "models: {cut: {}}\ngrid: {model: [cut, payload_lab.odd_model]}": "model",
    "models: {odd: {}}\ncommon: {plugin_dir: lab}": "plugin_dir",
    "models: {cut: {}}\ndata: {dataset_mode: payload_lab.odd_dataset}": "dataset_mode",
    "models: {cut: {}}\nprepare: {eyes: {model: payload_lab.odd_model}}": "model",
    "models: {cut: {}}\nevaluate: {metrics: [l1, payload_lab.odd_metric]}": "metrics",
    "models: {cut: {}}\nevaluate: {metrics: [fid], extractor: 'module:eyes.py:Eyes'}": "extractor",
    "models: {cut: {}}\nduring: {evaluations: 2, eval_metrics: payload_lab.odd_metric}": "eval_metrics",
    "model: payload_lab.odd_model": "model",
}


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_names_no_code_not_even_for_a_dry_run(lab, text, monkeypatch):
    monkeypatch.chdir(lab)
    (lab / "r.yaml").write_text(text + "\n")
    with pytest.raises(UserError, match=rf"r\.yaml: {RECIPES[text]} is .*, or --trust r\.yaml if you have read"):
        compare_script.main(["r.yaml", "--dry_run", "--experiments_dir", str(lab / "experiments")])
    assert not (lab / "executed").exists() and not (lab / "experiments").exists()
    assert read_recipe(lab / "r.yaml", trusted=["r.yaml"]).models


def test_a_recipe_may_be_told_code_by_hand(lab):
    (lab / "r.yaml").write_text("models: {cut: {}}\ncommon: {model: payload_lab.odd_model}\n")
    assert read_recipe(lab / "r.yaml", {"model": "payload_lab.odd_model"}).models["cut"]["model"].startswith("payload")
    with pytest.raises(UserError, match=r"--trust other\.yaml: nothing is read from it; name the file of the recipe"):
        compare_script.main([str(lab / "r.yaml"), "--dry_run", "--trust", "other.yaml"])


def test_no_value_of_a_file_becomes_a_flag(lab):
    """An option's name or value that looks like a flag, of a recipe or of a run that is continued."""
    (lab / "r.yaml").write_text(f"models: {{cut: {{'plugin_dir={lab}/lab': ''}}}}\n")
    with pytest.raises(UserError, match=r"r\.yaml: models: cut: 'plugin_dir=.*' is no option"):
        read_recipe(lab / "r.yaml")
    assert words_of({"metrics": ["fid", "--plugin_dir=lab"], "name": "--x"}) == [
        "--metrics",
        "fid,--plugin_dir=lab",
        "--name=--x",
    ]
    (lab / "run").mkdir()
    (lab / "run/train_opt.yaml").write_text(f"eval_freq: 4\neval_metrics: [l1, --plugin_dir={lab / 'lab'}]\n")
    words = ["--checkpoints_dir", str(lab), "--name", "run", "--continue_train"]
    opt = parse(TrainOptions, PLUGINS, words, read_config, saved_options)
    words = words_of_test(opt, CUTModel)
    assert not [word for word in words if word.startswith("--plugin_dir")]


@pytest.mark.slow
def test_a_saved_file_has_no_server_contacted(dataroot, tmp_path, capsys, monkeypatch):
    contacted = []
    monkeypatch.setattr("util.visualizer.VisdomSink", lambda *words: contacted.append(words))
    once = small_argv(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0)
    assert train_script.main(once) == 0
    path = tmp_path / "checkpoints/run/train_opt.yaml"
    saved = path.read_text().replace("use_visdom: false", "use_visdom: true")
    path.write_text(saved.replace("display_server: http://localhost", "display_server: http://elsewhere"))
    capsys.readouterr()
    assert train_script.main([*once, "--continue_train", "--n_epochs", "2"]) == 0
    said = "shown on no server, for no file may ask for one; add: --use_visdom true --display_server http://elsewhere"
    assert said in capsys.readouterr().out.splitlines() and not contacted
    assert set(SERVERS) <= {field.name for field in TrainOptions.__dataclass_fields__.values()}


def test_the_options_of_a_run_fetch_nothing(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/train_opt.yaml").write_text("dataroot: hf:elsewhere/x\nallow_download: true\nmodel: cut\n")
    words = ("--checkpoints_dir", tmp_path, "--name", "run")
    for options, more in ((test_options, ()), (train_options, ("--continue_train",))):
        assert not options(*words, *more).allow_download
        assert options(*words, *more, "--allow_download").allow_download


@pytest.mark.parametrize(
    "root", ["https://elsewhere/x.tar?key=1", "shards:https://elsewhere/x.tar", "s3://elsewhere/x"]
)
def test_the_options_of_a_run_name_no_server_with_data(tmp_path, root):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/train_opt.yaml").write_text(f"dataroot: '{root}'\nmodel: cut\n")
    words = ("--checkpoints_dir", tmp_path, "--name", "run")
    for options, more in ((test_options, ()), (train_options, ("--continue_train",))):
        with pytest.raises(
            UserError, match=r"dataroot is \S+elsewhere/x\S*, a server, .*; give --dataroot too"
        ) as error:
            options(*words, *more)
        assert "key" not in str(error.value)
        assert options(*words, *more, "--dataroot", root).dataroot == root
    (tmp_path / "a.yaml").write_text(f"dataroot: '{root}'\n")
    opt = train_options("--config", tmp_path / "a.yaml", "--eval_freq", 4, "--eval_metrics", "l1")
    assert opt.dataroot == root and ("--dataroot", root) in itertools.pairwise(words_of_test(opt, CUTModel))
