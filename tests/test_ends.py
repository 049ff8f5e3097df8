"""How runs end early: signals, workers that are gone or hang, pictures that vanish, no memory, lost processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from options import Exit
from tests.conftest import EPOCHS, EVERY_STEP, small_argv
from tests.test_train import ROOT, differences, run, state

ASKING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
RARELY = ("--save_latest_freq", 10**6)  # what is saved is saved in the end
THROUGH = ("--ema_decay", 0.9, *EVERY_STEP, *RARELY, "--cache_mb", 0)
WAY = "--continue_train goes on from"


HANGING = """
import os
from data.unaligned_dataset import UnalignedDataset

class HangingDataset(UnalignedDataset):
    def __getitem__(self, index):
        name = "hang" + os.environ.get("RANK", "") if self.opt.is_train else "hang_in_tests"
        if (pipe := self.root / name).exists():
            pipe.open().read()
        return super().__getitem__(index)
"""  # while there is such a pipe, reading does not return, as from a server that does not answer; of two, in one


class Process:
    """train.py in a session of its own, as a terminal or a scheduler starts it."""

    def __init__(self, folder, argv, *before, environment=None):
        self.folder = folder
        words = [sys.executable, *before, "train.py", *argv]
        environment = dict(os.environ, OMP_NUM_THREADS="1") | (environment or {})
        self.popen = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def steps(self):
        log = self.folder / "checkpoints/run/metrics.jsonl"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def until(self, done, seconds=120):
        start = time.monotonic()
        while not done():
            assert self.popen.poll() is None, self.popen.communicate()
            assert time.monotonic() - start < seconds
            time.sleep(0.01)

    def stuck(self, seconds=1.5):
        """Whether no step was made for so long."""
        before = self.steps()
        time.sleep(seconds)
        return self.steps() == before > 0

    def children(self, *pids):
        """Processes that it started itself, or that these did."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = dict(map(int, line.split()) for line in listed.splitlines())
        return [pid for pid, parent in parents.items() if parent in (pids or (self.popen.pid,))]

    def workers(self):
        """Its data-loading workers: they alone ignore SIGUSR1. A fork server makes them its own children."""
        found, last = [], self.children()
        while last:
            found, last = [*found, *last], self.children(*last)
        return [pid for pid in found if ignores(pid, signal.SIGUSR1)]

    def end(self, seconds=60):
        """Its code, and what it printed; nothing of it is left."""
        out, err = self.popen.communicate(timeout=seconds)
        return self.popen.returncode, out, err

    def kill(self):
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.communicate()


def ignores(pid, number):
    status = Path(f"/proc/{pid}/status")
    ignored = status.read_text().partition("SigIgn:")[2].split()[0] if status.exists() else "0"
    return bool(int(ignored, 16) >> number - 1 & 1)


@pytest.fixture
def data(dataroot, tmp_path):
    shutil.copytree(dataroot, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def start(data, tmp_path):
    """``start(words)`` starts train.py on pictures of its own."""
    started = []

    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/hanging_dataset.py").write_text(HANGING)

    def begin(*words, before=()):
        words = ("--dataset_mode", "hanging", "--plugin_dir", tmp_path / "lab", *words)
        started.append(Process(tmp_path, small_argv(data, tmp_path, *EPOCHS, *THROUGH, *words), *before))
        return started[-1]

    yield begin
    for process in started:
        process.kill()


def last_line(*texts):
    return [text.strip().splitlines()[-1] for text in texts if text.strip()][-1]


def saved(tmp_path):
    return json.loads((tmp_path / "checkpoints/run/latest.manifest.json").read_text())["step"]


def goes_on(whole, data, tmp_path):
    """The run is continued to the bits of the uninterrupted one."""
    assert run(data, tmp_path, "--continue_train", "--num_threads", 0, "--plugin_dir", tmp_path / "lab") == 0
    assert differences(state(whole), state(tmp_path)) == []


def asked(whole, data, tmp_path, process, *numbers, hung=False):
    """Send signals in the middle, and go on."""
    process.until(lambda: process.steps() >= 4)
    if hung:
        os.mkfifo(data / "hang")
        process.until(process.stuck)
    for number in numbers:
        process.popen.send_signal(number)
        time.sleep(0.3 * (len(numbers) > 1))
    code, out, err = process.end()
    assert code == Exit.STOPPED and "Traceback" not in err, (code, out, err)
    name = signal.Signals(numbers[0]).name
    assert f"({name}): saved at step {saved(tmp_path)}; {WAY} here" in last_line(out), out
    assert out.count(WAY) == 1 and json.loads((tmp_path / "checkpoints/run/run.json").read_text())["state"] == "stopped"
    (data / "hang").unlink(missing_ok=True)
    goes_on(whole, data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numbers", "workers", "hung"),
    [
        (["SIGTERM", "SIGTERM"], 2, True),
        pytest.param(["SIGUSR1"], 2, False, marks=pytest.mark.exhaustive),
        pytest.param(["SIGHUP"], 0, True, marks=pytest.mark.exhaustive),
    ],
)
def test_a_signal_saves_and_the_run_goes_on_to_the_same_bits(whole, data, tmp_path, start, numbers, workers, hung):
    process = start("--num_threads", workers)
    asked(whole, data, tmp_path, process, *(getattr(signal, name) for name in numbers), hung=hung)


@pytest.mark.exhaustive
@pytest.mark.parametrize("hung", [False, True], ids=["working", "hung"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", ASKING)
def test_every_signal_saves(whole, data, tmp_path, start, name, workers, hung):
    asked(whole, data, tmp_path, start("--num_threads", workers), getattr(signal, name), hung=hung)


@pytest.mark.exhaustive
def test_a_terminal_that_closes_leaves_a_checkpoint(whole, data, tmp_path):
    """What is printed to it fails before the signal is answered."""
    inside, outside = os.openpty()
    argv = [sys.executable, "train.py", *small_argv(data, tmp_path, *EPOCHS, *THROUGH)]
    code = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); sys.argv = sys.argv[1:]"
    code += "; import train; from util.cli import run; sys.exit(run(train.main))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *argv[1:]],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        stdin=outside,
        stdout=outside,
        stderr=outside,
        start_new_session=True,
    )
    os.close(outside)
    log = tmp_path / "checkpoints/run/metrics.jsonl"
    while not (log.exists() and len(log.read_text().splitlines()) >= 4):
        os.read(inside, 1 << 16)
    os.close(inside)
    assert process.wait(60) == Exit.STOPPED and saved(tmp_path) >= 4
    assert run(data, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


def failed(whole, data, tmp_path, process, code, *words):
    """It ended by itself, saved, in one line that says these words; then go on."""
    found, out, err = process.end(120)
    line = last_line(err)
    assert found == code and "Traceback" not in err and line.startswith("train.py: "), (found, out, err)
    assert all(word in line for word in (*words, f"saved at step {saved(tmp_path)}; {WAY} here")), line
    assert json.loads((tmp_path / "checkpoints/run/run.json").read_text())["error"] in line
    return line


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_a_reading_that_never_returns_ends_the_run(whole, data, tmp_path, start, workers):
    process = start("--num_threads", workers, "--data_timeout", 3)
    process.until(lambda: process.steps() >= 4)
    os.mkfifo(data / "hang")
    failed(whole, data, tmp_path, process, Exit.STORAGE, f"--dataroot {data}", "waited 3 s (--data_timeout) for item ")
    (data / "hang").unlink()
    goes_on(whole, data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSEGV, marks=pytest.mark.exhaustive)])
def test_a_worker_that_is_killed_ends_the_run(whole, data, tmp_path, start, number):
    process = start("--num_threads", 2)
    process.until(lambda: process.steps() >= 4)
    victim = process.workers()[0]
    os.kill(victim, number)
    failed(whole, data, tmp_path, process, Exit.DATA, f"(process {victim}) was killed ({number.name})")
    goes_on(whole, data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["gone", pytest.param("damaged", marks=pytest.mark.exhaustive)])
def test_a_picture_that_was_listed_and_cannot_be_read_ends_the_run(whole, data, tmp_path, start, how):
    process = start("--num_threads", 2 * (how == "damaged"))
    process.until(lambda: process.steps() >= 4)
    kept = {path: path.read_bytes() for path in data.glob("trainA/*.png")}
    for path, content in kept.items():
        path.unlink()
        if how == "damaged":
            path.write_bytes(content[:60])
    failed(whole, data, tmp_path, process, Exit.DATA, "trainA_", "--on_bad_image skip")
    for path, content in kept.items():
        path.write_bytes(content)
    goes_on(whole, data, tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ASKING)
def test_a_signal_before_the_first_step_leaves_nothing(tmp_path, start, name):
    """While packages are imported, and at several moments of the preparation; some come after the first step."""
    for seconds in (0.3, 1, 2, 4, 6):
        process = start()
        time.sleep(seconds)
        process.popen.send_signal(getattr(signal, name))
        code, out, err = process.end()
        assert "Traceback" not in err and len(err.strip().splitlines()) <= 1, err
        if process.steps():
            assert code == Exit.STOPPED
            break
        assert code == Exit.INTERRUPTED and f"interrupted by signal {getattr(signal, name)} ({name})" in err, (
            code,
            err,
        )
        assert not list((tmp_path / "checkpoints").glob("*")), out
