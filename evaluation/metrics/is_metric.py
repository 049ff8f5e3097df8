"""How sure a classifier is of each image, and how unsure of all."""

from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.library import ALONE, Given, undisturbed
from evaluation.metrics.shared.observed import Observed

SPLITS = 10  # Salimans et al.
LOWEST = -600.0  # of a logarithm of a probability: its exponential is not yet 0, whose logarithm would be no number


class IsMetric(SetMetric):
    """Inception score, of the extractor's own classes: from 1 to their number.

    Salimans et al., "Improved Techniques for Training GANs" (NeurIPS 2016): mean and standard deviation of ten parts of
    the images, by torchmetrics in float64; the parts are the same each time. Its floor is that of real images alone. It
    does not know what real images look like, and is lower of few images; of fewer than two a part it would be 1,
    whatever they show, and is not defined.
    """

    names = ("IS", "IS +-")
    better = "higher"
    asks = ("logits",)
    least = 2 * SPLITS
    alone = True

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        from torchmetrics.image.inception import InceptionScore  # imports take seconds

        assert fake.logits is not None
        logits = fake.logits.double().log_softmax(1).clamp(min=LOWEST)
        with undisturbed("IS"):
            metric = InceptionScore(Given(logits.shape[1]), SPLITS, **ALONE)
            metric.update(logits)
            mean, deviation = metric.compute()
        return {"IS": mean.item(), "IS +-": deviation.item()}

    def caveats(self, real: Observed, fake: Observed) -> list[str]:
        assert fake.logits is not None
        N, K = fake.logits.shape
        if N >= SPLITS * K:
            return []
        return [
            f"IS: {SPLITS} parts of {N:,} images are few for {K:,} classes, which makes it lower; read it beside real"
        ]
