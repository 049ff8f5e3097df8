"""Labels that images were asked for, those a judge sees in them, and the variety within one."""

import math

import torch

MOST = 1000  # images of a class whose pairs are measured: half a million pairs


def accuracy(answers: torch.Tensor, labels: torch.Tensor) -> float:
    """Part of the answers (N,) that are the label; NaN of none."""
    return (answers == labels).double().mean().item() if len(labels) else math.nan


def matched_accuracy(answers: torch.Tensor, labels: torch.Tensor) -> float:
    """Accuracy after the best one-to-one renaming of the labels; NaN of none.

    1 beside an accuracy near chance says that a generator made clean classes under the wrong names.

    Args:
        answers: (N,) int64; -1 is an answer that is no class, and stays wrong.
        labels: (N,) int64, at least 0.
    """
    if not len(labels):
        return math.nan
    from scipy.optimize import linear_sum_assignment  # takes a second

    known = answers >= 0
    classes = int(torch.cat([answers, labels]).max()) + 1
    table = torch.bincount(labels[known] * classes + answers[known], minlength=classes**2).view(classes, classes)
    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    return table.numpy()[rows, columns].sum().item() / len(labels)


def distance_within(features: torch.Tensor, labels: torch.Tensor) -> dict[int, float]:
    """{label: mean Euclidean distance between two images of it}; labels with fewer than two images are left out.

    Of a class with more than 1000 images the first 1000 count.

    Args:
        features: (N, F), any float type.
    """
    distances = {}
    for label in labels.unique().tolist():
        rows = features[labels == label][:MOST].double()
        if len(rows) > 1:
            distances[label] = torch.pdist(rows).mean().item()
    return distances


def variety_within(
    features: torch.Tensor, labels: torch.Tensor, real: torch.Tensor, real_labels: torch.Tensor
) -> dict[int, float]:
    """{label: ``distance_within`` of it, in parts of that of real images}, where both are known and that is not 0."""
    found, true = distance_within(features, labels), distance_within(real, real_labels)
    return {label: found[label] / distance for label, distance in true.items() if label in found and distance > 0}
