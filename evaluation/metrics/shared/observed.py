"""Images as an extractor of features sees them: what metrics of sets compare."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True)
class Observed:
    """N images, a row each, on the CPU; what an extractor or the data do not tell is None.

    Attributes:
        features: (N, F) float.
        logits: (N, K) float, of the extractor's own classes.
        labels: (N,) int64, the class or style that an image has or was to have.
        answers: (N,) int64, the one that the extractor sees in it, in the numbers of ``labels``; -1 is none of them.
        images: bytes (N, C, H, W), where a metric asks for them.
    """

    features: torch.Tensor
    logits: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    answers: torch.Tensor | None = None
    images: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: torch.Tensor) -> "Observed":
        """These rows, by number or as a mask (N,)."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        taken = {name: None if value is None else value[rows] for name, value in found.items()}
        return Observed(**taken)  # type: ignore[arg-type]

    @staticmethod
    def join(parts: Sequence["Observed"]) -> "Observed":
        """One set of several; what one of them lacks is None."""
        found: dict[str, torch.Tensor | None] = {}
        for name in (f.name for f in fields(Observed)):
            values = [getattr(part, name) for part in parts]
            found[name] = None if any(value is None for value in values) else torch.cat(values)
        return Observed(**found)  # type: ignore[arg-type]
