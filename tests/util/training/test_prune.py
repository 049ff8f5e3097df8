"""What --prune takes, and what it never touches."""

import json
import os
import shutil

import pytest
import torch

from options import UserError
from tests.util.test_claim import hold
from tests.util.test_storage import disk_of
from util.commit import Commit
from util.training.manifest import by_age, problem
from util.training.prune import may_go, prune


@pytest.fixture
def run(tmp_path):
    """Epochs 1 to 6, of which the last is latest as well and the fourth the best; one between epochs; other files."""
    with Commit(tmp_path) as commit:
        for label, step in {**{str(n): n for n in range(1, 7)}, "iter_50": 5}.items():
            put(commit, label, step)
        for label, of, step in (("latest", "6", 6), ("previous", "5", 5), ("best", "4", 4)):
            manifest = {"epoch": step, "step": step, "files": {}}
            for end in ("_net_G.pth", "_state.pt"):
                commit.twin(of + end, label + end, commit.files[of + end])
                manifest["files"][label + end] = {k: commit.files[of + end][k] for k in ("bytes", "sha256")}
            commit.write(f"{label}.manifest.json", json.dumps(manifest).encode())
    (tmp_path / "2_net_G_mine.pth").write_bytes(b"mine")
    (tmp_path / "run.json").write_text('{"state": "finished"}')
    return tmp_path


def put(commit, label, step):
    files = {f"{label}_net_G.pth": bytes([step]) * 100, f"{label}_state.pt": bytes([step]) * 1000}
    manifest = {"epoch": step, "step": step, "files": {name: commit.write(name, data) for name, data in files.items()}}
    commit.write(f"{label}.manifest.json", json.dumps(manifest).encode())


def there(run):
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("every", "gone"), [(3, "1 2 4 5 iter_50"), (0, "1 2 3 4 5 6 iter_50"), (1, "iter_50"), (10, "1 2 3 4 5 6 iter_50")]
)
def test_epochs_that_are_not_every_nth_go_and_nothing_else_does(run, every, gone):
    before, planned = there(run), may_go(run, every)
    assert sorted(planned.labels) == gone.split() and there(run) == before
    assert prune(planned, every) == planned
    files = {f"{label}{end}" for label in planned.labels for end in ("_net_G.pth", "_state.pt", ".manifest.json")}
    assert there(run) == {name: data for name, data in before.items() if name not in files}
    assert not {problem(run, label) for label in by_age(run)} - {None}
    assert may_go(run, every).labels == ()


def test_bytes_that_are_freed_are_those_that_nobody_else_has(run):
    one, two = (may_go(run, 0, among=[label]) for label in "34")
    manifest = (run / "3.manifest.json").stat().st_size
    assert one.freed == 1100 + manifest and two.freed == (run / "4.manifest.json").stat().st_size  # best has the rest


def test_a_run_that_somebody_is_at_stays(run):
    planned, before = may_go(run, 0), there(run)
    hold(run)
    with pytest.raises(UserError, match="nothing is pruned, another run is training here"):
        prune(planned, 0)
    assert {name: data for name, data in there(run).items() if name != ".lock"} == before


def test_on_a_disk_that_is_full(run):
    planned, before = may_go(run, 3), there(run)
    with disk_of(0):
        assert prune(planned, 3) == planned
    assert there(run) == {name: data for name, data in before.items() if name not in planned.files}
    planned = may_go(run, 0)
    hold(run)
    with disk_of(0), pytest.raises(UserError, match="nothing is pruned, another run is training here"):
        prune(planned, 0)


def test_what_came_after_the_question_stays(run):
    planned = may_go(run, 0)
    with Commit(run) as commit:
        put(commit, "7", 7)
    assert "7" not in prune(planned, 0).labels and problem(run, "7") is None


@pytest.mark.parametrize("name", ["2_net_G.pth", "2_state.pt", "2.manifest.json"])
def test_a_link_is_refused(run, tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("outside") / name
    shutil.move(run / name, outside)
    (run / name).symlink_to(outside)
    before = there(run)
    with pytest.raises(UserError, match=f"{name} is a link") as error:
        may_go(run, 0)
    assert error.value.code == 5 and there(run) == before


@pytest.mark.parametrize("foreign", ["run.json", "latest_state.pt", "../precious", "20_state.pt", "2_net_../x.pth"])
def test_a_manifest_that_names_what_is_not_its_own(run, foreign):
    path = run / "2.manifest.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"files": {foreign: {"bytes": 4, "sha256": "0" * 64}}}))
    before, planned = there(run), may_go(run, 0)
    assert "2" not in planned.labels and planned.kept == (f"2 (its manifest names {foreign})",)
    prune(planned, 0)
    assert {name for name in before if name.startswith("2")} <= set(there(run)) and (run / "run.json").exists()


def test_a_checkpoint_that_is_not_the_one_of_its_manifest(run):
    (run / "2_state.pt").unlink()
    (run / "3_state.pt").write_bytes(bytes(7))
    planned = may_go(run, 0)
    assert not {"2", "3"} & set(planned.labels)
    assert planned.kept == ("2 (2_state.pt is missing)", "3 (3_state.pt has 7 bytes instead of 1000)")


def test_nothing_goes_where_latest_is_not_whole(run):
    (run / "latest_state.pt").unlink()
    with pytest.raises(UserError, match=r"checkpoint latest is not whole: latest_state.pt is missing") as error:
        may_go(run, 2)
    assert error.value.code == 4
    (run / "latest.manifest.json").unlink()
    with pytest.raises(UserError, match="checkpoint latest is not whole: there is none"):
        may_go(run, 2)


def test_weights_alone_are_no_checkpoint(tmp_path):
    torch.save({}, tmp_path / "5_net_G.pth")
    os.link(tmp_path / "5_net_G.pth", tmp_path / "6_state.pt")
    assert may_go(tmp_path, 0).labels == ()
