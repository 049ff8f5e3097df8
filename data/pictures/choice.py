"""Which of some labelled pictures: held out for a test, one of every class in turn, a share of each, all alike."""

import numpy as np
import torch

from data.loading.held_out import last_drawn, places_of
from data.pictures.sources import Pictures


def held_out(pictures: Pictures, seed: int, fraction: float) -> np.ndarray:
    """Which pictures are for the test: (N,) bool, a function of the names and the seed.

    Of every class that share, and at least one picture where it has two. Groups stay together, unless a class is a
    single one.
    """
    chosen = np.zeros(len(pictures), dtype=bool)
    if fraction == 0:
        return chosen
    for label in np.unique(pictures.labels):
        rows = np.flatnonzero(pictures.labels == label)
        places = places_of(pictures.groups[rows], seed)
        if len(np.unique(places)) == 1:
            places = places_of(pictures.names[rows], seed)
        chosen[rows] = places <= last_drawn(places, fraction)
    return chosen


def in_turn(labels: np.ndarray, most: int) -> np.ndarray:
    """Rows of the first ``most`` pictures, taking one of every class in turn."""
    return np.sort(np.lexsort((labels, _turns(labels)))[:most])


def share(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Rows of ``most`` pictures drawn by a seed, of every class in proportion."""
    drawn = np.random.default_rng(seed).permutation(len(labels))
    _, place, counts = np.unique(labels[drawn], return_inverse=True, return_counts=True)
    height = (_turns(place) + 0.5) / counts[place]  # in a pile of its class from 0 to 1; the lower part is taken
    return np.sort(drawn[np.argsort(height, kind="stable")[:most]])


def alike(labels: np.ndarray, generator: torch.Generator) -> list[int]:
    """Rows of an epoch as long as the data, in which every class comes as often, in their order.

    Whatever is left over by an equal share goes to classes that are drawn. Of a class all pictures have come before one
    comes again.
    """
    classes = np.unique(labels)
    each, left = divmod(len(labels), len(classes))
    more = set(torch.randperm(len(classes), generator=generator)[:left].tolist())
    drawn: list[torch.Tensor] = []
    for place, label in enumerate(classes):
        rows, wanted = torch.from_numpy(np.flatnonzero(labels == label)), each + (place in more)
        rounds = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(-(-wanted // len(rows)))]
        drawn.append(torch.cat(rounds)[:wanted] if rounds else rows[:0])
    order = torch.cat(drawn)
    return order[torch.randperm(len(order), generator=generator)].tolist()


def _turns(labels: np.ndarray) -> np.ndarray:
    """How many of its class precede each."""
    turns = np.empty(len(labels), dtype=np.int64)
    turns[np.argsort(labels, kind="stable")] = np.concatenate([np.arange(n) for n in np.bincount(labels)])
    return turns
