"""KID over every pair of images, which metrics that draw subsets are held against."""

import math

import torch

from evaluation.metrics.shared.distances import ROWS_AT_ONCE, comparable

DEGREE = 3  # of KID's kernel; Binkowski et al., section 4


def kid(x: torch.Tensor, y: torch.Tensor) -> float:
    r"""Kernel distance (squared MMD), unbiased: 0 on average for two samples of one distribution, and then often below.

    .. math:: \frac{\sum_{i \ne j} k(x_i, x_j)}{N (N - 1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{M (M - 1)}
              - \frac{2 \sum_{ij} k(x_i, y_j)}{N M}, \qquad k(a, b) = (a \cdot b / F + 1)^3

    Binkowski et al., "Demystifying MMD GANs" (ICLR 2018), section 4.

    Args:
        x, y: (N, F) and (M, F), any float type; computed in float64, every pair.

    Returns:
        NaN where a set has fewer than two rows, all its rows are equal, or a number is not finite.
    """
    x, y = x.double(), y.double()
    if not comparable(x, y):
        return math.nan
    within = [(kernel_sum(a, a) - kernel(a, a, paired=True).sum()) / (len(a) * (len(a) - 1)) for a in (x, y)]
    return (within[0] + within[1] - 2 * kernel_sum(x, y) / (len(x) * len(y))).item()


def kernel(x: torch.Tensor, y: torch.Tensor, paired: bool = False) -> torch.Tensor:
    """KID's kernel of every row of x with every row of y, (N, M), or with ``paired`` of row i with row i, (N,)."""
    products = (x * y).sum(1) if paired else x @ y.T
    return (products / x.shape[1] + 1) ** DEGREE


def kernel_sum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.stack([kernel(part, y).sum() for part in x.split(ROWS_AT_ONCE)]).sum()
