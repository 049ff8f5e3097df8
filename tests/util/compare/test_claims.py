"""Several compare.py in one folder, and what a killed one leaves running: waited for, done once, never failed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.test_compare import REAL, calls, pretending  # noqa: F401  a fixture
from tests.test_train import ROOT
from tests.util.test_claim import CLOCK, held
from util.claim import Watch
from util.files import read_json_lines
from util.training.run_record import read_record

ONE = "models: {cut: {}}\nbudget: 5 steps"
BOTH = "models: {cut: {}, small: {model: cut, ngf: 4}}\nbudget: 5 steps"


@contextlib.contextmanager
def soon(act, seconds=1.5):
    timer = threading.Timer(seconds, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextlib.contextmanager
def once(condition, act):
    """As soon as something holds, however slow the machine is."""

    def wait():
        end = time.monotonic() + 60
        while not condition() and time.monotonic() < end:
            time.sleep(0.05)
        act()

    with soon(wait, 0):
        yield


def place(tmp_path, *parts):
    file = tmp_path.joinpath("experiments/some", *parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


@pytest.mark.slow
def test_what_another_compare_is_at_is_waited_for_while_others_run(tmp_path, pretending, capsys):  # noqa: F811
    begun = place(tmp_path, "logs/small-s0.log").exists
    with held(place(tmp_path, "state/cut-s0.lock")) as other, once(begun, other.kill):
        assert pretending(BOTH) == 0
    said = capsys.readouterr()
    assert f"cut-s0: another compare.py is at it (process {other.pid} on" in said.out and not said.err
    first, then = ([f"train.py {name}", f"test.py {name} latest"] for name in ("small-s0", "cut-s0"))
    assert calls(tmp_path) == [*first, *then]
    assert sorted(p.name for p in place(tmp_path, "state/x").parent.iterdir()) == [
        "cut-s0.test_latest.json",
        "small-s0.test_latest.json",
    ]


@pytest.mark.slow
def test_what_a_host_is_at_whose_clock_differs_is_begun_once_it_is_gone(tmp_path, pretending, monkeypatch, capsys):  # noqa: F811
    """Both claims are its own: that on the place in the grid, and that on the run."""
    monkeypatch.setattr("util.claim.LEASE", 1.5)
    monkeypatch.setattr("util.claim.SETTLE", 0.05)
    looks, log, left = [], place(tmp_path, "logs/cut-s0.log"), Watch.left
    monkeypatch.setattr(Watch, "left", lambda watch: looks.append(time.monotonic()) or left(watch))
    both = f"also = claim.Claim(Path({str(place(tmp_path, 'checkpoints/cut-s0/.lock'))!r}))"
    with held(place(tmp_path, "state/cut-s0.lock"), CLOCK.format(off=-3600), both) as other:

        def end():
            looks.append(log.exists())
            other.kill()

        with once(lambda: looks and looks[-1] - looks[0] > 2, end):
            assert pretending(ONE) == 0
    said = capsys.readouterr().out
    assert f"another compare.py is at it (process {other.pid} on " in said and "until 2 s after the last sign" in said
    assert False in looks and True not in looks
    assert calls(tmp_path) == ["train.py cut-s0", "test.py cut-s0 latest"]


@pytest.mark.slow
def test_what_another_compare_has_done_meanwhile_is_not_done_again(tmp_path, pretending):  # noqa: F811
    assert pretending(ONE) == 0 and calls(tmp_path)
    with held(place(tmp_path, "state/cut-s0.lock")) as other, soon(other.kill):
        record = place(tmp_path, "checkpoints/cut-s0/run.json")
        finished = record.read_text()
        record.write_text(json.dumps(json.loads(finished) | {"state": "running"}))
        with soon(lambda: record.write_text(finished), 0.5):
            assert pretending(ONE) == 0
    assert calls(tmp_path) == []


@pytest.mark.slow
def test_what_a_killed_compare_had_started_is_waited_for(tmp_path, pretending, capsys):  # noqa: F811
    orphan = subprocess.Popen(["sleep", "60"])
    with held(place(tmp_path, "state/cut-s0.lock"), after=f"held.note_child({orphan.pid})"):
        pass

    def end():
        orphan.kill()
        orphan.wait()

    with soon(end):
        assert pretending(ONE) == 0
    assert f"cut-s0: process {orphan.pid} on " in capsys.readouterr().out
    assert calls(tmp_path) == ["train.py cut-s0", "test.py cut-s0 latest"]


@pytest.mark.slow
def test_a_run_that_somebody_trains_by_hand_has_not_failed(tmp_path, pretending, capsys):  # noqa: F811
    with held(place(tmp_path, "checkpoints/cut-s0/.lock")) as other, soon(other.kill):
        assert pretending(ONE) == 0
    said = capsys.readouterr()
    assert f"cut-s0: another run is training here (process {other.pid}" in said.out and not said.err
    assert calls(tmp_path) == ["train.py cut-s0", "test.py cut-s0 latest"]


@pytest.mark.slow
def test_a_run_that_is_refused_for_another_is_tried_again(tmp_path, pretending):  # noqa: F811
    """The other one began in the seconds in which train.py was starting."""
    script, refused = tmp_path / "scripts/train.py", tmp_path / "refused"
    script.write_text(
        f"import sys; from pathlib import Path\nfirst = Path({str(refused)!r})\n"
        "if not first.exists():\n"
        "    first.touch()\n"
        "    print('train.py: x: another run is training here (process 7 on a); use another --name')\n"
        "    sys.exit(2)\n" + script.read_text()
    )
    assert pretending(ONE) == 0 and refused.exists()
    assert calls(tmp_path) == ["train.py cut-s0", "test.py cut-s0 latest"]


@pytest.mark.slow
@pytest.mark.parametrize("code", [-signal.SIGKILL, 5])
def test_what_ended_a_run_from_outside_is_no_failure_of_it(tmp_path, pretending, capsys, code):  # noqa: F811
    script = tmp_path / "scripts/train.py"
    pretended = script.read_text()
    end = f"sys.exit({code})" if code > 0 else f"os.kill(os.getpid(), {-code})"
    script.write_text(f"import os, sys\nprint('train.py: no space')\nsys.stdout.flush()\n{end}")
    assert pretending(ONE) == (5 if code > 0 else 75)
    assert not list(place(tmp_path, "state/x").parent.glob("*failed*"))
    script.write_text(pretended)
    assert pretending(ONE) == 0


@pytest.mark.slow
def test_a_signal_ends_the_wait(tmp_path, pretending):  # noqa: F811
    with held(place(tmp_path, "state/cut-s0.lock")), soon(lambda: os.kill(os.getpid(), signal.SIGTERM), 2.5):
        assert pretending(ONE) == 75
    assert calls(tmp_path) == []


@pytest.mark.exhaustive
def test_a_compare_is_killed_and_two_others_start_at_once(dataroot, tmp_path):
    """Real processes: what was left training goes on to its end, its log is its own, and everything is done once."""
    (tmp_path / "real.yaml").write_text(f"data: {{dataroot: {dataroot}}}{REAL}")
    folder = tmp_path / "real"
    argv = [sys.executable, "compare.py", str(tmp_path / "real.yaml"), "--experiments_dir", str(tmp_path)]

    def start(name):
        with (tmp_path / name).open("w") as said:
            return subprocess.Popen(argv, cwd=ROOT, env=dict(os.environ, OMP_NUM_THREADS="1"), stdout=said, stderr=said)

    def until(condition, process):
        while not condition():
            assert process.poll() is None, list(tmp_path.glob("said_*"))
            time.sleep(0.05)

    first = start("said_1")
    until((folder / "checkpoints/cut-s0/metrics.jsonl").exists, first)
    first.kill()
    first.wait()
    orphan = json.loads((folder / "state/cut-s0.lock").read_text())["child"]["pid"]
    os.kill(orphan, signal.SIGSTOP)  # machines differ in how soon the others are there
    others, said = [start("said_2"), start("said_3")], [tmp_path / "said_2", tmp_path / "said_3"]
    until(lambda: any("which an earlier compare.py had started" in file.read_text() for file in said), others[0])
    until(lambda: any("another compare.py is at it" in file.read_text() for file in said), others[0])
    os.kill(orphan, signal.SIGCONT)
    assert [other.wait(timeout=900) for other in others] == [0, 0], [file.read_text() for file in said]
    assert not list((folder / "state").glob("*failed*"))
    for run in ("cut-s0", "cut-s1"):
        log = (folder / f"logs/{run}.log").read_text()
        assert log.count("$ python train.py") == 1 and log.count("$ python test.py") == 1, log
        assert (folder / f"checkpoints/{run}/loss_log.txt").read_text().count("Training Loss (") == 1
        steps = [record["step"] for record in read_json_lines(folder / f"checkpoints/{run}/metrics.jsonl")]
        assert steps == sorted(set(steps)) and read_record(folder / f"checkpoints/{run}")["state"] == "finished"
