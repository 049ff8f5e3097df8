"""The probability of augmentation: which way it moves, when, how far."""

import copy

import pytest
import torch

from networks.ada import AdaptiveProbability


def logits(share, count=20):
    """So many of 20 images are called real."""
    return torch.where(torch.arange(count) < share * count, 3.0, -0.2)


def test_it_rises_while_D_is_too_sure_and_falls_while_it_is_not():
    """Of 20 images 18 called real: r = 0.8 > 0.7; 17 would be 0.7. A step is 4 * 20 / 1000 = 0.08 of 1 kimg."""
    ada = AdaptiveProbability(target=0.7, kimg=1, interval=4)
    history = []
    for _ in range(12):
        ada.observe(logits(0.9))
        history.append(ada.p.item())
    assert history == pytest.approx([0, 0, 0, 0.08, 0.08, 0.08, 0.08, 0.16, 0.16, 0.16, 0.16, 0.24])
    for _ in range(8):
        ada.observe(logits(0.8))
    assert ada.p.item() == pytest.approx(0.08)


def test_published_numbers_take_it_from_0_to_1_in_500_thousand_images():
    """Karras et al. (NeurIPS 2020, section 3): 500k images; 64 images and 4 batches make 2^8 / 5e5 a step."""
    ada = AdaptiveProbability()
    for _ in range(4):
        ada.observe(torch.ones(64))
    assert ada.p.item() == pytest.approx(256 / 500_000)


def test_it_stays_a_probability():
    ada = AdaptiveProbability(kimg=0.01, interval=1)
    ada.observe(logits(0.0))
    assert ada.p.item() == 0
    for _ in range(3):
        ada.observe(logits(1.0))
    assert ada.p.item() == 1
    ada.observe(logits(0.0))
    assert ada.p.item() == 0


def test_r_is_of_all_images_since_the_last_change():
    """1.0 of 20 and 0.4 of 60: r = 0.55, where the mean of the batches would be 0.7."""
    ada = AdaptiveProbability(target=0.6, kimg=1, interval=2)
    ada.p.fill_(0.5)
    ada.observe(torch.ones(20))
    ada.observe(logits(0.7, 60))
    assert ada.p.item() == pytest.approx(0.5 - 0.08)
    ada.observe(torch.ones(20))
    ada.observe(torch.ones(20))  # what was before is forgotten
    assert ada.p.item() == pytest.approx(0.5 - 0.08 + 0.04)


def test_a_map_of_logits_counts_as_one_image():
    ada = AdaptiveProbability(kimg=1, interval=1)
    ada.observe(torch.ones(5, 1, 3, 3))
    assert ada.p.item() == pytest.approx(0.005)


def test_its_state_is_all_that_it_needs_to_go_on():
    one = AdaptiveProbability(kimg=1, interval=3)
    for _ in range(5):
        one.observe(logits(1.0))
    other = AdaptiveProbability(kimg=1, interval=3)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for ada in (one, other):
        ada.observe(logits(0.9))
        assert not ada.p.requires_grad
    assert torch.equal(one.p, other.p) and one.p.item() == pytest.approx(0.12)
