"""Fréchet distance of two sets of images."""

from evaluation.metrics.base_set import FEW, SetMetric
from evaluation.metrics.shared.distances import frechet
from evaluation.metrics.shared.observed import Observed


class FidMetric(SetMetric):
    """FID, of whatever features the extractor gives: see :func:`.shared.distances.frechet`. 0 is equal.

    Ours computes and torchmetrics checks it in a test: with 2048 features that takes the eigenvalues of a product that
    is not symmetric. Measured on one core, 140 images against 400: 4.1 s there, 0.02 s here, and a set against itself
    is at -0.0006 there, at 0 here; 3000 against 3000: 4.4 s and 5.2 s, equal to 1e-9.
    """

    names = ("FID",)
    least = FEW

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        return {"FID": frechet(fake.features, real.features, singular=True)}

    def caveats(self, real: Observed, fake: Observed) -> list[str]:
        N, M, F = len(fake), len(real), fake.features.shape[1]
        if min(N, M) > F:
            return []
        return [
            f"FID: {N:,} images against {M:,} are few for {F:,} features, which makes it higher; read it beside its "
            "floor and compare it with values of as many images alone"
        ]
