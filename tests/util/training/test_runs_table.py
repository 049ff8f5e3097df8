"""Which runs a table shows, in what order, in which columns."""

import json
from dataclasses import replace

import pytest

from options import UserError
from tests.util.training.test_found_runs import put_run
from util.training.found_runs import find_runs
from util.training.runs_table import RunsTable, size_text


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")

    def values(fid, iou):
        told = {"FID": {"last": fid, "best": fid - 1, "better": "lower"}, "IoU": {"last": iou, "better": "higher"}}
        return {"values": told, "best": {"metric": "FID", "value": fid - 1, "step": 9}}

    put_run(root, "cut-2", "ngf=8", **values(30, 0.2))
    put_run(root, "cut-10", "ngf=16", **values(10, 0.9))
    put_run(root, "dcl-1", "model=dcl ngf=100", **values(20, 0.4), steps=7, state="stopped")
    put_run(root, "dcl-2", "model=dcl", state="running", steps=50)
    return find_runs(root)[0]


def rows(found, filters=(), sort="run", reverse=False, metrics=()):
    table = RunsTable(found, filters, metrics)
    table.sort(sort, reverse)
    return [run.name for run in table.runs]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ((), "cut-2 cut-10 dcl-1 dcl-2"),
        (("model=cut",), "cut-2 cut-10"),
        (("CUT-*",), "cut-2 cut-10"),
        (("name=*-2", "model=d?l"), "dcl-2"),
        (("state=died",), "dcl-2"),
        (("state=*ed", "ngf=1*"), "cut-10 dcl-1"),
        (("ngf=7",), ""),
        (("state=died", "stopped"), "dcl-1 dcl-2"),  # as state=died,stopped arrives
        (("ngf=8", "1*", "cut-*"), ""),
        (("ngf=8", "16", "100", "cut-*"), "cut-2 cut-10"),
    ],
)
def test_a_filter(found, filters, names):
    assert rows(found, filters) == names.split()


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", "cut-2 cut-10 dcl-1 dcl-2"),
        ("FID", "cut-10 dcl-1 cut-2 dcl-2"),  # best first; what has no value is last
        ("iou", "cut-10 dcl-1 cut-2 dcl-2"),
        ("fid best", "cut-10 dcl-1 cut-2 dcl-2"),
        ("ngf", "cut-2 cut-10 dcl-2 dcl-1"),
        ("state", "dcl-2 dcl-1 cut-2 cut-10"),
        ("progress", "dcl-1 dcl-2 cut-2 cut-10"),
    ],
)
def test_an_order(found, sort, names):
    assert rows(found, sort=sort) == names.split()


def test_a_list_is_filtered_as_a_whole_and_brackets_are_letters(tmp_path):
    put_run(tmp_path, "a[1]", "nce_layers=0,4,8")
    put_run(tmp_path, "a1", "nce_layers=0,4")
    put_run(tmp_path, "x=y", "nce_layers=0,4,8,12")
    found = find_runs(tmp_path)[0]
    for words, names in [
        ("nce_layers=0,4,8", ["a[1]"]),
        ("nce_layers=0,4", ["a1"]),
        ("nce_layers=0,4,8*", ["a[1]", "x=y"]),
        ("nce_layers=0,4,8,a1", []),
        ("a[1]", ["a[1]"]),
        ("name=x=y", ["x=y"]),
    ]:
        assert sorted(rows(found, words.split(","))) == names, words
    with pytest.raises(UserError, match="--filter x=y: no option x in any of these runs; a name is name=x=y"):
        rows(found, ["x=y"])


def test_an_order_turned_round(found):
    assert rows(found, reverse=True) == ["dcl-2", "dcl-1", "cut-10", "cut-2"]
    assert rows(found, sort="FID", reverse=True) == ["cut-2", "dcl-1", "cut-10", "dcl-2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"filters": ["modle=cut"]}, "--filter modle=cut: no option modle in any of these runs; did you mean model?"),
        ({"filters": ["state=dead"]}, "--filter state=dead: no such state; they are running, died"),
        ({"sort": "FIDD"}, "--sort FIDD: no column, value or option of these runs; did you mean FID?"),
        ({"metrics": ["KID"]}, "--metrics KID: no run has such a value; did you mean FID?"),
    ],
)
def test_a_name_that_is_none(found, words, said):
    with pytest.raises(UserError) as error:
        rows(found, **words)
    assert str(error.value).startswith(said)


def test_lines_for_a_terminal(found):
    table = RunsTable(found, (), ())
    lines = table.lines()
    head = ["run", "model", "state", "steps", "s/step", "FID", "last", "\u2193", "FID", "best", "\u2193", "disk"]
    assert lines[0].split() == [*head, "options", "that", "differ"] and table.further == ["IoU"]
    assert lines[1].split()[:9] == ["cut-2", "cut", "finished", "100", "of", "100", "0.25", "30", "29"]
    assert lines[1].endswith("ngf=8") and not lines[4].endswith("ngf=64")
    assert {len(line) for line in table.lines(20)} <= set(range(21))
    far = RunsTable([replace(found[0], name=f"experiments/a_grid/{'x' * 70}-s0")], (), ()).lines(80)
    assert far[1].startswith("experiments/a_grid/x\u2026x") and "finished" in far[1] and "100 of 100" in far[1]
    assert [name for name in RunsTable(found, (), ("iou",)).lines()[0].split() if name in ("FID", "IoU")] == ["IoU"]


def test_entries_for_other_tools(found):
    entries = RunsTable(found, ["cut-10"], ()).entries()
    assert json.loads(json.dumps(entries)) == entries and len(entries) == 1
    told = {name: entries[0][name] for name in ("name", "model", "state", "code", "steps", "progress", "page")}
    assert told == {
        **{"name": "cut-10", "model": "cut", "state": "finished", "code": 0, "steps": 100, "progress": 1.0},
        "page": None,
    }
    assert entries[0]["values"]["FID"] == {"last": 10.0, "best": 9.0, "better": "lower"}


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 kB"), (2_500_000, "2.5 MB"), (120_000_000, "120 MB"), (1.26e9, "1.3 GB")]
)
def test_sizes_in_words(size, text):
    assert size_text(size) == text
