"""Which glyphs of a batch the contrastive terms compare: found on the CPU, where the batch is put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from models.losses import Pairs, pairs_of, related


@dataclass(frozen=True)
class PairsOfBatch:
    """Indices of positives and negatives of both branches, as entries of the batch that travel to the device with it.

    Keys are (source, real_B). For the extractor they are the vectors too; for the generator these are the glyphs that
    it draws, in the order of the batch.

    Args:
        branches: of "content" and "style", those that have a term.
        styles: P; so many neighbours share their character, whose source comes once.
    """

    branches: tuple[str, ...]
    styles: int

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        character, label = batch["character"], batch["label"]
        once = character[:: self.styles]
        of_keys = torch.cat([once, character])
        style_of_keys = torch.cat([torch.full_like(once, -1), label])  # the source font is a style too
        found: dict[str, torch.Tensor] = {}
        for who, of_vectors, style_of_vectors in (("F", of_keys, style_of_keys), ("G", character, label)):
            for branch in self.branches:
                masks = (
                    related(of_vectors, of_keys)
                    if branch == "content"
                    else related(style_of_vectors, style_of_keys, (of_vectors, of_keys))
                )
                found |= {_key(branch, who, i): indices for i, indices in enumerate(pairs_of(*masks))}
        return found

    def read(self, batch: Mapping[str, Any]) -> dict[tuple[str, str], Pairs]:
        """(branch, "F" or "G") -> its pairs; found now in a batch that has none with it."""
        if self.branches and _key(self.branches[0], "F", 0) not in batch:
            batch = self(batch)
        found: dict[tuple[str, str], Pairs] = {}
        for branch in self.branches:
            for who in "FG":
                a, p, b, n = (batch[_key(branch, who, i)] for i in range(4))
                found[branch, who] = (a, p, b, n)
        return found


def _key(branch: str, who: str, number: int) -> str:
    return f"pairs of {branch} for {who}: {number}"
