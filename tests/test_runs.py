"""runs.py: many runs in view, and what --prune leaves of them."""

import json
import shutil
import sys

import pytest

import runs as runs_script
import test as test_script
import train as train_script
from tests.conftest import small_argv
from tests.test_claims import tree
from tests.util.test_claim import hold
from tests.util.training.test_found_runs import put_run
from util.cli import run
from util.training.found_runs import FoundRun
from util.training.manifest import by_age
from util.training.runs_table import RunsTable


@pytest.fixture
def place(tmp_path, monkeypatch):
    put_run(tmp_path, "checkpoints/one", "ngf=8", values={"FID": {"last": 3.0, "better": "lower"}})
    put_run(tmp_path, "checkpoints/two", state="running", steps=40)
    put_run(tmp_path, "checkpoints/three", state="failed", code=2, error="a picture \x1b[2J is gone")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch, *argv):
    monkeypatch.setattr(sys, "argv", ["runs.py", *argv])
    return run(lambda: runs_script.main(list(argv)))


def test_a_table_a_page_and_json(place, monkeypatch, capsys):
    assert call(monkeypatch, "--sort", "state") == 0
    out = capsys.readouterr().out
    names = [line.split()[0] for line in out.splitlines()]
    assert names[:5] == ["run", "two", "three", "one", "3"] and "3 runs: 1 died, 1 failed, 1 finished" in out
    assert "two died after step 40; train.py --continue_train goes on with it" in out
    assert "three failed: a picture ?[2J is gone" in out and out.splitlines()[-1] == "checkpoints/runs.html"
    found = [FoundRun(folder=place, name=f"run-{k}", state="died") for k in range(12)]
    assert list(runs_script.summary(RunsTable(found, (), ())))[-2:] == [
        "run-9 died after step 0; train.py --continue_train goes on with it",
        "2 more died; the page and --json say of each how",
    ]
    page = (place / "checkpoints/runs.html").read_text()
    assert "\x1b" not in page and page.count('scope="row"') == 3
    (place / "checkpoints/runs.html").unlink()
    assert call(monkeypatch, "--json", "--filter", "ngf=8") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["folder"], entry["state"]) == ("one", "checkpoints/one", "finished")
    assert not (place / "checkpoints/runs.html").exists()
    assert call(monkeypatch, "--filter", "state=stopped") == 0
    assert capsys.readouterr().out == "checkpoints: none of 3 runs is like that\n"


@pytest.mark.parametrize("words", [(), ("--sort", "FID"), ("--metrics", "FID", "--filter", "ngf=8"), ("--prune",)])
def test_a_folder_without_a_run(tmp_path, monkeypatch, capsys, words):
    assert call(monkeypatch, "--checkpoints_dir", str(tmp_path), *words) == 0
    assert capsys.readouterr() == (f"{tmp_path}: there is no run\n", "")
    assert call(monkeypatch, "--checkpoints_dir", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out) == [] and not list(tmp_path.iterdir())


def test_a_page_of_somebody_else_is_not_overwritten(place, monkeypatch, capsys):
    (place / "checkpoints/runs.html").write_text("mine")
    assert call(monkeypatch) == 2
    said = capsys.readouterr()
    assert "runs.html: something else is there, which is not overwritten; choose another --output" in said.err
    assert "one" in said.out and (place / "checkpoints/runs.html").read_text() == "mine"
    for _ in range(2):
        assert call(monkeypatch, "--output", "pages/all.html") == 0
    assert (place / "pages/all.html").is_file()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--checkpoints_dir", "nosuch"], 2, "--checkpoints_dir nosuch: there is no such folder"),
        (["--prune", "--json"], 2, "--prune and --json contradict each other"),
        (["--yes"], 2, "--yes: only --prune asks"),
        (["--keep_every", "5"], 2, "--keep_every 5: only --prune deletes"),
        (
            ["--checkpoints_dir", "checkpoints/one/run.json"],
            2,
            "--checkpoints_dir checkpoints/one/run.json: is no folder",
        ),
        (["--json", "--output", "x.html"], 2, "--output x.html: --json and --no_html write no page"),
        (["--keep_every", "-1"], 2, "--keep_every -1"),
        (["--filter="], 2, "--filter '': names nothing"),
        (["--output", "checkpoints"], 2, "checkpoints: something else is there"),
    ],
)
def test_what_is_refused(place, monkeypatch, capsys, words, code, said):
    before = tree(place)
    assert call(monkeypatch, *words) == code
    assert said in capsys.readouterr().err.splitlines()[-1] and tree(place) == before


class Terminal:
    """Somebody who is asked; None is nobody."""

    def __init__(self, answer):
        self.answer = answer

    def isatty(self):
        return self.answer is not None

    def readline(self, *_):
        return self.answer


@pytest.mark.slow
def test_prune_asks_and_what_is_left_goes_on(whole, dataroot, tmp_path, monkeypatch, capsys):
    shutil.copytree(whole / "checkpoints/run", tmp_path / "checkpoints/run")
    shutil.copytree(whole / "checkpoints/run", tmp_path / "checkpoints/busy")
    hold(tmp_path / "checkpoints/busy")
    monkeypatch.chdir(tmp_path)
    before, words = tree(tmp_path), ["--prune", "--keep_every", "2"]
    for answer, code in ((None, 2), ("n\n", 0), ("", 0), ("\n", 0)):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        assert call(monkeypatch, *words) == code
        said = capsys.readouterr()
        assert "checkpoints/run: 2 checkpoints, " in said.out and said.out.count("busy: is running") == 1
        assert ("there is no terminal to ask at, so --yes is needed" in said.err) == (answer is None)
        assert tree(tmp_path) == before
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert call(monkeypatch, *words) == 0
    assert "deleted 2 checkpoints of 1 run" in capsys.readouterr().out
    left = {path for path in before if path.startswith("checkpoints/busy/") or ("/1" not in path and "/3" not in path)}
    assert set(tree(tmp_path)) == left
    assert set(by_age(tmp_path / "checkpoints/run")) == {"2", "latest", "previous"}
    assert call(monkeypatch, *words, "--yes") == 0 and "nothing to prune" in capsys.readouterr().out

    here = ["--gpu_ids", "-1", "--num_threads", "0"]
    assert test_script.main(["--name", "run", "--dataroot", str(dataroot), "--num_test", "1", *here]) == 0
    more = ["--continue_train", "--n_epochs", 3, "--ema_decay", 0.9, "--max_dataset_size", 2]
    assert train_script.main(small_argv(dataroot, tmp_path, *more)) == 0
    capsys.readouterr()
    assert call(monkeypatch, "--json", "--filter", "run") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["state"] == "finished" and "test_latest" in entry["tests"]


@pytest.mark.slow
def test_what_cannot_go_is_said_and_the_rest_goes(whole, tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        shutil.copytree(whole / "checkpoints/run", tmp_path / "checkpoints" / name)
    (tmp_path / "checkpoints/a/latest_state.pt").unlink()
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path / "checkpoints/a")
    assert call(monkeypatch, "--prune", "--keep_every", "0", "--yes") == 4
    said = capsys.readouterr()
    assert "checkpoints/a: nothing is pruned, for checkpoint latest is not whole" in said.err.splitlines()[-1]
    assert "deleted 3 checkpoints of 1 run" in said.out and tree(tmp_path / "checkpoints/a") == before
