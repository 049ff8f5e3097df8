"""Mixes of classes: shares by largest remainder, samples that have them, and a line where two sets differ."""

import numpy as np
import pytest
import torch

from evaluation.metrics.fid_metric import FidMetric
from evaluation.metrics.shared.observed import Observed
from evaluation.mix import apart, apportioned, counted, mixed, remark
from evaluation.sets import Description, SetScores

DIGITS = (300, 40, 8, 2, 1)  # of a class


@pytest.mark.parametrize(
    "weights,count,expected",
    [
        (DIGITS, 351, [300, 40, 8, 2, 1]),
        (DIGITS, 35, [30, 4, 1, 0, 0]),
        (DIGITS, 1000, [855, 114, 23, 5, 3]),  # 854.7 113.96 22.79 5.7 2.85
        ((1, 1, 1), 10, [4, 3, 3]),
        ((0, 5, 0), 3, [0, 3, 0]),
        ((7, 7), 0, [0, 0]),
    ],
)
def test_shares_are_by_largest_remainder(weights, count, expected):
    assert apportioned(weights, count) == expected


def test_no_share_is_off_by_one():
    random = np.random.default_rng(0)
    for _ in range(50):
        weights = [int(n) for n in random.integers(0, 50, random.integers(1, 9)) + 1]
        count = int(random.integers(0, 200))
        found = apportioned(weights, count)
        assert sum(found) == count
        assert all(abs(n - count * w / sum(weights)) < 1 for n, w in zip(found, weights, strict=True))


@pytest.mark.parametrize("classes,count", [(1, 4), (3, 10), (7, 5), (10, 1000), (13, 100)])
def test_without_weights_classes_take_turns_as_ever(classes, count):
    numbers = torch.arange(classes) * 2
    assert torch.equal(mixed(numbers, count), numbers[torch.arange(count) % classes])
    assert torch.equal(mixed(numbers, count, [5] * classes), mixed(numbers, count))


def test_any_number_of_the_first_samples_are_mixed_nearly_alike():
    labels = mixed(torch.arange(5), 351, DIGITS)
    assert labels.bincount().tolist() == list(DIGITS)
    for first in (20, 100, 200):
        assert apart(counted(labels[:first]), counted(labels)) < 5 / 2 / first  # no class is off by one


def test_both_mixes_are_told_where_they_differ():
    data = dict(zip("abcde", DIGITS, strict=True))
    (line,) = remark(dict.fromkeys("abcde", 70), data, ("generated", "real"), "; do this")
    assert "65% apart" in line and "generated images are 70 of a class" in line and "real ones 1 to 300" in line
    assert "a 20.0%" in line and "a 85.5%" in line and "e 0.3%" in line and line.endswith("; do this")
    many = {f"c{k}": 10 + k % 2 * 90 for k in range(40)}
    (line,) = remark(dict.fromkeys(many, 50), many, ("generated", "real"))
    assert "and 35 more" in line and len(line) < 500


@pytest.mark.parametrize(
    "one,other", [((10, 12), (11, 11)), ((300, 40, 8, 2, 1), (30, 4, 1)), ((0,), (5, 1)), ((), ())]
)
def test_mixes_that_are_alike_or_unknown_are_not_worth_a_line(one, other):
    sets = [dict(zip("abcde", counts, strict=False)) for counts in (one, other)]
    assert remark(*sets, ("generated", "real")) == []


def test_random_samples_of_one_mix_rarely_have_a_line():
    random, shares = np.random.default_rng(0), np.array(DIGITS) / sum(DIGITS)
    told = [
        remark(*(dict(enumerate(random.multinomial(60, shares).tolist())) for _ in range(2)), ("one", "other"))
        for _ in range(100)
    ]
    assert sum(map(bool, told)) < 10


@pytest.mark.slow
def test_real_digits_in_another_mix_are_as_far_as_bad_images():
    """Of five kinds of digits 300, 40, 8, 2 and 1: others of the same mix are near, as many of each are far."""
    from sklearn.datasets import load_digits

    data, random = load_digits(), np.random.default_rng(0)

    def some(counts):
        rows = [random.choice(np.flatnonzero(data.target == k), n) for k, n in enumerate(counts)]
        labels = torch.from_numpy(data.target[np.concatenate(rows)])
        return Observed(torch.from_numpy(data.data[np.concatenate(rows)] / 16), labels=labels)

    real, even = some(DIGITS), mixed(torch.arange(5), 350).bincount().tolist()
    scores, found = SetScores([FidMetric()], Description("", "pixels"), data.target_names.astype(str)), {}
    for name, counts in (("even", even), ("data", apportioned(DIGITS, 350)), ("floor", DIGITS)):
        table = scores.compute(real, some(counts))
        found[name] = table.values["FID"], [line for line in table.remarks if "mixed otherwise" in line]
    assert found["even"][0] > 10 * found["floor"][0] and found["data"][0] < 1.5 * found["floor"][0]
    assert len(found["even"][1]) == 1 and "0 85.5%" in found["even"][1][0] and found["data"][1] == []
