"""What metrics of torchmetrics need to take features that an extractor gave already, and to leave no trace."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from util.seeding import derive

ALONE = {"sync_on_compute": False}  # for a metric of torchmetrics: other processes are not waited for


class Given(nn.Module):
    """Stands in for an extractor: its images are features (N, F)."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features  # torchmetrics asks for it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@contextmanager
def undisturbed(*seed: object) -> Iterator[None]:
    """Numbers drawn inside depend on ``seed`` alone, none outside on them; warnings are kept quiet.

    PyTorch's generator of the CPU, which torchmetrics draws from; those of other devices are not touched.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(derive(*seed))
        yield
