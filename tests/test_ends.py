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
import torch

import train as train_script
from evaluation.training import Evaluator
from options import Exit
from tests.conftest import EPOCHS, EVERY_STEP, small_argv
from tests.test_train import ROOT, differences, run, state
from util import cli
from util.training import checkpoint
from util.training.engine import Engine

ASKING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
RARELY = ("--save_latest_freq", 10**6)  # what is saved is saved in the end
THROUGH = ("--ema_decay", 0.9, *EVERY_STEP, *RARELY, "--cache_mb", 0)
WAY = "--continue_train goes on from"


HANGING = """
from data.unaligned_dataset import UnalignedDataset

class HangingDataset(UnalignedDataset):
    def __getitem__(self, index):
        if (pipe := self.root / ("hang" if self.opt.is_train else "hang_in_tests")).exists():
            pipe.open().read()
        return super().__getitem__(index)
"""  # while there is such a pipe, reading does not return, as from a server that does not answer


class Process:
    """train.py in a session of its own, as a terminal or a scheduler starts it."""

    def __init__(self, folder, argv, *before):
        self.folder = folder
        words = [sys.executable, *before, "train.py", *argv]
        environment = dict(os.environ, OMP_NUM_THREADS="1")
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

    def children(self):
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.popen.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split() if "train.py" in Path(f"/proc/{pid}/cmdline").read_text()]

    def end(self, seconds=60):
        """Its code, and what it printed; nothing of it is left."""
        out, err = self.popen.communicate(timeout=seconds)
        return self.popen.returncode, out, err

    def kill(self):
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.communicate()


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
    begun = time.monotonic()
    code, out, err = process.end()
    assert code == Exit.STOPPED and "Traceback" not in err, (code, out, err)
    assert not hung or time.monotonic() - begun < 15  # nothing is waited for
    name = signal.Signals(numbers[0]).name
    assert f"({name}): saved at step {saved(tmp_path)}; {WAY} here" in last_line(out), out
    assert out.count(WAY) == 1 and json.loads((tmp_path / "checkpoints/run/run.json").read_text())["state"] == "stopped"
    (data / "hang").unlink(missing_ok=True)
    goes_on(whole, data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numbers", "workers", "hung"), [(["SIGUSR1"], 2, False), (["SIGTERM", "SIGTERM"], 2, True), (["SIGHUP"], 0, True)]
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
    victim = process.children()[0]
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


# -- in this process -------------------------------------------------------------------------------


def send_in(owner, name, monkeypatch, call, numbers, before=False):
    """The signals come in this call of a method, the first of which is 1."""
    method, calls = getattr(owner, name), []

    def sending(self, *args, **kwargs):
        calls.append(1)
        made = None if before else method(self, *args, **kwargs)
        for number in numbers if len(calls) == call else ():
            os.kill(os.getpid(), number)
        return method(self, *args, **kwargs) if before else made

    monkeypatch.setattr(owner, name, sending)


EVALUATED = ("--eval_freq", 4, "--eval_metrics", "self_similarity", *EPOCHS, *THROUGH, "--no_html")


def evaluations(folder):
    lines = (folder / "checkpoints/run/evaluations.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in ("time", "seconds")} for line in lines]


@pytest.mark.slow
def test_a_signal_in_an_evaluation_saves_and_the_evaluation_is_made(dataroot, tmp_path, monkeypatch, capsys):
    assert run(dataroot, tmp_path / "whole", *EVALUATED) == 0
    with monkeypatch.context() as patch:
        send_in(Evaluator, "of_batches", patch, 4, [signal.SIGUSR2, signal.SIGTERM], before=True)  # one is a trial
        assert run(dataroot, tmp_path, *EVALUATED) == Exit.STOPPED
    assert saved(tmp_path) == 12 and len(evaluations(tmp_path)) == 2
    assert "(SIGUSR2): saved at step 12" in capsys.readouterr().out
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert evaluations(tmp_path) == evaluations(tmp_path / "whole")
    assert differences(state(tmp_path / "whole"), state(tmp_path)) == []


@pytest.mark.slow
def test_a_signal_while_it_saves_does_not_break_the_save(whole, dataroot, tmp_path, monkeypatch):
    monkeypatch.setattr("util.signals.SAME", -1)
    with monkeypatch.context() as patch:
        send_in(Engine, "should_stop", patch, 5, [signal.SIGTERM])
        patch.setattr(checkpoint, "_write", interfering(checkpoint._write))
        assert run(dataroot, tmp_path, *EPOCHS, *THROUGH) == Exit.STOPPED
    assert saved(tmp_path) == 5
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


def interfering(write):
    def sending(path, data):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        write(path, data)

    return sending


def script(monkeypatch, main, argv):
    """The code of a script, run here."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    return cli.run(lambda: main([str(word) for word in argv]))


@pytest.mark.slow
@pytest.mark.parametrize("freq", [4, 10**6])
def test_out_of_memory_within_a_step_leaves_the_last_checkpoint(whole, dataroot, tmp_path, monkeypatch, capsys, freq):
    update, calls = Engine.update, []

    def greedy(self, model, name, compute):
        calls.append(name)
        if len(calls) > 2 * 6 + 1:  # G of the seventh step: D has learnt
            torch.empty(1 << 50)
        return update(self, model, name, compute)

    argv = small_argv(dataroot, tmp_path, *EPOCHS, *THROUGH, "--save_latest_freq", freq)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "update", greedy)
        assert script(patch, train_script.main, argv) == Exit.MEMORY
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("train.py: out of memory (") and "Traceback" not in line
    if freq == 4:
        assert f"the last checkpoint is of step 4; {WAY} there" in line and saved(tmp_path) == 4
    else:
        assert "there is no checkpoint yet" in line
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(whole), state(tmp_path)) == []


@pytest.mark.slow
def test_a_signal_between_the_batches_of_a_step_takes_it_back(dataroot, tmp_path, monkeypatch):
    argv = ("--accumulate", 3, *EPOCHS, *EVERY_STEP, *RARELY)
    assert run(dataroot, tmp_path / "whole", *argv) == 0
    with monkeypatch.context() as patch:
        send_in(Engine, "should_stop", patch, 11, [signal.SIGTERM])  # two steps of three, one batch dropped; 3 more; 1
        assert run(dataroot, tmp_path, *argv) == Exit.STOPPED
    assert saved(tmp_path) == 3
    assert run(dataroot, tmp_path, "--continue_train") == 0
    assert differences(state(tmp_path / "whole"), state(tmp_path)) == []


# -- two processes ---------------------------------------------------------------------------------


PORTS = iter(range(29750, 29800))
TWO = ("--n_epochs", 8, "--n_epochs_decay", 0, *EVERY_STEP, "--pool_size", 0, "--cache_mb", 0, "--num_threads", 1)


class Two(Process):
    """The same with two processes of torchrun."""

    def __init__(self, folder, argv, port):
        super().__init__(folder, argv, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port)

    def rank(self, number):
        for pid in self.children():
            if f"\0RANK={number}\0" in "\0" + Path(f"/proc/{pid}/environ").read_text():
                return pid
        raise AssertionError("no such process")


@pytest.fixture(scope="session")
def whole_of_two(dataroot, tmp_path_factory):
    """An uninterrupted run of two processes."""
    folder = tmp_path_factory.mktemp("two")
    code, _, err = Two(folder, small_argv(dataroot, folder, *TWO), str(next(PORTS))).end(280)
    assert code == 0, err
    return folder


def ended_two(whole_of_two, dataroot, folder, send, *more):
    """Two processes of which one, or the launcher, is sent something; the code of each is 75, and one line is said."""
    port = str(next(PORTS))
    process = Two(folder, small_argv(dataroot, folder, *TWO, *RARELY, *more), port)
    try:
        process.until(lambda: process.steps() >= 4)
        send(process)
        _, out, err = process.end(60)
    finally:
        process.kill()
    lines = [line for line in (out + err).splitlines() if WAY in line or "no checkpoint yet" in line]
    assert len(lines) == 1 and 'train.py", line' not in err, (out, err)  # torchrun has tracebacks of its own
    return lines[0], err


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
@pytest.mark.parametrize("to", ["0", "1", "launcher"])
def test_a_signal_to_one_of_two_processes_saves(whole_of_two, dataroot, tmp_path, name, to):
    number = getattr(signal, name)
    if to == "launcher" and name == "SIGUSR1":
        number = signal.SIGHUP  # torchrun does not pass the other on

    def send(process):
        os.kill(process.popen.pid if to == "launcher" else process.rank(to), number)

    line, err = ended_two(whole_of_two, dataroot, tmp_path, send)
    assert f"saved at step {saved(tmp_path)}; {WAY} here" in line
    assert "exitcode  : 75" in err or to == "launcher", err
    again = Two(tmp_path, small_argv(dataroot, tmp_path, *TWO, "--continue_train"), str(next(PORTS)))
    assert again.end(280)[0] == 0
    assert differences(state(whole_of_two), state(tmp_path)) == []


@pytest.mark.exhaustive
def test_a_process_that_is_killed_ends_the_other_with_a_save(whole_of_two, dataroot, tmp_path):
    line, _ = ended_two(whole_of_two, dataroot, tmp_path, lambda process: os.kill(process.rank(1), signal.SIGKILL))
    assert "another process of this run is lost" in line and f"saved at step {saved(tmp_path)}; {WAY} here" in line
    again = Two(tmp_path, small_argv(dataroot, tmp_path, *TWO, "--continue_train"), str(next(PORTS)))
    assert again.end(280)[0] == 0
    assert differences(state(whole_of_two), state(tmp_path)) == []


@pytest.mark.exhaustive
def test_where_the_main_process_is_killed_the_last_checkpoint_is_named(whole_of_two, dataroot, tmp_path):
    line, _ = ended_two(
        *(whole_of_two, dataroot, tmp_path, lambda process: os.kill(process.rank(0), signal.SIGKILL)),
        *("--save_latest_freq", 4),
    )
    assert "another process of this run is lost" in line
    assert f"the last checkpoint is of step {saved(tmp_path)}; {WAY} there" in line
