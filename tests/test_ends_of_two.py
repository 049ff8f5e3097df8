"""How two processes of torchrun end before they are done: signals to one or to the launcher, and kills."""

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import EVERY_STEP, small_argv
from tests.test_ends import RARELY, WAY, Process, saved
from tests.test_train import differences, state

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
    assert "another process of this run is lost" in line
    step = saved(tmp_path)  # whether it was killed between two steps, early in one, or where networks were half updated
    assert f"saved at step {step}; {WAY} here" in line or f"the last checkpoint is of step {step}; {WAY} there" in line
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
