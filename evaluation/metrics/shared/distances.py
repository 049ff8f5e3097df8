"""Two sets of features: do they come from one distribution, and how near does one come to the other?"""

import math

import torch

DEGREE = 3  # of KID's kernel
ROWS_AT_ONCE = 1024  # rows whose products with all of the other set are in memory at once


def frechet(x: torch.Tensor, y: torch.Tensor, singular: bool = False) -> float:
    r"""Squared Fréchet distance between the Gaussians of two sets; 0 for equal ones.

    .. math:: |\mu_x - \mu_y|^2 + \operatorname{tr}\bigl(S_x + S_y - 2 (S_x^{1/2} S_y S_x^{1/2})^{1/2}\bigr)

    Equation 6 of Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (NeurIPS 2017). Two samples of one
    distribution are apart by about a multiple of F^2 / n, so a value means something beside that of real images alone.

    Args:
        x, y: (N, F) and (M, F), any float type; computed in float64.
        singular: also of sets with no more rows than features, whose covariance is singular; the value is then high.

    Returns:
        in the features' unit squared. NaN where a set has no more rows than features and ``singular`` is not given,
        all its rows are equal, or a number is not finite.
    """
    x, y = x.double(), y.double()
    few = min(len(x), len(y)) <= x.shape[1]
    if not comparable(x, y) or (few and not singular):
        return math.nan
    gap = (x.mean(0) - y.mean(0)).square().sum()
    a, b = ((rows - rows.mean(0)) / math.sqrt(len(rows) - 1) for rows in (x, y))  # S_x = a^T a
    cross = torch.linalg.svdvals(a @ b.T).sum() if few else root_trace(a.T @ a, b.T @ b)
    return max(0.0, (gap + a.square().sum() + b.square().sum() - 2 * cross).item())  # rounding alone takes it below


def frechet_of_moments(x_mean: torch.Tensor, x_cov: torch.Tensor, y_mean: torch.Tensor, y_cov: torch.Tensor) -> float:
    """:func:`frechet` of means (F,) and covariances (F, F), of whatever rank; computed in float64."""
    x_mean, x_cov, y_mean, y_cov = (a.double() for a in (x_mean, x_cov, y_mean, y_cov))
    gap = (x_mean - y_mean).square().sum()
    return max(0.0, (gap + x_cov.trace() + y_cov.trace() - 2 * root_trace(x_cov, y_cov)).item())


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (F,) and covariance (F, F) of rows (N, F), N at least 2, in float64; the covariance divided by N - 1."""
    x = x.double()
    centred = x - x.mean(0)
    return x.mean(0), centred.T @ centred / (len(x) - 1)


def kernel_distance(x: torch.Tensor, y: torch.Tensor) -> float:
    r"""Squared MMD of KID's kernel over all pairs, unbiased: 0 on average for two samples of one distribution.

    .. math:: \frac{\sum_{i \ne j} k(x_i, x_j)}{N (N - 1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{M (M - 1)}
              - \frac{2 \sum_{ij} k(x_i, y_j)}{N M}, \qquad k(a, b) = (a \cdot b / F + 1)^3

    Binkowski et al., "Demystifying MMD GANs" (ICLR 2018), section 4; it may be below 0.

    Args:
        x, y: (N, F) and (M, F), any float type; computed in float64.

    Returns:
        NaN where a set has fewer than two rows, all its rows are equal, or a number is not finite.
    """
    x, y = x.double(), y.double()
    if not comparable(x, y):
        return math.nan
    within = [(_kernel_sum(a, a) - _kernel((a * a).sum(1), a.shape[1]).sum()) / (len(a) * (len(a) - 1)) for a in (x, y)]
    return (within[0] + within[1] - 2 * _kernel_sum(x, y) / (len(x) * len(y))).item()


def _kernel(products: torch.Tensor, features: int) -> torch.Tensor:
    return (products / features + 1) ** DEGREE


def _kernel_sum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Of every row of x with every row of y."""
    parts = [_kernel(part @ y.T, x.shape[1]).sum() for part in x.split(ROWS_AT_ONCE)]
    return torch.stack(parts).sum()


def root_trace(x_cov: torch.Tensor, y_cov: torch.Tensor) -> torch.Tensor:
    """The trace of the last term of :func:`frechet`; of few rows it is the sum of the singular values of a b^T."""
    root = square_root(x_cov)
    return torch.linalg.eigvalsh(root @ y_cov @ root).clamp(min=0).sqrt().sum()


def nearest_rows(x: torch.Tensor, reference: torch.Tensor, k: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest rows of ``reference`` (M, F) to each row of ``x`` (N, F): distances and their indices, (N, k) each.

    Euclidean and exact: candidates come from one matrix product, whose rounding could hide that two rows are equal,
    and are measured again.
    """
    k = min(k, len(reference))
    centre = reference.double().mean(0)  # or a common offset would eat the product's digits
    x, reference = ((a.double() - centre).float() for a in (x, reference))
    norms, more = reference.square().sum(1), min(2 * k + 8, len(reference))
    distances, indices = [torch.empty(0, k)], [torch.empty(0, k, dtype=torch.int64)]
    for part in x.split(ROWS_AT_ONCE):
        found = (norms - 2 * part @ reference.T).topk(more, largest=False).indices  # (B, more)
        exact = torch.stack([(part - reference[found[:, i]]).square().sum(1).sqrt() for i in range(more)], 1)
        values, order = exact.sort(dim=1, stable=True)
        distances.append(values[:, :k])
        indices.append(found.gather(1, order)[:, :k])
    return torch.cat(distances), torch.cat(indices)


def comparable(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether both have two rows that differ, and finite numbers alone."""
    return all(len(a) > 1 and bool(a.isfinite().all()) and bool((a != a[0]).any()) for a in (x, y))


def square_root(matrix: torch.Tensor) -> torch.Tensor:
    """Of a symmetric positive matrix (F, F)."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
