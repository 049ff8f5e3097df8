"""Two agents of torchrun on this machine as on two: one is killed with its process, started again, and both go on."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
import torch

from tests.conftest import EVERY_STEP, small_argv
from tests.test_ends import WAY, Process
from tests.test_ends_of_two import Two, logged
from tests.test_train import differences, state
from util.training.own_state import name_of

OWN = ("--normG", "batch", "--ema_decay", 0.9, "--lr_policy", "plateau", "--plateau_metric", "NCE")
WORDS = ("--n_epochs", 4, "--n_epochs_decay", 0, *EVERY_STEP, *OWN, "--cache_mb", 0, "--num_threads", 0)
SHARING = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # as docs/running.md says, with the reason


class Agent(Process):
    """What is typed on one machine."""

    def __init__(self, folder, argv, port):
        launcher = ("-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1", "--max-restarts", "3")
        meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "cat")
        super().__init__(folder, argv, *launcher, *meeting, "--local-addr", "127.0.0.1", environment=SHARING)


@pytest.mark.exhaustive
def test_one_of_two_machines_is_killed_and_started_again_to_the_same_bits(dataroot, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    code, _, err = Two(whole, small_argv(dataroot, whole, *WORDS), "29811").end(900)
    assert code == 0, err
    argv = small_argv(dataroot, parts, *WORDS, "--continue_train", "auto")
    agents = [Agent(parts, argv, 29813)]
    try:
        agents.append(Agent(parts, argv, 29813))
        agents[0].until(lambda: agents[0].steps() >= 5, 600)
        worker = process_of(parts, rank=1)  # of the second agent, for the numbers of agents rise
        os.kill(agents[1].popen.pid, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        agents[1].end()
        agents.append(Agent(parts, argv, 29813))
        ends = [agents[n].end(900) for n in (2, 0)]
    finally:
        for agent in agents:
            agent.kill()
    assert [code for code, _, _ in ends] == [0, 0], ends
    told = "".join(out + err for _, out, err in ends)
    assert f"{WAY} there" in told and "what other processes keep to themselves" in told, told
    assert differences(state(whole), state(parts)) == []
    name = name_of("latest", 1)
    one, other = (torch.load(folder / "checkpoints/run" / name, weights_only=True) for folder in (whole, parts))
    assert one.keys() == other.keys() and one["state"].keys() == other["state"].keys() and one["state"]
    assert differences(flat(one), flat(other)) == []
    assert [line.partition(", time")[0] for line in logged(parts)] == [
        line.partition(", time")[0] for line in logged(whole)
    ]


def process_of(folder, rank):
    """The process of this rank that trains there."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words, told = ((place / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
            if f"RANK={rank}".encode() in told and str(folder / "checkpoints").encode() in words:
                found.append(int(place.name))
    (pid,) = found
    return pid


def flat(value, prefix=""):
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: item for key, part in items for name, item in flat(part, f"{prefix}.{key}").items()}
    return {prefix: value}
