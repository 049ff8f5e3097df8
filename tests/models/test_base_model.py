"""What the base of every model does with an optimizer's options."""

import pytest
import torch
from torch import nn

from models.base_model import BaseModel
from networks.spectral import spectral_norm
from tests.conftest import train_options


class Mixed(BaseModel):
    """One network with everything that is, and is not, a matrix."""

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Embedding(4, 2), spectral_norm(nn.Linear(2, 2))
        )
        self.add_optimizer("G", self.netG)
        self.add_optimizer("G", nn.Linear(2, 2), lr=0.5)


def names(model, group):
    ids = {id(p) for p in group["params"]}
    return [name for name, p in model.netG.named_parameters() if id(p) in ids]


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_weight_decay_is_of_matrices_alone(kind):
    model = Mixed(train_options("--optimizer", kind, "--weight_decay", "0.1"))
    decayed, rest, *second = model.optimizers["G"].param_groups
    assert names(model, decayed) == ["0.weight", "3.parametrizations.weight.original"]
    assert names(model, rest) == ["0.bias", "1.weight", "1.bias", "2.weight", "3.bias"]
    assert [g["weight_decay"] for g in (decayed, rest, *second)] == [0.1, 0, 0.1, 0]
    assert [g["initial_lr"] for g in (decayed, rest, *second)] == [2e-4, 2e-4, 0.5, 0.5]


def test_without_weight_decay_a_call_is_a_group():
    """So checkpoints of such runs keep the groups they have always had."""
    groups = Mixed(train_options("--optimizer", "adamw")).optimizers["G"].param_groups
    assert [len(g["params"]) for g in groups] == [7, 2]


def test_adamw_shrinks_a_matrix_by_the_learning_rate_times_the_decay():
    model = Mixed(train_options("--optimizer", "adamw", "--weight_decay", "0.1", "--lr", "0.01"))
    before = {name: p.detach().clone() for name, p in model.netG.named_parameters()}
    for p in model.netG.parameters():
        p.grad = torch.zeros_like(p)
    model.optimizers["G"].step()
    for name, p in model.netG.named_parameters():
        factor = 1 - 0.01 * 0.1 if name in ("0.weight", "3.parametrizations.weight.original") else 1
        torch.testing.assert_close(p.detach(), before[name] * factor)


def test_networks_without_matrices_have_no_empty_group():
    class Table(BaseModel):
        def __init__(self, opt):
            super().__init__(opt)
            self.netG = nn.Embedding(4, 2)
            self.add_optimizer("G", self.netG)

    (group,) = Table(train_options("--weight_decay", "0.1")).optimizers["G"].param_groups
    assert group["weight_decay"] == 0 and len(group["params"]) == 1
