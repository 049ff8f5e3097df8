"""Something in the middle of a training run that must not change it."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

from util import distributed


@contextlib.contextmanager
def isolated(together: bool = False) -> Iterator[None]:
    """Inside, a process computes for itself; afterwards training goes on as if nothing had been.

    Put back are the states of all global generators, whether gradients are recorded, and what an engine sets for
    all of torch. Weights, and generators that somebody holds, are the caller's business.

    Args:
        together: all processes are in it, and what they compute they share.
    """
    cuda = torch.cuda.is_initialized()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if cuda else []
    cudnn = torch.backends.cudnn
    flags = cudnn.benchmark, cudnn.deterministic
    strict, lenient = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        with torch.enable_grad(), contextlib.nullcontext() if together else distributed.alone():
            yield  # enable_grad puts back the mode that was
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(devices)
        cudnn.benchmark, cudnn.deterministic = flags
        torch.use_deterministic_algorithms(strict, warn_only=lenient)
