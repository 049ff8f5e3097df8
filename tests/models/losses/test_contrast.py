"""Contrastive terms against slow loops, closed forms, and the traps of the library that computes them."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import contrast, related

TAU = 0.2


def grid(styles=3, characters=4, dim=6, seed=0):
    """Vectors of every character in every style, and the labels of both kinds."""
    vectors = torch.randn(styles * characters, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return vectors, torch.arange(styles).repeat(characters), torch.arange(characters).repeat_interleave(styles)


def loop(kind, vectors, keys, positive, negative, tau=TAU, margin=0.5):
    """The three losses, one pair at a time."""
    u, k = F.normalize(vectors, dim=1), F.normalize(keys, dim=1)
    near, far, per_anchor, per_pair = [], [], [], []
    for i in range(len(u)):
        s = (u[i] @ k.T / tau).exp()
        others = sum(s[j] for j in range(len(k)) if negative[i, j])
        partners = [j for j in range(len(k)) if positive[i, j]]
        everyone = others + sum(s[j] for j in partners)
        per_anchor.append(-sum((s[j] / everyone).log() for j in partners) / len(partners))
        per_pair += [-(s[j] / (s[j] + others)).log() for j in partners]
        near += [(u[i] - k[j]).norm() for j in partners]
        far += [F.relu(margin - (u[i] - k[j]).norm()) for j in range(len(k)) if negative[i, j]]
    if kind == "supcon":
        return sum(per_anchor) / len(per_anchor)
    if kind == "ntxent":
        return sum(per_pair) / len(per_pair)
    hard = [value for value in far if value > 0]  # the library averages over the pairs that are not yet right
    return sum(near) / len(near) + (sum(hard) / len(hard) if hard else 0.0)


@pytest.mark.parametrize("kind", ["supcon", "ntxent", "margin"])
def test_losses_are_those_of_a_loop(kind):
    vectors, style, character = grid()
    keys = torch.randn(8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    key_style, key_character = torch.arange(8) % 3, torch.arange(8) // 2
    for given, masks in (
        (None, related(character, character)),
        (None, related(style, style, (character, character))),
        (keys, related(style, key_style, (character, key_character))),
    ):
        found = contrast(vectors, *masks, kind, given, tau=TAU)
        expected = loop(kind, vectors, vectors if given is None else given, *masks)
        assert found.item() == pytest.approx(float(expected), rel=1e-9)


def test_pairs_of_styles_leave_out_the_same_character_but_keep_it_as_a_negative():
    style, character = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    positive, negative = related(style, style, (character, character))
    assert positive.nonzero().tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]
    assert negative[0].tolist() == [False, False, True, True]  # number 2 is the same character in another style
    keys_style, keys_character = torch.tensor([0, 0]), torch.tensor([0, 1])
    positive, negative = related(style, keys_style, (character, keys_character))
    assert positive[0].tolist() == [False, True]  # its own style and character is left out, as key too


def test_equal_labels_of_keys_and_vectors_lose_no_pair():
    # Given labels that are one object, pytorch-metric-learning takes the diagonal away: a silent zero.
    vectors = torch.eye(4, dtype=torch.float64)
    label = torch.arange(4)
    positive, negative = related(label, label.clone())
    assert positive.diagonal().all()
    wrong = contrast(vectors, positive, negative, "supcon", vectors.flip(0), tau=1.0)
    right = contrast(vectors, positive, negative, "supcon", vectors.clone(), tau=1.0)
    assert right.item() == pytest.approx(math.log(1 + 3 / math.e))
    assert wrong.item() == pytest.approx(math.log(math.e + 3))


@pytest.mark.parametrize("kind", ["supcon", "ntxent", "margin"])
def test_a_batch_without_positives_or_negatives_is_an_error(kind):
    vectors, label, alone = torch.randn(3, 4), torch.arange(3), torch.tensor([0, 0, 1])
    with pytest.raises(ValueError, match="3 of 3 vectors have no positive"):
        contrast(vectors, *related(label, label), kind)
    one = label * 0
    with pytest.raises(ValueError, match="negative"):
        contrast(vectors, *related(one, one), kind)
    with pytest.raises(ValueError, match="1 of 3"):
        contrast(vectors, *related(alone, alone), kind)


@pytest.mark.parametrize("kind", ["supcon", "ntxent", "margin"])
def test_labels_matter_and_keys_learn_nothing(kind):
    vectors, style, character = grid()
    masks = related(style, style, (character, character))
    shuffled = style[torch.randperm(len(style), generator=torch.Generator().manual_seed(3))]
    other = related(shuffled, shuffled)
    assert contrast(vectors, *masks, kind, tau=TAU) != contrast(vectors, *other, kind, tau=TAU)
    queries, keys = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    contrast(queries, *masks, kind, keys, tau=TAU).backward()
    assert queries.grad.abs().sum() > 0 and keys.grad is None


def test_low_precision_is_computed_in_float32():
    vectors, style, character = grid()
    masks = related(style, style, (character, character))
    low = vectors.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = contrast(low, *masks, "supcon", tau=0.07)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(contrast(low.float(), *masks, "supcon", tau=0.07).item(), rel=1e-6)


def test_one_positive_and_equal_vectors_give_the_chance_level():
    vectors, label = torch.ones(6, 3, dtype=torch.float64), torch.arange(3).repeat(2)
    masks = related(label, label)
    assert contrast(vectors, *masks, "supcon").item() == pytest.approx(math.log(5))  # one of five others
