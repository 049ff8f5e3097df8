"""What two processes compute together, with gloo on this machine."""

import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F

from util import distributed


def inside(rank, world, folder, work, results):
    try:
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
        results.put((rank, work(rank)))
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        results.put((rank, None))


def in_processes(work, folder, world=2):
    """What ``work(rank)`` returns in each of some processes, as plain values."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=inside, args=(r, world, folder, work, results)) for r in range(world)]
    for process in processes:
        process.start()
    values = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    return [values[r] for r in range(world)]


def rows(seed=0):
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def contrast(weight, x):
    """A loss in which every row meets every other, as a batch-wide contrastive loss does."""
    z = F.normalize(x @ weight, dim=1)
    return (z @ z.T).exp().sum().log()


def gathered(rank):
    weight = rows(1)[:3].clone().requires_grad_()
    z = F.normalize(rows()[2 * rank : 2 * rank + 2] @ weight, dim=1)
    z = distributed.gather(z)
    loss = (z @ z.T).exp().sum().log()
    loss.backward()
    parameter = torch.nn.Parameter(weight.detach())
    parameter.grad = weight.grad
    distributed.average_gradients([parameter])
    return loss.item(), parameter.grad.tolist()


@pytest.mark.slow
def test_gather_has_the_gradient_of_one_process(tmp_path):
    weight = rows(1)[:3].clone().requires_grad_()
    loss = contrast(weight, rows())
    loss.backward()
    for value, gradient in in_processes(gathered, tmp_path):
        assert value == pytest.approx(loss.item(), rel=1e-12)
        torch.testing.assert_close(torch.tensor(gradient, dtype=torch.float64), weight.grad, rtol=1e-12, atol=1e-14)


def collectives(rank):
    module = torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        module.weight.fill_(rank + 1)
        module.running_mean.fill_(rank + 5)
    distributed.broadcast_module(module)
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(1))
    used.grad = torch.full((2,), float(rank))
    if rank == 0:  # only one process has a gradient for it
        unused.grad = torch.ones(1)
    distributed.average_gradients([used, unused])
    device = torch.device("cpu")
    return (module.weight.tolist(), module.running_mean.tolist(), used.grad.tolist(), unused.grad.tolist(),
            distributed.any_process(rank == 1, device), distributed.any_process(False, device),
            distributed.mean(torch.tensor(float(rank))).item())  # fmt: skip


def test_the_collectives(tmp_path):
    for values in in_processes(collectives, tmp_path):
        assert values == ([1, 1], [5, 5], [0.5, 0.5], [0.5], True, False, 0.5)


def test_each_is_the_identity_alone():
    x = torch.randn(3, 2)
    assert distributed.gather(x) is x and distributed.world_size() == 1 and distributed.rank() == 0
    assert distributed.any_process(True, x.device) and distributed.mean(x[0, 0]) == x[0, 0]


def meeting(rank, port, restarts, results):
    """One process of a launcher that keeps its store over restarts; it ends as one that is killed does."""
    told = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    told |= {"TORCHELASTIC_USE_AGENT_STORE": True, "TORCHELASTIC_RESTART_COUNT": restarts}
    os.environ.update({key: str(value) for key, value in told.items()})
    time.sleep(0.5 * (rank == 0) * restarts)  # the other one looks for it before it is there
    try:
        distributed.start(torch.device("cpu"), minutes=0.1)
        results.put((distributed.any_process(rank == 1, torch.device("cpu")), distributed._say("told")))
    except BaseException as error:
        results.put(error)
    results.close()
    results.join_thread()
    os._exit(9)


@pytest.mark.slow
def test_after_a_restart_processes_meet_one_another_and_not_those_that_are_no_more():
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    context = multiprocessing.get_context("fork")
    for restarts in range(2):
        results = context.Queue()
        processes = [context.Process(target=meeting, args=(r, store.port, restarts, results)) for r in range(2)]
        for process in processes:
            process.start()
        assert sorted(str(results.get(timeout=60)) for _ in processes) == ["(True, False)", "(True, True)"]
        for process in processes:
            process.join(60)


@pytest.mark.exhaustive
def test_who_waits_for_other_processes_hears_signals():
    """One that never comes keeps nobody from ending."""
    port = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False).port  # free again
    code = """import torch
from util import cli, distributed
def main():
    print("waits", flush=True)
    distributed.start(torch.device("cpu"))
raise SystemExit(cli.run(main))
"""
    told = {"RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=os.environ | {key: str(value) for key, value in told.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "waits\n"
    time.sleep(1)
    process.terminate()
    assert process.communicate(timeout=20)[1].splitlines()[-1] == "-c: interrupted by signal 15 (SIGTERM)"
    assert process.returncode == 130
