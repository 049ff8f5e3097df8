"""What two processes compute together, with gloo on this machine."""

import multiprocessing
import sys
import traceback

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
