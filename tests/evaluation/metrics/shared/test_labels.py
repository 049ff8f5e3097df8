"""Accuracy, accuracy under other names, and variety within a class."""

import itertools
import math

import pytest
import torch

from evaluation.metrics.shared.labels import accuracy, distance_within, matched_accuracy

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def test_permuted_labels_match_though_none_is_right():
    answers = torch.tensor([1, 2, 0])[LABELS]
    assert accuracy(answers, LABELS) == 0 and matched_accuracy(answers, LABELS) == 1


def test_matched_accuracy_is_the_best_of_all_permutations():
    random = torch.Generator().manual_seed(0)
    answers, labels = (torch.randint(4, (60,), generator=random) for _ in range(2))
    best = max(accuracy(answers, torch.tensor(p)[labels]) for p in itertools.permutations(range(4)))
    assert matched_accuracy(answers, labels) == pytest.approx(best) and best > accuracy(answers, labels)


def test_two_labels_are_not_renamed_to_one():
    assert matched_accuracy(torch.zeros(6, dtype=torch.int64), LABELS) == pytest.approx(1 / 3)


def test_answers_that_are_no_class_stay_wrong():
    answers = torch.tensor([-1, 0, -1, 1, 2, 2])
    assert accuracy(answers, LABELS) == matched_accuracy(answers, LABELS) == pytest.approx(4 / 6)


def test_labels_may_have_gaps():
    """Of ten classes only 3 and 9 are drawn."""
    labels = torch.tensor([3, 3, 9])
    assert matched_accuracy(torch.tensor([9, 9, 3]), labels) == 1
    assert matched_accuracy(torch.tensor([5, 5, 3]), labels) == 1


def test_of_no_images_there_is_no_accuracy():
    none = torch.empty(0, dtype=torch.int64)
    assert math.isnan(accuracy(none, none)) and math.isnan(matched_accuracy(none, none))


def test_distance_within_is_its_loop():
    features = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([4, 4, 4, 0, 0, 7])  # 7 has one image, so no pair
    found = distance_within(features, labels)
    assert list(found) == [0, 4]
    pairs = [(features[i] - features[j]).norm().item() for i, j in itertools.combinations(range(3), 2)]
    assert found[4] == pytest.approx(sum(pairs) / 3, rel=1e-6)
    assert found[0] == pytest.approx((features[3] - features[4]).norm().item(), rel=1e-6)


def test_a_class_of_equal_images_has_no_variety():
    assert distance_within(torch.ones(6, 3), LABELS) == {0: 0, 1: 0, 2: 0}
