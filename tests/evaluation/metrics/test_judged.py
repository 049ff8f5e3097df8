"""Recognition and style: shares of right answers, beside those on real glyphs."""

import math

import pytest
import torch

from evaluation.metrics import METRICS
from options import UserError
from tests.evaluation.metrics.glyphs import page

A, B, C = 65, 66, 67


class Reader:
    """Reads the value from the first pixel of an image."""

    classes = frozenset({A, B})

    def __call__(self, images):
        return images[:, 0, 0, 0].long()


def written(*values):
    images = page().repeat(len(values), 1, 1, 1)
    images[:, 0, 0, 0] = torch.tensor(values).float()
    return images


def facts(**values):
    return {name: torch.tensor(v) for name, v in values.items()}


def test_recognition_is_relative_to_real_glyphs():
    metric = METRICS.find("recognition")(None, judge=Reader())
    assert all(math.isnan(v) for v in metric.compute().values())
    metric.update(written(A, A, B), written(A, B, B), facts(character=[A, A, A]))
    metric.update(written(B), written(A), facts(character=[B]))
    assert metric.compute() == pytest.approx(
        {"recognition": 1 / 4, "recognition of real": 3 / 4, "recognition / real": 1 / 3}
    )
    assert metric.better == "higher" and metric.remarks() == ["the recogniser knows 2 characters"]


def test_an_illegible_hand_defines_no_quotient():
    metric = METRICS.find("recognition")(None, judge=Reader())
    metric.update(written(B), written(A), facts(character=[A]))
    assert metric.compute()["recognition"] == 1.0 and math.isnan(metric.compute()["recognition / real"])


def test_characters_that_the_judge_does_not_know_are_errors_and_named():
    metric = METRICS.find("recognition")(None, judge=Reader())
    metric.update(written(A, B), written(A, B), facts(character=[A, C]))
    assert metric.compute()["recognition"] == 0.5
    assert "U+0043_C" in metric.remarks()[1] and "1 of these 2" in metric.remarks()[1]


def test_style_asks_for_the_label():
    metric = METRICS.find("style")(None, judge=Reader())
    metric.update(written(A, B, B), written(A, B, A), facts(label=[A, B, C], character=[0, 0, 0]))
    assert metric.compute() == pytest.approx({"style": 2 / 3, "style of real": 2 / 3})
    assert metric.remarks()[0] == "the style judge knows 2 styles" and "67" in metric.remarks()[1]


def test_a_judge_of_one_style_is_told_so():
    judge = Reader()
    judge.classes = frozenset({A})
    assert METRICS.find("style")(None, judge=judge).remarks() == ["the style judge knows 1 style"]


@pytest.mark.parametrize(("name", "flag"), [("recognition", "--recogniser"), ("style", "--style_judge")])
def test_no_judge_and_data_without_the_truth_are_refused(name, flag):
    with pytest.raises(UserError, match=flag):
        METRICS.find(name)(None)
    metric = METRICS.find(name)(None, judge=Reader())
    with pytest.raises(UserError, match=f"--metrics {name}"):
        metric.update(written(A), written(A))
