"""How two processes of torchrun end before they are done: signals to one or to the launcher, and kills."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from options import Exit
from tests.conftest import EVERY_STEP, small_argv
from tests.test_ends import HANGING, RARELY, WAY, Process, saved
from tests.test_train import differences, state

PORTS = iter(range(29750, 29800))
TWO = ("--n_epochs", 8, "--n_epochs_decay", 0, *EVERY_STEP, "--pool_size", 0, "--cache_mb", 0, "--num_threads", 1)


class Two(Process):
    """The same with two processes of torchrun."""

    def __init__(self, folder, argv, port, *more):
        launcher = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port, *more)
        super().__init__(folder, argv, *launcher)

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


@pytest.mark.exhaustive
@pytest.mark.parametrize("victim", [0, 1])
def test_after_a_rank_is_killed_torchrun_starts_both_again_to_the_same_bits(whole_of_two, dataroot, tmp_path, victim):
    """One command, as the docs give it: what is saved or not when the rank dies, the result is the same."""
    words = [*TWO, "--save_latest_freq", 4, "--continue_train", "auto"]
    process = Two(tmp_path, small_argv(dataroot, tmp_path, *words), str(next(PORTS)), "--max-restarts", "1")
    try:
        process.until(lambda: process.steps() >= 5)
        os.kill(process.rank(victim), signal.SIGKILL)
        code, out, err = process.end(280)
    finally:
        process.kill()
    assert code == 0 and out.count("Options ---") == 2, (out, err)
    assert differences(state(whole_of_two), state(tmp_path)) == []
    log = [line.partition(", time")[0] for line in logged(tmp_path)]
    assert log == [line.partition(", time")[0] for line in logged(whole_of_two)]


def logged(folder):
    return [line for line in (folder / "checkpoints/run/loss_log.txt").read_text().splitlines() if line[0] == "("]


class Ranks:
    """Two processes as a launcher starts them, which is asked for nothing more: each has its own end."""

    def __init__(self, folder, argv, port):
        self.folder, self.processes = folder, []
        for rank in range(2):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            told = {key: str(value) for key, value in place.items()}
            self.processes.append(Process(folder, argv, environment=told))

    def end(self):
        try:
            return [process.end(120) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()


@pytest.mark.exhaustive
@pytest.mark.parametrize("hangs", ["hang0", "hang1"])
@pytest.mark.parametrize("workers", [0, 1])
def test_data_that_hang_in_one_process_end_both_with_a_save(whole_of_two, dataroot, tmp_path, hangs, workers):
    """Both end with 5, and the main one says why in a line."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/hanging_dataset.py").write_text(HANGING)
    data = tmp_path / "data"
    shutil.copytree(dataroot, data)
    plugin = ("--dataset_mode", "hanging", "--plugin_dir", tmp_path / "lab")
    words = (*TWO, *RARELY, "--num_threads", workers, "--data_timeout", 5, *plugin)
    ranks = Ranks(tmp_path, small_argv(data, tmp_path, *words), next(PORTS))
    ranks.processes[0].until(lambda: ranks.processes[0].steps() >= 4)
    os.mkfifo(data / hangs)
    (code, _, said), (other, _, silent) = ranks.end()
    assert (code, other, silent) == (Exit.STORAGE, Exit.STORAGE, ""), (said, silent)
    (line,) = said.splitlines()
    assert "waited 5 s (--data_timeout) for item" in line and f"saved at step {saved(tmp_path)}; {WAY} here" in line
    (data / hangs).unlink()
    again = Two(tmp_path, small_argv(data, tmp_path, *TWO, "--continue_train", *plugin[2:]), str(next(PORTS)))
    assert again.end(280)[0] == 0
    assert differences(state(whole_of_two), state(tmp_path)) == []
