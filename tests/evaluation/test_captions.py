"""Scores of pictures from captions, where they are known; and what is said where there are none."""

import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from evaluation.captions import GENERATED, HELD, SHUFFLED, TRAINING, score_captions
from evaluation.metrics.base_captioned import Judged, Seen

NAMES = ("letter", "weight")
KID = "KID-domain x 1000"
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
    return pooled(fake, held, **more)[0]


def pooled(fake, held=None, **more):
    return score_captions(fake, held or captioned(seed=2), NAMES, torch.Generator().manual_seed(0), **more)


def test_pictures_of_the_data_score_as_real_ones_and_shuffled_captions_as_chance():
    found = scores(captioned(seed=1), train=captioned(seed=3))
    assert [row.label for row in found.rows] == [GENERATED, HELD, TRAINING, SHUFFLED]
    for row in (GENERATED, HELD, TRAINING):
        values = found[row].values
        assert values["letter"] == values["weight"] == values["all"] == values[LABEL] == 1
        assert values["variety"] == pytest.approx(1, abs=0.05) and abs(values[KID]) < 100
    floor = found[SHUFFLED].values
    assert floor["letter"] < 0.06 and floor["weight"] == pytest.approx(0.5, abs=0.08) and floor[LABEL] < 0.05
    assert floor["variety"] > 5 and math.isnan(floor[KID])


def test_wrong_and_narrow_pictures_show():
    found = scores(captioned(seed=1, right=0.8)).values
    assert found["all"] == found[LABEL] == pytest.approx(0.8, abs=0.06) and found["letter"] < 0.86
    assert scores(captioned(seed=1, spread=0.3)).values["variety"] == pytest.approx(0.3, abs=0.02)


def test_the_pools_can_be_kept():
    rows = {GENERATED: captioned(seed=1), HELD: captioned(seed=2), TRAINING: captioned(240, seed=3)}
    _, ids = pooled(*list(rows.values())[:2], train=rows[TRAINING])
    assert {row: tuple(of.shape) for row, of in ids.items()} == {
        **{GENERATED: (480, 100), HELD: (480, 100), TRAINING: (240, 100), SHUFFLED: (480, 100)}
    }
    for row, of in ids.items():
        captions = rows.get(row, rows[GENERATED]).captions
        assert (captions[of[:, :1]] - captions[of[:, 1:]]).norm(dim=2).min() > 0.1  # equal ones are never drawn
        if row in rows:
            assert of[:, 0].equal(torch.arange(len(captions)))
    dealt = ids[SHUFFLED][:, 0]
    assert dealt.sort().values.equal(torch.arange(480)) and not dealt.equal(torch.arange(480))


def test_the_judge_is_named():
    found = "\n".join(scores(captioned(), judge=("runs/judge", "abc")).remarks)
    assert "runs/judge, sha256 abc" in found and "not comparable" in found


def test_without_attributes_there_are_captions_alone():
    def told(seed):
        rows = captioned(seed=seed)
        number = (torch.arange(480) % 120)[:, None]
        return Judged(replace(rows.seen, answers=torch.empty(480, 0, dtype=torch.int64)), rows.captions, number, number)

    found, _ = score_captions(told(1), told(2), (), torch.Generator().manual_seed(0))
    assert found.values[LABEL] == 1 and list(found.better) == [LABEL, KID, "variety"]


def test_constant_pictures_and_single_captions_have_no_scores_and_a_remark():
    rows = captioned()
    constant = replace(rows, seen=Seen(torch.ones(480, 16), torch.zeros(480, 2).long(), torch.ones(480, 16) / 4))
    found = scores(constant)
    assert found.entries()[KID]["value"] is None and found.values["variety"] == 0
    assert any("one and the same picture" in line for line in found.remarks)
    single = replace(rows, said=torch.zeros(480, 2).long(), shown=torch.zeros(480, 2).long())
    found = scores(single, single)
    assert found.entries()["R-precision@1/1"]["value"] is None
    assert any("has no 99 captions" in line for line in found.remarks)
    json.dumps(found.entries(), allow_nan=False)


def test_captions_of_one_picture_each_have_no_variety():
    rows = captioned(rows=100)
    found = scores(captioned(rows=100, seed=1), rows)
    assert math.isnan(found.values["variety"])
    assert any("no caption has two generated" in line for line in found.remarks)
