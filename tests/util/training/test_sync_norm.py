"""Batch norm of two processes with two images each is that of one with four: values, gradients twice, statistics."""

import pytest
import torch
from torch import nn

from options import UserError
from tests.conftest import small_argv, train_options
from tests.test_train import run
from tests.util.test_distributed import in_processes
from util import distributed
from util.training.sync_norm import SyncedBatchNorm, synchronise


class Two(nn.Module):
    """Networks of a model, with every form of batch norm that there is."""

    def __init__(self, opt):
        super().__init__()
        self.opt = opt
        torch.manual_seed(0)
        maps = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Tanh(), nn.Flatten()
        rows = nn.Linear(16, 5), nn.BatchNorm1d(5, affine=False), nn.Tanh(), nn.Linear(5, 1)
        self.networks = {"D": nn.Sequential(*maps, *rows).double()}


def step(model, images):
    """Gradients of a loss with a penalty of the gradient, and the running statistics after two passes."""
    network = model.networks["D"]
    for _ in range(2):
        answers = network(images)
    (slope,) = torch.autograd.grad(answers.square().sum(), images, create_graph=True)
    (answers.square().mean() + slope.square().sum(dim=(1, 2, 3)).mean()).backward()
    distributed.average_gradients(network.parameters())
    found = [p.grad for p in network.parameters()], [b.double() for b in network.buffers()], slope.detach()
    return [[x.tolist() for x in part] for part in found]


def images():
    random = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 4, 4, generator=random, dtype=torch.float64)


def test_two_processes_are_one_batch(tmp_path):
    def work(rank):
        model = Two(None)
        synchronise(model)
        return step(model, images()[2 * rank : 2 * rank + 2].requires_grad_())

    gradients, statistics, slope = step(Two(None), images().requires_grad_())
    found = in_processes(work, tmp_path)
    for mine in found:
        for one, two in zip(gradients + statistics, mine[0] + mine[1], strict=True):
            torch.testing.assert_close(torch.tensor(two), torch.tensor(one), rtol=1e-6, atol=1e-10)
    torch.testing.assert_close(torch.tensor(found[0][2] + found[1][2]), torch.tensor(slope), rtol=1e-6, atol=1e-10)


def test_alone_and_in_evaluation_it_is_torchs():
    one, other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    other.__class__ = SyncedBatchNorm
    for x in (torch.randn(2, 3, 4, 4), torch.randn(4, 3, 2, 2)):
        assert torch.equal(one(x), other(x))
    assert torch.equal(one.eval()(x), other.eval()(x)) and list(one.state_dict()) == list(other.state_dict())


def test_a_model_without_batch_norm_refuses_the_flag(dataroot, tmp_path):
    with pytest.raises(UserError, match=r"--sync_bn: --model cut with --normG instance .* has no batch norm; leave it"):
        run(dataroot, tmp_path, "--sync_bn")
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_a_run_of_one_process_is_the_same_with_it_which_is_said(dataroot, tmp_path, capsys):
    words = ("--normG", "batch", "--max_steps", 1, "--no_html")
    for name, more in (("without", ()), ("with", ("--sync_bn",))):
        assert run(dataroot, tmp_path / name, *words, *more) == 0
    assert "--sync_bn: there is one process" in capsys.readouterr().err
    one, two = ((tmp_path / n / "checkpoints/run/latest_net_G.pth") for n in ("without", "with"))
    one, two = (torch.load(path, weights_only=True) for path in (one, two))
    assert all(torch.equal(one[key], two[key]) for key in one) and one.keys() == two.keys()
    assert train_options(*small_argv(dataroot, tmp_path / "with", "--continue_train")).sync_bn
