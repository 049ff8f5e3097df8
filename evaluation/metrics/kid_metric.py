"""Kernel distance of two sets of images."""

from evaluation.metrics.base_set import FEW, SetMetric
from evaluation.metrics.shared.distances import kernel_distance
from evaluation.metrics.shared.library import ALONE, Given, undisturbed
from evaluation.metrics.shared.observed import Observed

SUBSETS, SUBSET = 50, 1000  # how many are drawn, and the most images in one (100 of 1000: its authors')


class KidMetric(SetMetric):
    """KID, 1000 times: 0 on average for two samples of one distribution, then often below, whatever their number.

    Binkowski et al., "Demystifying MMD GANs" (ICLR 2018), section 4; torchmetrics computes it in float64. The mean and
    standard deviation of 50 subsets, half as large as the smaller set and at most 1000 images: larger ones would be
    nearly the same images again and again, and seem certain. The subsets are the same each time. Fewer than ten images
    of either set, which would make subsets of fewer than five, define none.

    KID-all is the same estimate over all pairs of images, without chance: :func:`.shared.distances.kernel_distance`.
    """

    names = ("KID x 1000", "KID x 1000 +-", "KID-all x 1000")
    least = FEW

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        from torchmetrics.image.kid import KernelInceptionDistance  # imports take seconds

        size = min(SUBSET, min(len(real), len(fake)) // 2)
        with undisturbed("KID"):
            metric = KernelInceptionDistance(Given(real.features.shape[1]), SUBSETS, size, **ALONE)
            metric.update(real.features.double(), real=True)
            metric.update(fake.features.double(), real=False)
            mean, deviation = metric.compute()
        return {
            "KID x 1000": 1000 * mean.item(),
            "KID x 1000 +-": 1000 * deviation.item(),
            "KID-all x 1000": 1000 * kernel_distance(fake.features, real.features),
        }
