"""Pictures and captions: whose is nearest to which, what captions say that a judge sees, and variety within one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from evaluation.metrics.shared.labels import accuracy, distance_within
from util.attributes import UNSAID, holds

POOL = 100  # captions of which one is the picture's own
PICTURES_AT_ONCE = 256  # pictures that are compared with their pools at once
TIE = 1e-6  # cosines no further apart are equal: one and the same caption, encoded in two batches, differs by 1e-7


@dataclass(frozen=True)
class Precision:
    """R-precision of captions for pictures.

    Attributes:
        mean: part of the pictures whose own caption is nearer than all others of its pool; NaN where a pool has
            no other.
        deviation: of the folds' means; NaN with fewer than two folds.
        ids: (N, P) places of the captions in each picture's pool, its own first.
    """

    mean: float
    deviation: float
    ids: torch.Tensor

    @property
    def name(self) -> str:
        """What it must be called: with another number of captions it is another measure."""
        return f"R-precision@1/{self.ids.shape[1]}"


def r_precision(
    images: torch.Tensor,
    captions: torch.Tensor,
    said: torch.Tensor,
    shown: torch.Tensor,
    generator: torch.Generator,
    pool: int = POOL,
    folds: int = 10,
) -> Precision:
    """How often a picture's own caption is nearer to it, by cosine, than all others of a pool.

    Xu et al., "AttnGAN" (CVPR 2018): one caption of the picture among 99 drawn at random. Here those are drawn from
    captions that are not true of the picture, of each meaning at most one. A tie is a miss: an encoder that makes all
    captions one scores 0.

    Args:
        images: (N, E), any length.
        captions: (N, E) of the pictures' own captions.
        said: (N, A) what these say; captions that say the same have one meaning.
        shown: (N, A) what the pictures are to show.
        generator: draws the pools, and which pictures form a fold.
        pool: captions in a pool at most; if one picture has fewer that are not true of it, all pools are as small.
    """
    images, captions = (F.normalize(x.double(), dim=1) for x in (images, captions))
    meanings = first_of_each(said)
    P = min([pool, *(1 + count for count in others(said[meanings], shown).tolist())])
    hits, ids = [], [torch.empty(0, P, dtype=torch.int64)]
    for start in range(0, len(images), PICTURES_AT_ONCE):
        own = torch.arange(start, min(start + PICTURES_AT_ONCE, len(images)))
        draws = torch.rand(len(own), len(meanings), generator=generator)
        draws[holds(said[meanings], shown[own]).T] = -1
        drawn = torch.cat([own[:, None], meanings[draws.topk(P - 1).indices]], 1)  # (B, P)
        cosines = (captions[drawn] @ images[own][:, :, None])[:, :, 0]
        if P > 1:
            hits.append(cosines[:, 0] > cosines[:, 1:].amax(1) + TIE)
        ids.append(drawn)
    if not hits:
        return Precision(math.nan, math.nan, torch.cat(ids))
    hit = torch.cat(hits).double()
    parts = hit[torch.randperm(len(hit), generator=generator)].chunk(folds)
    deviation = torch.stack([part.mean() for part in parts]).std().item() if len(parts) > 1 else math.nan
    return Precision(hit.mean().item(), deviation, torch.cat(ids))


def first_of_each(said: torch.Tensor) -> torch.Tensor:
    """Places of the first caption of each meaning, ascending."""
    _, meaning = said.unique(dim=0, return_inverse=True)
    places = torch.full((int(meaning.max()) + 1 if len(meaning) else 0,), len(said))
    return places.scatter_reduce(0, meaning, torch.arange(len(said)), "amin").sort().values


def others(said: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """(M,) int64: how many of the captions are not true of each picture."""
    counts = [(~holds(said, part)).sum(0) for part in shown.split(PICTURES_AT_ONCE)]
    return torch.cat(counts) if counts else torch.empty(0, dtype=torch.int64)


def attribute_accuracy(answers: torch.Tensor, said: torch.Tensor, names: Sequence[str]) -> dict[str, float]:
    """{name of each attribute, ``all``: part of the pictures in which a judge sees what their captions say of it}.

    What is left unsaid does not count, either way; ``all`` asks everything that is said, of captions that say
    anything. NaN where nothing is said.

    Args:
        answers: (N, A) int64, what the judge sees; -1 is nothing that a caption can say.
        said: (N, A) int64.
        names: A of them.
    """
    counts = said != UNSAID
    found = {name: accuracy(answers[counts[:, a], a], said[counts[:, a], a]) for a, name in enumerate(names)}
    right = ((answers == said) | ~counts).all(1)[counts.any(1)]
    return found | {"all": right.double().mean().item() if len(right) else math.nan}


def variety(
    features: torch.Tensor, said: torch.Tensor, real: torch.Tensor, real_said: torch.Tensor
) -> tuple[float, int]:
    """How far apart two pictures of a caption are, as a part of two real ones' distance; and of how many captions.

    Mean distances within a caption are averaged over the captions that have two pictures of either kind, and then
    divided: of the few real pictures of a caption alone a ratio would be mostly noise. NaN where there is none.

    Args:
        features, real: (N, F) and (M, F), any float type.
        said, real_said: (N, A) and (M, A) int64; captions that say the same are one.
    """
    _, meaning = torch.cat([said, real_said]).unique(dim=0, return_inverse=True)
    made, true = (distance_within(x, of) for x, of in ((features, meaning[: len(said)]), (real, meaning[len(said) :])))
    shared = made.keys() & true.keys()
    whole = sum(true[m] for m in shared)
    return (sum(made[m] for m in shared) / whole if whole > 0 else math.nan), len(shared)
