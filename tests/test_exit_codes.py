"""The table of docs/running.md: each code, from each script that can end with it, and one line that says why."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch

import compare as compare_script
import evaluate as evaluate_script
import runs as runs_script
import test as test_script
import train as train_script
import translate as translate_script
from networks.glyph_judge import GlyphJudge
from options import Exit
from tests.conftest import small_argv
from tests.util.test_storage import disk_of
from tests.util.training.test_gate import spoil_file
from util.cli import run

ROOT = Path(__file__).parents[1]
ALL = (train_script, test_script, translate_script, evaluate_script, compare_script, runs_script)
SCRIPTS = {script.__name__: script for script in ALL}


@pytest.fixture(scope="module")
def place(whole, dataroot, tmp_path_factory):
    """A run; one whose latest generator is not finite, one whose files are short; judges likewise; a recipe."""
    folder = tmp_path_factory.mktemp("codes")
    for name in ("run", "nan", "short"):
        shutil.copytree(whole / "checkpoints/run", folder / "checkpoints" / name)
        (folder / f"judge_{name}").mkdir()
        judge = GlyphJudge("character", ["65", "66"], 3, 32, 4)
        torch.save(judge.state_dict(), folder / f"judge_{name}/latest_net_C.pth")
    for label in ("latest", "previous"):
        for file in (folder / "checkpoints/nan").glob(f"{label}_net_G*.pth"):
            spoil_file(file.parent, file.name)
    spoil_file(folder / "judge_nan", "latest_net_C.pth")
    for file in [*folder.glob("checkpoints/short/*.pth"), *folder.glob("checkpoints/short/*.pt")]:
        cut_short(file)
    cut_short(folder / "judge_short/latest_net_C.pth")
    (folder / "recipe.yaml").write_text(f"data: {{dataroot: {dataroot}}}\nmodels: {{cut: {{}}}}\nbudget: 5 steps\n")
    for code in (3, 5, 75):
        (folder / f"ending_{code}").mkdir()
        (folder / f"ending_{code}/train.py").write_text(f"import sys\nprint('train.py: it ends')\nsys.exit({code})\n")
    return folder


def cut_short(file):
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[: len(content) // 2])


def words_of(script, data, name="run", more=()):
    """A command that ends with 0."""
    here = ["--gpu_ids", "-1", "--num_threads", "0"]
    pictures = ["--input", f"{data}/testA", "--output", "out", "--gpu_ids", "-1", "--overwrite"]
    words = {
        "train": [*small_argv(data, Path()), "--name", "new", "--max_steps", "2", "--no_html", "--overwrite"],
        "test": ["--dataroot", str(data), "--name", name, "--num_test", "1", *here],
        "translate": ["--checkpoint", f"checkpoints/{name}", *pictures],
        "evaluate": ["--real", f"{data}/testA", "--fake", f"{data}/testA", "--metrics", "ssim", *here[:2]],
        "compare": ["checkpoints/run", "--output", "page"],
        "runs": ["--checkpoints_dir", "checkpoints", "--filter", name],
    }
    return [*words[script], *more]


JUDGED = ("--metrics", "kid", "--extractor", "domain:judge_{}")
PLACES = {  # in each script, where it is at work, and has begun
    "train": "util.training.engine.Engine.update",
    "test": "models.base_model.BaseModel.test",
    "translate": "translate.write_picture",
    "evaluate": "evaluate.scores_of_pairs",
    "compare": "compare.build_page",
    "runs": "runs.write_page",
}
CASES = [
    *[(script, 0, "run", ()) for script in SCRIPTS],
    *[(script, 2, "run", ("--nosuch", "1")) for script in SCRIPTS],
    ("train", 3, "run", ("--lr", "1e10")),
    ("train", 3, "run", ("--pretrained_name", "nan")),
    ("test", 3, "nan", ()),
    ("translate", 3, "nan", ()),
    ("evaluate", 3, "nan", JUDGED),
    ("train", 4, "run", ("--pretrained_name", "short")),
    ("test", 4, "short", ()),
    ("translate", 4, "short", ()),
    ("evaluate", 4, "short", JUDGED),
    *[(script, 5, "run", ("--output", "file.json") if script == "evaluate" else ()) for script in SCRIPTS],
    *[(script, 6, "run", ()) for script in SCRIPTS],
    ("runs", 4, "short", ("--prune", "--yes")),
    ("train", 75, "run", ()),
    *[(script, 130, "run", ()) for script in SCRIPTS],
]


def memory(*_, **__):
    torch.empty(1 << 50)


def asked(*_, **__):
    os.kill(os.getpid(), signal.SIGTERM)


def disturb(monkeypatch, script, code):
    if code == 6:
        monkeypatch.setattr(PLACES[script], memory)
    elif code == 75:
        update = train_script.Engine.update
        monkeypatch.setattr(PLACES[script], lambda *words: (asked(), update(*words))[1])
    elif code == 130:
        monkeypatch.setattr("train.check_pairs" if script == "train" else PLACES[script], asked)


@pytest.mark.slow
@pytest.mark.parametrize(("script", "code", "name", "more"), CASES)
def test_each_script_ends_with_the_code_of_the_table(place, dataroot, monkeypatch, capsys, script, code, name, more):
    monkeypatch.chdir(place)
    argv = words_of(script, dataroot, name, [word.format(name) for word in more])
    monkeypatch.setattr("sys.argv", [f"{script}.py", *argv])
    disturb(monkeypatch, script, code)
    if code == 5:
        with disk_of(1000):
            found = run(lambda: SCRIPTS[script].main(argv))
    else:
        found = run(lambda: SCRIPTS[script].main(argv))
    said = capsys.readouterr()
    assert found == code, said
    if code in (0, 75):  # that it stopped is said where it says what it does
        assert "Traceback" not in said.err and (code == 0 or "saved at step 1" in said.out)
    else:
        assert said.err.strip().splitlines()[-1].startswith(f"{script}.py: ") and "Traceback" not in said.err


@pytest.mark.slow
@pytest.mark.parametrize(("ends", "code"), [(3, 1), (5, 5), (75, 75)])
def test_compare_ends_with_what_became_of_its_runs(place, monkeypatch, capsys, ends, code):
    monkeypatch.chdir(place)
    monkeypatch.setattr(compare_script, "SCRIPTS", place / f"ending_{ends}")
    argv = ["recipe.yaml", "--experiments_dir", f"experiments_{ends}"]
    monkeypatch.setattr("sys.argv", ["compare.py", *argv])
    assert run(lambda: compare_script.main(argv)) == code
    assert "Traceback" not in capsys.readouterr().err


def test_the_table_of_the_docs_has_these_codes():
    table = (ROOT / "docs/running.md").read_text().partition("## Exit codes")[2].partition("##")[0]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert told == set(Exit) and {code for _, code, _, _ in CASES} | {Exit.BUG} == told
