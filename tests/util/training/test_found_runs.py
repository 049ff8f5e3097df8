"""Runs below a folder, as their files tell of them: whatever else lies there, and whatever the files say."""

import json
import os
import re

import pytest

from options import UserError
from tests.util.test_claim import hold
from util.training import found_runs, run_record
from util.training.found_runs import find_runs
from util.training.runs_table import progress_text

RECORD = {"state": "finished", "code": 0, "steps": 100, "total_steps": 100, "seconds": 50.0, "seconds_per_step": 0.25}


def put_run(root, name, told="", **record):
    """A run without its weights; ``told`` are options that are not at their default, such as ``ngf=8 model=cut``."""
    folder = root / name
    folder.mkdir(parents=True)
    words = {"model": "cut", "ngf": "64", "name": folder.name} | dict(word.split("=") for word in told.split())
    usual = {"ngf": "64", "model": "cut"}
    notes = {
        name: f"\t[default: {usual.get(name)}]" if usual.get(name) != value else "" for name, value in words.items()
    }
    lines = [f"{name:>25}: {value:<30}{notes[name]}".rstrip() for name, value in words.items()]
    (folder / "train_opt.txt").write_text("\n".join(["--- Options ---", *lines]))
    (folder / "loss_log.txt").write_text("")
    (folder / "run.json").write_text(json.dumps(RECORD | record))
    return folder


def by_name(root):
    return {run.name: run for run in find_runs(root)[0]}


def test_runs_lie_at_any_depth_and_say_what_became_of_them(tmp_path):
    put_run(tmp_path, "checkpoints/run-10", "ngf=8")
    put_run(tmp_path, "checkpoints/run-2", state="failed", code=3, error="a loss is not finite")
    put_run(tmp_path, "experiments/grid/checkpoints/cut-s0", state="running", steps=40, process={"pid": 1})
    at_it = put_run(tmp_path, "experiments/grid/checkpoints/cut-s1", state="stopped", steps=40)
    (tmp_path / "results/run/train_latest").mkdir(parents=True)
    (tmp_path / "results/run/train_latest/train_opt.txt").write_text("")
    (tmp_path / "judge").mkdir()
    (tmp_path / "judge/latest_net_C.pth").write_bytes(b"1234")
    (tmp_path / "old").mkdir()
    (tmp_path / "old/loss_log.txt").write_text("")
    hold(at_it)
    runs, remarks = find_runs(tmp_path)
    grid = "experiments/grid/checkpoints"
    assert [(run.name, run.state) for run in runs] == [
        ("checkpoints/run-2", "failed"),
        ("checkpoints/run-10", "finished"),
        (f"{grid}/cut-s0", "died"),
        (f"{grid}/cut-s1", "running"),
        ("judge", "weights"),
        ("old", "unknown"),
    ]
    assert remarks == [f"{tmp_path}: no run below: results"]
    ran = runs[3]
    assert (ran.progress, ran.pace, ran.left) == (0.4, 0.25, 15.0) and runs[2].left is None
    assert runs[1].options["ngf"] == "8" and "ngf" in runs[1].changed and "model" not in runs[1].changed
    assert runs[4].size == 4


def test_an_end_that_comes_between_two_looks_is_no_death(tmp_path, monkeypatch):
    run = put_run(tmp_path, "run")
    assert run_record.state_of(run, {"state": "running"}) == "finished"
    (run / "run.json").write_text('{"state": "running"}')
    assert run_record.state_of(run, {"state": "running"}) == "died"


def test_what_a_run_weighs(tmp_path):
    run = put_run(tmp_path, "run")
    usual = by_name(tmp_path)["run"].size
    (run / "web/images").mkdir(parents=True)
    (run / "web/images/a.png").write_bytes(bytes(1000))
    os.link(run / "web/images/a.png", run / "latest_state.pt")  # as checkpoints share files
    (run / ".overwritten").mkdir()
    (run / ".overwritten/run.json").write_bytes(bytes(10))
    (run / "link.bin").symlink_to("/dev/zero")
    assert {name: one.size - usual for name, one in by_name(tmp_path).items()} == {"run": 1010}


def test_no_link_is_followed(tmp_path):
    put_run(tmp_path, "here/run")
    put_run(tmp_path, "elsewhere/other")
    (tmp_path / "here/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here/again").symlink_to(tmp_path / "here")
    (tmp_path / "here/nowhere").symlink_to("nothing")
    runs, remarks = find_runs(tmp_path / "here")
    assert [run.name for run in runs] == ["run"]
    assert len(remarks) == 1 and remarks[0].endswith("--checkpoints_dir takes such a folder: out")
    (tmp_path / "root").symlink_to(tmp_path / "here")  # which was typed by hand
    assert [run.name for run in find_runs(tmp_path / "root")[0]] == ["run"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[1]", "[" * 9000, '{"state": ["running"]}', '{"steps": "x", "total_steps": 0, "seconds": 1e300}'),
        '{"values": {"FID": 3, "KID": {"last": "x", "better": []}}, "tests": {"a": 1, "b": {"values": 3, "page": 4}}}',
        '{"values": [], "tests": [], "best": 4, "process": 1, "error": {}, "state": "dancing", "code": "x"}',
    ],
)
def test_a_record_may_say_anything(tmp_path, text):
    run = put_run(tmp_path, "run")
    (run / "run.json").write_text(text)
    (run / "train_opt.txt").write_bytes(b"\xff\x00: : [default")
    (one,) = find_runs(tmp_path)[0]
    assert one.state == "unknown" and one.options == {}
    assert (one.progress, one.left, one.deciding, one.text("error")) == (None, None, "", "")
    assert {name: set(entry) for name, entry in one.values.items()} in ({}, {"KID": set()})
    told = any("run.json is damaged: run" in line for line in find_runs(tmp_path)[1])
    assert told == (text in ("", "{", "[1]", "[" * 9000))
    strange = any("run.json says a state that is not known here" in line for line in find_runs(tmp_path)[1])
    assert strange == ('"state"' in text)


def test_numbers_without_end_are_none(tmp_path):
    hold(put_run(tmp_path, "left", steps=1, total_steps=1e300, seconds_per_step=1e308))
    put_run(tmp_path, "pace", steps=1e-300, seconds=1e308, seconds_per_step=None)
    runs = by_name(tmp_path)
    assert runs["left"].state == "running" and runs["left"].left is None and runs["pace"].pace is None
    assert progress_text(runs["left"]) == "1"


def test_values_of_evaluations_and_tests(tmp_path):
    entry = {"last": 9.0, "best": 8.0, "better": "lower"}
    tests = {
        "test_best": {"values": {"FID": 7.0, "IoU": None}, "made": "2026-01-02T00:00:00Z"},
        "test_latest": {"values": {"FID": 6.0}, "made": "2026-01-01T00:00:00Z"},
    }
    put_run(tmp_path, "new", values={"FID": entry}, tests=tests, best={"metric": "FID", "value": 8.0, "step": 40})
    old = put_run(tmp_path, "old")
    lines = [
        {"step": 1, "values": {"FID": 5.0}, "better": {"FID": "lower"}, "best": True},
        {"step": 2, "values": {"FID": 6.0}, "better": {"FID": "lower"}, "best": False},
    ]
    (old / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    runs = by_name(tmp_path)
    assert runs["new"].values == {"FID": entry | {"test": 7.0}} and runs["new"].deciding == "FID"
    assert runs["old"].values == {"FID": {"last": 6.0, "best": 5.0, "better": "lower"}}


def test_lists_are_shown_as_flags_take_them(tmp_path):
    put_run(tmp_path, "run")
    line = "nce_layers: ('down1', 'down2')            \t[default: (0, 4)]"
    (tmp_path / "run/train_opt.txt").write_text(line)
    assert by_name(tmp_path)["run"].options == {"nce_layers": "down1,down2"}
    (tmp_path / "run/train_opt.txt").unlink()
    (tmp_path / "run/train_opt.yaml").write_text("ngf: 8\n")
    assert by_name(tmp_path)["run"].options == {"ngf": "8"}


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    put_run(tmp_path, "run")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(found_runs.os, "scandir", refusing)
    runs, remarks = find_runs(tmp_path)
    assert [run.name for run in runs] == ["run"]
    assert f"{tmp_path}: cannot be read: locked (Permission denied)" in remarks
    with pytest.raises(UserError, match=re.escape("locked: cannot be read (Permission denied)")):
        find_runs(tmp_path / "locked")
    with pytest.raises(UserError, match=r"--checkpoints_dir .*nosuch: there is no such folder"):
        find_runs(tmp_path / "nosuch")
