"""What a classifier learns of the classes from generated images alone."""

import hashlib
from typing import Any

import torch

from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.classifier import answers_about, description
from evaluation.metrics.shared.labels import accuracy
from evaluation.metrics.shared.observed import Observed
from options.listed import in_words
from util.table import figures, plural

WORST = 3  # classes that a line names
KEPT = 4  # answers of classifiers that are not trained again for the same images


class CasMetric(SetMetric):
    """Classification accuracy score: a classifier learns from generated images and names the classes of held-out ones.

    Ravuri and Vinyals, "Classification Accuracy Score for Conditional Generative Models" (NeurIPS 2019), theirs with a
    ResNet-50 on ImageNet; the network here is small and trained in seconds, see :mod:`.shared.classifier`. It falls
    with classes that are confused and with variety that is lost. Beside it are the same of as many real training
    images, which is what can be reached, and what naming the most frequent class would have.
    """

    names = ("CAS",)
    better = "higher"
    asks = ("images", "labels")

    def __init__(self, opt: Any = None) -> None:
        super().__init__(opt)
        self.known: dict[str, torch.Tensor] = {}

    def measure(self, real: Observed, fake: Observed) -> dict[str, float]:
        assert real.labels is not None
        return {"CAS": accuracy(self.answers(real, fake), real.labels)}

    def guess(self, real: Observed) -> dict[str, float]:
        if real.labels is None or not len(real):
            return {}
        return {"CAS": real.labels.unique(return_counts=True)[1].max().item() / len(real)}

    def details(self, real: Observed, fake: Observed) -> dict[str, dict[str, Any]]:
        if fake.images is None:
            return {}
        classes = {} if self.flaws(real, fake) else {"classes": self.of_classes(real, fake)}
        return {"CAS": description(fake.images) | {"comparable": False} | classes}

    def flaws(self, real: Observed, fake: Observed) -> list[str]:
        if lines := super().flaws(real, fake):
            return lines
        assert real.images is not None and fake.images is not None and real.labels is not None
        shapes, count = [tuple(side.images.shape[1:]) for side in (fake, real)], len(real.labels.unique())  # type: ignore[union-attr]
        if shapes[0] != shapes[1]:
            one, other = (" x ".join(map(str, shape[:0:-1])) for shape in shapes)
            channels = "" if shapes[0][0] == shapes[1][0] else f" of {shapes[0][0]} and {shapes[1][0]} channels"
            return [f"CAS: generated images are {one}, real ones {other}{channels}; they must be of one kind"]
        if count < 2:
            return ["CAS: the real images are of one class, and there is nothing to tell it from"]
        if len(fake) < count:
            return [f"CAS: {plural(len(fake), 'image')} to learn {count} classes from are too few"]
        return []

    def caveats(self, real: Observed, fake: Observed) -> list[str]:
        assert real.labels is not None and fake.labels is not None
        there = [set(side.labels.tolist()) for side in (real, fake)]  # type: ignore[union-attr]
        lines = []
        if missing := sorted(there[0] - there[1]):
            named = in_words([self.called(k) for k in missing])
            lines.append(f"CAS: no generated images of {named}, whose real ones count as errors")
        if beyond := sorted(there[1] - there[0]):
            lines.append(f"CAS: no real images of {in_words([self.called(k) for k in beyond])}, which are not judged")
        values = sorted(self.of_classes(real, fake).items(), key=lambda pair: pair[1])
        worst = ", ".join(f"{name} {figures(value)}" for name, value in values[:WORST])
        return [*lines, f"CAS: of single classes the lowest are {worst}"]

    def of_classes(self, real: Observed, fake: Observed) -> dict[str, float]:
        """{class: part of its real images that are named so}."""
        assert real.labels is not None
        answers = self.answers(real, fake)
        present = real.labels.unique().tolist()
        return {self.called(k): accuracy(answers[real.labels == k], real.labels[real.labels == k]) for k in present}

    def answers(self, real: Observed, fake: Observed) -> torch.Tensor:
        """What a classifier that learnt from ``fake`` says of ``real``; it is trained once for the same images."""
        assert real.images is not None and fake.images is not None
        assert real.labels is not None and fake.labels is not None
        tensors = (real.images, real.labels, fake.images, fake.labels)
        key = hashlib.sha256(b"".join(hashlib.sha256(x.numpy().tobytes()).digest() for x in tensors)).hexdigest()
        if key not in self.known:
            classes = max(len(self.classes), *(int(labels.max()) + 1 for labels in (real.labels, fake.labels)))
            self.known[key] = answers_about(real.images, fake.images, fake.labels, classes)
            self.known = dict(list(self.known.items())[-KEPT:])
        return self.known[key]
