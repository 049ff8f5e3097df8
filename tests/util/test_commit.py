"""Files that change together: killed anywhere, read meanwhile, or forged."""

import json

import pytest

from tests.kills import Deaths, Killed
from util.commit import RECORD, Commit, current, finish, names

OLD, NEW = {"a": b"old", "b": b"old", "gone": b"old"}, {"a": b"new", "b": b"new", "c": b"new"}


def change(folder):
    with Commit(folder) as commit:
        facts = commit.write("a", b"new")
        commit.twin("a", "b", facts)
        commit.twin("b", "c", facts)
        commit.remove("gone")


def seen(folder):
    """What a reader sees who writes nothing."""
    return {name: current(folder / name).read_bytes() for name in names(folder) if not name.startswith(".")}


def refill(folder):
    for path in folder.iterdir():
        path.unlink()
    for name, content in OLD.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("links", [True, False])
def test_killed_at_any_change_all_is_old_or_all_is_new(tmp_path, links):
    refill(tmp_path)
    with Deaths(tmp_path, links=links) as whole:
        change(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == NEW
    outcomes = []
    for fatal in range(1, len(whole.done) + 1):
        refill(tmp_path)
        with Deaths(tmp_path, fatal, links=links), pytest.raises(Killed):
            change(tmp_path)
        reading = {name: content for name, content in seen(tmp_path).items() if name != "gone"}
        finish(tmp_path)
        left = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        assert left in (OLD, NEW) and reading == {name: content for name, content in left.items() if name != "gone"}
        outcomes.append(left == NEW)
    assert outcomes == sorted(outcomes) and len(set(outcomes)) == 2


def test_killed_while_it_is_finished_it_is_finished_later(tmp_path):
    done = 0
    for fatal in range(1, 12):
        refill(tmp_path)
        with Deaths(tmp_path) as whole:
            change(tmp_path)
        refill(tmp_path)
        with Deaths(tmp_path, whole.done.index(f"os.rename {RECORD}") + 2), pytest.raises(Killed):
            change(tmp_path)
        with Deaths(tmp_path, fatal) as again:
            finish(tmp_path)
        done += again.dead
        finish(tmp_path)
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == NEW
    assert 5 <= done < 11


def test_the_next_commit_finishes_the_one_before(tmp_path):
    refill(tmp_path)
    with Deaths(tmp_path) as whole:
        change(tmp_path)
    refill(tmp_path)
    with Deaths(tmp_path, whole.done.index(f"os.rename {RECORD}") + 3), pytest.raises(Killed):
        change(tmp_path)
    with Commit(tmp_path) as commit:
        commit.write("d", b"newer")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {**NEW, "d": b"newer"}


def test_an_error_leaves_nothing(tmp_path):
    refill(tmp_path)
    with pytest.raises(ValueError), Commit(tmp_path) as commit:
        commit.write("a", b"new")
        raise ValueError
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == OLD


FORGED = {"bytes": 3, "sha256": "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"}  # of "new"


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        '{"files": {}}',
        {"files": {"../a": {"from": ".x.tmp", **FORGED}}},
        {"files": {"a": {"from": "../x.tmp", **FORGED}}},
        {"files": {"a": {"from": "b", **FORGED}}},
        {"files": {".lock": {"from": ".x.tmp", **FORGED}}},
        {"files": {"a": {"from": ".x.tmp"}}},
        {"files": {"a\0": {"from": ".x.tmp", **FORGED}}},
        {"files": {"a": {"from": ".x.tmp", **FORGED, "bytes": 4}}},
        {"files": {"a": {"from": ".x.tmp", **FORGED, "sha256": "0"}}},
        {"files": {}, "remove": ["../a"]},
        {"files": {}, "remove": [3]},
    ],
)
def test_a_record_that_no_commit_wrote_moves_nothing(tmp_path, record, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    refill(folder)
    (tmp_path / "a").write_bytes(b"outside")
    (folder / ".x.tmp").write_bytes(b"new")
    (folder / RECORD).write_text(record if isinstance(record, str) else json.dumps({"remove": []} | record))
    finish(folder)
    assert "is not carried out" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == OLD and (tmp_path / "a").read_bytes() == b"outside"


def test_a_link_is_replaced_and_not_written_through(tmp_path):
    folder, outside = tmp_path / "run", tmp_path / "outside"
    folder.mkdir()
    outside.write_bytes(b"mine")
    for name in ("a", "b", RECORD):
        (folder / name).symlink_to(outside)
    with Commit(folder) as commit:
        commit.write("a", b"new")
        commit.write("b", b"new")
    assert outside.read_bytes() == b"mine"
    assert {p.name: (p.is_symlink(), p.read_bytes()) for p in folder.iterdir()} == dict.fromkeys("ab", (False, b"new"))
