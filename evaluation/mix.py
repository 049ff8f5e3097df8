"""How classes are mixed among images: samples in a given mix, and what is said where two sets have different ones.

A distance of sets compares mixes too: of real digits with real digits whose classes are mixed otherwise it is large.
"""

import math
from collections.abc import Mapping, Sequence

import torch

from options.listed import quoted

FAR = 0.05  # share of the images that would have to be of another class, from which on a difference is worth a line,
BY_CHANCE = 2  # unless it is less than so many times what two random samples of one mix have between them
SHOWN = 5  # classes in a line


def apportioned(weights: Sequence[int], count: int) -> list[int]:
    """How many of so many go to each weight: its share by largest remainder, the first of equal ones first.

    No share is off by one or more, so a small sample has the mix as well as its number allows.
    """
    total = sum(weights)
    whole = [divmod(weight * count, total) for weight in weights]
    left = count - sum(n for n, _ in whole)
    more = set(sorted(range(len(weights)), key=lambda k: -whole[k][1])[:left])
    return [n + (k in more) for k, (n, _) in enumerate(whole)]


def mixed(classes: torch.Tensor, count: int, weights: Sequence[int] | None = None) -> torch.Tensor:
    """Classes (count,) of samples, ``apportioned``; any number of the first are mixed nearly alike.

    Args:
        classes: (C,) int64.
        weights: one of each; without them all count alike, and samples take turns.
    """
    counts = apportioned(weights or [1] * len(classes), count)
    height = torch.tensor([(row + 0.5) / n for n in counts for row in range(n)], dtype=torch.float64)
    return classes.repeat_interleave(torch.tensor(counts))[height.argsort(stable=True)]


def apart(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """The share of the images of one set that would have to be of another class for it to be mixed as the other."""
    totals = sum(one.values()), sum(other.values())
    names = dict.fromkeys([*one, *other])
    return sum(abs(one.get(k, 0) / totals[0] - other.get(k, 0) / totals[1]) for k in names) / 2


def by_chance(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """What two sets drawn at random from both together, as large as these, are ``apart`` on average."""
    totals = sum(one.values()), sum(other.values())
    shares = [(one.get(k, 0) + other.get(k, 0)) / sum(totals) for k in {*one, *other}]
    deviations = sum(math.sqrt(p * (1 - p)) for p in shares) * math.sqrt(sum(1 / n for n in totals))
    return deviations / math.sqrt(2 * math.pi)


def remark(one: Mapping[str, int], other: Mapping[str, int], words: tuple[str, str], way_out: str = "") -> list[str]:
    """A line with both mixes where they differ, by the classes that differ most.

    Args:
        one, other: class -> how many images of the set are of it.
        words: what the sets are called.
        way_out: what the line ends with.
    """
    if not sum(one.values()) or not sum(other.values()):
        return []
    far = apart(one, other)
    if far <= max(FAR, BY_CHANCE * by_chance(one, other)):
        return []
    sets = {words[0]: one, words[1]: other}
    share = {word: {k: n / sum(of.values()) for k, n in of.items()} for word, of in sets.items()}
    first, second = share.values()
    names = sorted(dict.fromkeys([*one, *other]), key=lambda k: abs(first.get(k, 0) - second.get(k, 0)), reverse=True)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    mixes = [", ".join(f"{quoted(str(k))} {of.get(k, 0):.1%}" for k in names[:SHOWN]) + more for of in share.values()]
    spans = [_span([of.get(k, 0) for k in names]) for of in sets.values()]
    return [
        f"classes are mixed otherwise ({far:.0%} apart): {words[0]} images are {spans[0]} of a class ({mixes[0]}), "
        f"{words[1]} ones {spans[1]} of a class ({mixes[1]}); distances of sets such as KID and FID feel it{way_out}"
    ]


def _span(counts: Sequence[int]) -> str:
    return f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(counts[0])


def counted(labels: torch.Tensor | None, names: Sequence[str] = ()) -> dict[str, int]:
    """How many images are of each class, by its name; nothing where it is not known."""
    if labels is None:
        return {}
    found, counts = labels.unique(return_counts=True)
    called = [names[k] if 0 <= k < len(names) else f"class {k}" for k in found.tolist()]
    return dict(zip(called, counts.tolist(), strict=True))
