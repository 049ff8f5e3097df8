"""R-precision against a loop and chance, accuracy of what captions say, variety within a caption."""

import math

import pytest
import torch
import torch.nn.functional as F

from evaluation.metrics.shared.captions import attribute_accuracy, r_precision, variety
from util.attributes import holds


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count):
    """What captions say of data without attributes, each another thing."""
    return torch.arange(count)[:, None]


def precision(images, captions, said=None, shown=None, **how):
    said = numbered(len(images)) if said is None else said
    return r_precision(images, captions, said, said if shown is None else shown, seeded(), **how)


def test_a_caption_is_true_of_what_shows_all_it_says():
    said = torch.tensor([[0, -1], [0, 1], [-1, -1], [1, 1]])
    shown = torch.tensor([[0, 0], [0, 1], [1, -1]])
    assert holds(said, shown).tolist() == [
        [True, True, False],
        [False, True, False],
        [True, True, True],
        [False, False, False],  # whether picture 2 shows 1 is not known
    ]


def test_r_precision_is_its_loop():
    images, captions = (torch.randn(300, 4, generator=seeded(k)) for k in (1, 2))
    images = images + captions  # right for some
    found = precision(images, captions, pool=5, folds=3)
    assert found.ids.shape == (300, 5) and found.name == "R-precision@1/5"
    hits = 0
    for i, ids in enumerate(found.ids.tolist()):
        assert ids[0] == i and len(set(ids)) == 5
        cosines = [F.cosine_similarity(images[i], captions[j], dim=0).item() for j in ids]
        hits += all(cosines[0] > other for other in cosines[1:])
    assert found.mean == pytest.approx(hits / 300) and 0.3 < found.mean < 0.95
    assert precision(images, captions, pool=5).ids.equal(precision(images, captions, pool=5).ids)


def test_random_vectors_score_by_chance():
    """1 in 100; 2,000 pictures: a standard deviation of 0.0022."""
    images, captions = (torch.randn(2000, 8, generator=seeded(k)) for k in (1, 2))
    found = precision(images, captions)
    assert found.mean == pytest.approx(0.01, abs=0.008) and 0 < found.deviation < 0.02
    assert found.name == "R-precision@1/100"


def test_vectors_that_agree_score_1_and_constant_ones_0():
    x = torch.randn(200, 8, generator=seeded())
    assert precision(x, 3 * x).mean == 1
    rounding = 1e-7 * torch.randn(200, 8, generator=seeded(1))
    assert precision(x, torch.ones(200, 8) + rounding).mean == 0
    assert precision(torch.full((200, 8), math.nan), x).mean == 0


def test_captions_that_are_true_of_the_picture_are_never_in_its_pool():
    said = torch.stack([torch.arange(40) % 4, torch.where(torch.arange(40) % 3 == 0, -1, torch.arange(40) % 2)], 1)
    shown = torch.stack([torch.arange(40) % 4, torch.arange(40) % 2], 1)
    x = torch.randn(40, 8, generator=seeded())
    found = precision(x, x, said, shown)
    for i, ids in enumerate(found.ids.tolist()):
        assert not holds(said[ids[1:]], shown[i : i + 1]).any()
        assert len({tuple(row) for row in said[ids].tolist()}) == len(ids)  # of each meaning one
    assert found.name == f"R-precision@1/{found.ids.shape[1]}" and found.ids.shape[1] < 10


def test_fewer_captions_than_a_pool_are_in_its_name():
    x = torch.randn(30, 8, generator=seeded())
    assert precision(x, x).name == "R-precision@1/30"
    one = torch.zeros(30, 1, dtype=torch.int64)
    assert math.isnan(precision(x, x, one).mean)
    none = precision(x[:0], x[:0])
    assert math.isnan(none.mean) and math.isnan(none.deviation)
    assert math.isnan(precision(x, x, folds=1).deviation)


def test_accuracy_counts_what_is_said():
    said = torch.tensor([[0, 1], [0, -1], [-1, -1], [2, 1]])
    answers = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 1]])
    found = attribute_accuracy(answers, said, ("letter", "weight"))
    assert found == {"letter": 1, "weight": 0.5, "all": pytest.approx(2 / 3)}
    nothing = attribute_accuracy(answers, torch.full_like(said, -1), ("letter", "weight"))
    assert all(map(math.isnan, nothing.values())) and set(nothing) == {"letter", "weight", "all"}


def test_an_answer_that_no_caption_can_give_is_wrong():
    assert attribute_accuracy(torch.tensor([[-1]]), torch.tensor([[0]]), ["letter"])["letter"] == 0


def test_variety_is_the_ratio_of_mean_distances_of_shared_captions():
    said = torch.tensor([[0], [0], [1], [1], [2], [2], [3]])
    real_said = torch.tensor([[1], [1], [0], [0], [3], [3], [2]])  # 2 and 3 have no pair of either kind
    features = torch.tensor([[0.0], [1], [0], [2], [0], [90], [5]])
    real = torch.tensor([[0.0], [3], [0], [3], [0], [70], [5]])
    assert variety(features, said, real, real_said) == (pytest.approx((1 + 2) / (3 + 3)), 2)
    ratio, count = variety(features[:1], said[:1], real, real_said)
    assert math.isnan(ratio) and count == 0
    assert variety(torch.ones(7, 1), said, real, real_said) == (0, 2)
