"""Scores of pictures from captions, where they are known; and what is said where there are none."""

import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from util.caption_scores import ROWS, Judged, Seen, score_captions

NAMES = ("letter", "weight")
LABEL = "R-precision@1/100"


def captioned(rows=480, seed=0, right=1.0, spread=1.0):
    """120 captions of 60 letters and two weights; pictures beside their captions' vectors, ``right`` of them."""
    random = torch.Generator().manual_seed(seed)
    number = torch.arange(rows) % 120
    said = torch.stack([number % 60, number // 60], 1)
    table = torch.randn(120, 16, generator=torch.Generator().manual_seed(99))
    seen = torch.where(torch.rand(rows, generator=random) < right, number, (number + 7) % 120)
    features = table[seen] + 0.1 * spread * torch.randn(rows, 16, generator=random)
    answers = torch.stack([seen % 60, seen // 60], 1)
    return Judged(Seen(features, answers, F.normalize(features, dim=1)), F.normalize(table[number], dim=1), said, said)


def scores(fake, held=None, **more):
    return score_captions(fake, held or captioned(seed=2), NAMES, torch.Generator().manual_seed(0), **more)


def test_pictures_of_the_data_score_as_real_ones_and_shuffled_captions_as_chance():
    found = scores(captioned(seed=1), train=captioned(seed=3))
    assert list(found.values) == ["generated", "held-out", "training", "shuffled"] and set(ROWS) == set(found.values)
    for row in ("generated", "held-out", "training"):
        values = found.values[row]
        assert values["letter"] == values["weight"] == values["all"] == values[LABEL] == 1
        assert values["variety"] == pytest.approx(1, abs=0.05) and abs(values["KID x 1000"]) < 100
    floor = found.values["shuffled"]
    assert floor["letter"] < 0.06 and floor["weight"] == pytest.approx(0.5, abs=0.08) and floor[LABEL] < 0.05
    assert floor["variety"] > 5 and math.isnan(floor["KID x 1000"])


def test_wrong_and_narrow_pictures_show():
    found = scores(captioned(seed=1, right=0.8)).values["generated"]
    assert found["all"] == found[LABEL] == pytest.approx(0.8, abs=0.06) and found["letter"] < 0.86
    assert scores(captioned(seed=1, spread=0.3)).values["generated"]["variety"] == pytest.approx(0.3, abs=0.02)


def test_the_pools_can_be_kept():
    fake = captioned(seed=1)
    ids = scores(fake).ids
    assert ids.shape == (480, 100) and ids[:, 0].equal(torch.arange(480))
    own, others = fake.captions[ids[:, 0]], fake.captions[ids[:, 1:]]
    assert (own[:, None] - others).norm(dim=2).min() > 0.1  # equal captions are never drawn


def test_a_judge_that_taught_the_generator_is_told():
    def found(sha256):
        return "\n".join(scores(captioned(), judge=("runs/judge", "abc"), encoder=("hf:x", sha256)).remarks)

    assert "taught to please" in found("abc") and "taught to please" not in found("def")
    assert "runs/judge, sha256 abc" in found("def") and "not comparable" in found("def")


def test_without_attributes_there_are_captions_alone():
    def told(seed):
        rows = captioned(seed=seed)
        number = (torch.arange(480) % 120)[:, None]
        return Judged(replace(rows.seen, answers=torch.empty(480, 0, dtype=torch.int64)), rows.captions, number, number)

    found = score_captions(told(1), told(2), (), torch.Generator().manual_seed(0))
    assert found.values["generated"][LABEL] == 1 and list(found.better) == [LABEL, "+-", "KID x 1000", "variety"]


def test_constant_pictures_and_single_captions_have_no_scores_and_a_remark():
    rows = captioned()
    constant = replace(rows, seen=Seen(torch.ones(480, 16), torch.zeros(480, 2).long(), torch.ones(480, 16) / 4))
    found = scores(constant)
    assert found.as_dict()["generated"]["KID x 1000"] is None and found.values["generated"]["variety"] == 0
    assert any("one and the same picture" in line for line in found.remarks)
    single = replace(rows, said=torch.zeros(480, 2).long(), shown=torch.zeros(480, 2).long())
    found = scores(single, single)
    assert found.as_dict()["generated"]["R-precision@1/1"] is None
    assert any("has no 99 captions" in line for line in found.remarks)
    json.dumps(found.as_dict(), allow_nan=False)


def test_captions_of_one_picture_each_have_no_variety():
    rows = captioned(rows=100)
    found = scores(captioned(rows=100, seed=1), rows)
    assert math.isnan(found.values["generated"]["variety"])
    assert any("no caption has two generated" in line for line in found.remarks)
