"""test.py with several styles, with judges, and with tasks of a model, from the command line."""

import json

import pytest
import torch

import test as test_script
import train as train_script
from evaluation import testing as evaluation
from options import UserError
from tests.conftest import test_options, train_options

PLUGIN = """
from collections.abc import Mapping
from dataclasses import dataclass
import torch
from torch import nn
from models import BaseModel
from options import default, option

class BrushModel(BaseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(BaseModel.Options):
        section = "brush"
        ink: float = option(1.0, "how dark", least=0)
        dataset_mode: str = default("font")
        paired: bool = default(True)

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(Options):
        section = "brush results"
        text: str | None = option(None, "write this text", per_run=True)
        again: bool = option(False, "write the text once more", per_run=True)
        copies: int = option(0, "so many copies", per_run=True)
        words: tuple[str, ...] = option((), "words", per_run=True)

    tasks: Mapping[str, str] = {"text": "write", "again": "write", "copies": "copy", "words": "copy"}
    visual_names = ("real_A", "fake_B", "real_B")
    visual_sides = {"real_B": "B"}

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = nn.Conv2d(1, 1, 1)
        if opt.is_train:
            self.add_optimizer("G", self.netG)

    def set_input(self, batch):
        self.real_A, self.real_B = batch["A"], batch["B"]
        self.image_paths = {side: batch[f"{side}_paths"] for side in "AB"}

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def optimize_parameters(self):
        self.forward()
        self.update("G", lambda: {"L1": (self.fake_B - self.real_B).abs().mean()})

    def write(self, dataset, engine, folder):
        folder.mkdir(parents=True, exist_ok=True)
        weight = float(self.netG.weight.detach())
        with (folder / "text.txt").open("a") as file:
            file.write(f"{self.opt.text} in {','.join(dataset.styles)} with {weight:.3f} on {engine.device}\\n")

    def copy(self, dataset, engine, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "copies.txt").write_text(f"{self.opt.copies} {self.opt.words}")
"""
VARIANT = """
from dataclasses import dataclass
from options import default
from brush_model import BrushModel

class ThinModel(BrushModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(BrushModel.Options):
        ink: float = default(0.25)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A run of three styles, of a method from outside the tree."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "brush_model.py").write_text(PLUGIN)
    (folder / "thin_model.py").write_text(VARIANT)
    argv = [
        *("--model", "brush", "--charset", "ascii", "--crop_size", "16", "--max_dataset_size", "4"),
        *("--target_font", "DejaVuSerif,DejaVuSansMono,STIXGeneral", "--n_epochs", "1", "--n_epochs_decay", "0"),
    ]
    assert train_script.main([*argv, *where(folder)]) == 0
    return folder


def where(folder):
    return [
        *("--plugin_dir", str(folder), "--checkpoints_dir", str(folder / "checkpoints"), "--name", "run"),
        *("--gpu_ids", "-1", "--num_threads", "0"),
    ]


def run(lab, folder, *more):
    argv = [*where(lab), "--results_dir", folder, *more]
    assert test_script.main([str(a) for a in argv]) == 0
    return folder / "run/test_latest"


@pytest.mark.slow
def test_several_styles_have_a_page_each_and_a_table(lab, tmp_path, capsys):
    page = run(lab, tmp_path, "--num_test", 3, "--metrics", "l1", "iou", "--batch_size", 2)
    printed = capsys.readouterr().out
    assert "9 of 27 rows; --num_test all runs every one" in printed and "9 rows: " in printed
    table = [line.split("  ")[0] for line in printed.splitlines()]
    names = ["DejaVuSerif", "DejaVuSansMono", "STIXGeneral"]
    at = table.index("style")
    assert table[at + 1 : at + 8] == [
        *names,
        *("mean", "the source, copied", "a white page", "the truth, one pixel off"),
    ]
    for name in names:
        assert len(list((page / name / "images/fake_B").iterdir())) == 3 and (page / name / "index.html").is_file()
    kept = json.loads((page / "metrics.json").read_text())
    assert list(kept) == ["version", "L1", "IoU"] and kept["L1"]["pairs"] == 9
    assert kept["L1"]["value"] == pytest.approx(sum(kept["L1"]["styles"].values()) / 3)
    assert kept["IoU"]["floors"]["a white page"]["value"] == 0
    assert 0 < kept["L1"]["floors"]["the truth, one pixel off"]["value"] < 0.2


@pytest.mark.slow
def test_batches_that_reach_over_styles_give_the_same_scores(lab, tmp_path):
    kept = [
        json.loads((run(lab, tmp_path / n, "--metrics", "l1", "--batch_size", n) / "metrics.json").read_text())["L1"]
        for n in ("1", "7")
    ]
    assert kept[0].pop("styles") == pytest.approx(kept[1].pop("styles")) and kept[0].keys() == kept[1].keys()
    assert kept[0]["value"] == pytest.approx(kept[1]["value"])
    for label, floor in kept[0]["floors"].items():
        assert floor == pytest.approx(kept[1]["floors"][label])


def test_one_style_is_tested_as_ever(lab, tmp_path, capsys):
    page = run(lab, tmp_path, "--metrics", "l1", "--styles", "DejaVuSerif")
    assert (page / "images/fake_B").is_dir() and not (page / "DejaVuSerif").exists()
    assert "mean of 9 pairs; the source, copied: " in capsys.readouterr().out


def test_judges_are_loaded_and_asked(lab, tmp_path, monkeypatch, capsys):
    asked = []

    def load(folder, kind, device, styles):
        asked.append((folder, kind, str(device), styles))

        def judge(images):
            return torch.full((len(images),), 1 if kind == "style" else 65)

        judge.classes = frozenset({0, 1, 2})
        return judge

    monkeypatch.setattr(evaluation, "load_judge", load)
    page = run(lab, tmp_path, "--num_test", 2, "--recogniser", "runs/r", "--style_judge", "runs/s")
    styles = {"DejaVuSerif": 0, "DejaVuSansMono": 1, "STIXGeneral": 2}
    assert asked == [("runs/r", "character", "cpu", styles), ("runs/s", "style", "cpu", styles)]
    kept = json.loads((page / "metrics.json").read_text())
    assert kept["style"]["styles"] == {"DejaVuSerif": 0.0, "DejaVuSansMono": 1.0, "STIXGeneral": 0.0}
    assert "recognition / real" in kept and "the style judge knows 3 styles" in capsys.readouterr().out


def test_a_judge_needs_a_run_and_true_targets(lab, tmp_path, whole):
    with pytest.raises(UserError, match=r"no judge: there is no run in .*nowhere"):
        run(lab, tmp_path, "--recogniser", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"--recogniser x --style_judge y: .*no true targets"):
        test_script.main(
            [
                *("--checkpoints_dir", str(whole / "checkpoints"), "--name", "run", "--gpu_ids", "-1"),
                *("--recogniser", "x", "--style_judge", "y", "--num_threads", "0"),
            ]
        )
    assert not (tmp_path / "run").exists()


def test_a_task_runs_once_with_the_weights_and_in_place_of_the_page(lab, tmp_path):
    page = run(lab, tmp_path, "--text", "永", "--again", "--styles", "STIXGeneral,DejaVuSerif")
    (line,) = (page / "text.txt").read_text().splitlines()
    weight = torch.load(lab / "checkpoints/run/latest_net_G.pth", weights_only=True)["weight"].item()
    assert line == f"永 in STIXGeneral,DejaVuSerif with {weight:.3f} on cpu"
    assert [p.name for p in page.iterdir()] == ["text.txt"]


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["--copies", 2], {"copies.txt"}),
        (["--words", "a", "b"], {"copies.txt"}),
        (["--copies", 2, "--again"], {"copies.txt", "text.txt"}),
    ],
)
def test_every_task_that_is_asked_for_runs(lab, tmp_path, words, made):
    assert {p.name for p in run(lab, tmp_path, *words).iterdir()} == made


def test_flags_without_a_value_ask_for_nothing(lab, tmp_path):
    page = run(lab, tmp_path, "--num_test", 1, "--text", "none", "--again", "no", "--copies", 0)
    assert (page / "index.html").is_file()
    assert not (page / "text.txt").exists() and not (page / "copies.txt").exists()


# -- their flags -----------------------------------------------------------------------------------


def test_flags_of_tasks_are_those_of_the_test(lab, capsys):
    for parse, shown in ((test_options, True), (train_options, False)):
        with pytest.raises(SystemExit):
            parse("--model", "brush", "--plugin_dir", lab, "--help")
        text = capsys.readouterr().out
        assert ("brush results:" in text) == ("--copies" in text) == shown and "--ink" in text


@pytest.mark.parametrize("words", [["--model", "brush"], ["--model", "thin"]])
def test_training_says_whose_the_flag_is(lab, words, tmp_path):
    with pytest.raises(UserError, match=rf"no option --text; it belongs to test.py {' '.join(words)}$"):
        train_options(*words, "--plugin_dir", lab, "--text", "x")
    (tmp_path / "a.yaml").write_text("copies: 3\n")
    with pytest.raises(UserError, match=r"no option 'copies'.*; it belongs to test.py --model"):
        train_options(*words, "--plugin_dir", lab, "--config", tmp_path / "a.yaml")


def test_a_variant_inherits_tasks_and_keeps_its_own_defaults(lab):
    opt = test_options("--model", "thin", "--plugin_dir", lab, "--text", "x")
    assert (opt.ink, opt.text, opt.dataset_mode, opt.is_train) == (0.25, "x", "font", False)
    assert train_options("--model", "thin", "--plugin_dir", lab).ink == 0.25


def test_what_belongs_to_one_test_is_not_kept(lab, tmp_path):
    page = run(lab, tmp_path, "--num_test", 1, "--copies", 0)
    assert "copies: 0" in (page / "test_opt.yaml").read_text()
    opt = test_options(*where(lab), "--copies", "3")
    assert (opt.copies, opt.model, opt.text) == (3, "brush", None)
