"""What happens in isolation leaves no trace in a training run."""

import random

import numpy as np
import torch

from util.seeding import seed_everything
from util.training.isolation import isolated


def draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_the_random_streams_go_on_as_if_nothing_had_been():
    seed_everything(0, "somewhere")
    expected = [draws() for _ in range(2)]
    seed_everything(0, "somewhere")
    found = [draws()]
    with isolated():
        seed_everything(1, "elsewhere")
        draws()
    assert [*found, draws()] == expected


def test_what_an_engine_sets_is_put_back_even_after_an_error():
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    with torch.no_grad():
        try:
            with isolated():
                assert torch.is_grad_enabled()
                cudnn.benchmark, cudnn.deterministic = not before[0], not before[1]
                torch.use_deterministic_algorithms(not before[2])
                torch.set_grad_enabled(False)
                raise KeyError
        except KeyError:
            pass
        assert not torch.is_grad_enabled()
    assert (cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()) == before
    assert torch.is_grad_enabled()
