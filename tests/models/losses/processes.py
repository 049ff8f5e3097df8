"""For losses in which every row meets every other: what two processes compute of halves of a batch."""

import pytest
import torch

from tests.util.test_distributed import in_processes
from util import distributed


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def assert_processes_are_one(loss, weight, rows, folder):
    """``loss(weight, rows, gather)`` of halves of the rows, gradients averaged, is that of all rows in one process."""
    parameter = weight.clone().requires_grad_()
    expected = loss(parameter, rows, lambda x: x)
    expected.backward()

    def work(rank):
        mine = torch.nn.Parameter(weight.clone())
        value = loss(mine, [x.chunk(2)[rank] for x in rows], distributed.gather)
        value.backward()
        distributed.average_gradients([mine])
        return value.item(), mine.grad.tolist()

    for value, gradient in in_processes(work, folder):
        assert value == pytest.approx(expected.item(), rel=1e-10)
        torch.testing.assert_close(torch.tensor(gradient, dtype=weight.dtype), parameter.grad, rtol=1e-10, atol=1e-12)
