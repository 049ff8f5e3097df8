"""How much of either set of images lies where the other does."""

import torch

from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.distances import ROWS_AT_ONCE
from evaluation.metrics.shared.observed import Observed

NEIGHBOURS = 5  # Naeem et al., section 4.1; Kynkäänniemi et al. have 3
TIE = 1e-9  # of a squared distance: what is as far as a neighbour is inside, whatever the rounding


class PrdcMetric(SetMetric):
    r"""Precision and recall, density and coverage of the generated images, k = 5.

    Around each image is a ball that reaches to the k-th nearest other of its set, :math:`B_k(x)`. Of N real images r
    and M generated g:

    - precision: part of the g that are in some ball of a real image; recall: of the r in some ball of a generated one.
      Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (NeurIPS 2019).
    - density: :math:`\frac{1}{kM} \sum_{g, r} 1[g \in B_k(r)]`, can exceed 1; coverage: part of the r whose ball holds
      some g. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models" (ICML 2020).

    Real images against real ones have a density around 1, and below 1 all others, whatever k. Distances are Euclidean,
    of features in float64.
    """

    names = ("precision", "recall", "density", "coverage")
    better = "higher"
    directions = {"density": "one"}
    least = NEIGHBOURS + 1

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        centre = real.features.double().mean(0)  # or a common offset would eat the digits of the products
        r, g = real.features.double() - centre, fake.features.double() - centre
        r_radius, g_radius = radii(r), radii(g)
        inside, covered, within = 0, torch.zeros(len(r), dtype=torch.bool), 0
        recalled = torch.zeros(len(r), dtype=torch.bool)
        for part, radius in zip(g.split(ROWS_AT_ONCE), g_radius.split(ROWS_AT_ONCE), strict=True):
            distances = squared_distances(part, r)  # (B, N)
            holds = distances <= r_radius
            inside, within = inside + int(holds.any(1).sum()), within + int(holds.sum())
            covered |= holds.any(0)
            recalled |= (distances <= radius[:, None]).any(0)
        return {
            "precision": inside / len(g),
            "recall": recalled.double().mean().item(),
            "density": within / (NEIGHBOURS * len(g)),
            "coverage": covered.double().mean().item(),
        }


def radii(x: torch.Tensor) -> torch.Tensor:
    """(N,): the squared distance of each row to its k-th nearest other, and a little more."""
    found = []
    for start, part in zip(range(0, len(x), ROWS_AT_ONCE), x.split(ROWS_AT_ONCE), strict=True):
        distances = squared_distances(part, x)
        own = torch.arange(len(part))
        distances[own, start + own] = torch.inf
        found.append(distances.kthvalue(NEIGHBOURS, dim=1).values)
    return torch.cat(found) * (1 + TIE) + TIE * x.square().sum(1).mean()


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(N, M) of rows (N, F) and (M, F)."""
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)
