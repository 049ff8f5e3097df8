"""2C, its forms without proxies, and D2D-CE against slow loops, closed forms, and what ruins them."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import (
    d2d_ce,
    d2d_ce_levels,
    supcon_in,
    supcon_levels,
    tutorial_contrast,
    tutorial_levels,
    two_c,
    two_c_levels,
)
from tests.models.losses.processes import assert_processes_are_one, normal

LABELS = torch.tensor([0, 1, 2, 0, 1, 0, 3, 1])  # classes 2 and 3 have one image


def batch(labels=LABELS, D=6, dtype=torch.float64):
    """Vectors, and the proxy of each label."""
    return normal(len(labels), D, seed=1, dtype=dtype), normal(10, D, seed=2, dtype=dtype)[labels]


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def loop_2c(vectors, labels, tau, proxies=None, more=(), more_labels=()):
    """The formula, an anchor at a time; without proxies the mean is over anchors that have a positive."""
    values = []
    for i in range(len(vectors)):
        rest = [(f, y) for k, (f, y) in enumerate(zip(vectors, labels, strict=True)) if k != i]
        rest += list(zip(more, more_labels, strict=True))
        terms = [(math.exp(cosine(vectors[i], f) / tau), y == labels[i]) for f, y in rest]
        if proxies is not None:
            terms.append((math.exp(cosine(vectors[i], proxies[i]) / tau), True))
        same = sum(term for term, mate in terms if mate)
        if same:
            values.append(-math.log(same / sum(term for term, _ in terms)))
    return sum(values) / len(values)


def loop_d2d(vectors, proxies, labels, tau, margin, released):
    values = []
    for i in range(len(vectors)):
        near = min(cosine(vectors[i], proxies[i]) - margin, 0) / tau
        far = {k: max(cosine(vectors[i], vectors[k]) - 1 + margin, 0) / tau for k in range(len(vectors)) if k != i}
        most = max(far.values()) if released else 0.0
        others = sum(math.exp(far[k] - most) for k in far if labels[k] != labels[i])
        values.append(-math.log(math.exp(near) / (math.exp(near) + others)))
    return sum(values) / len(values)


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_2c_is_the_formula(tau):
    vectors, proxies = batch()
    assert two_c(vectors, proxies, LABELS, tau).item() == pytest.approx(
        loop_2c(vectors, LABELS, tau, proxies), rel=1e-10
    )
    more, more_labels = normal(3, 6, seed=3), torch.tensor([2, 0, 5])
    found = two_c(vectors, proxies, LABELS, tau, more, more_labels).item()
    assert found == pytest.approx(loop_2c(vectors, LABELS, tau, proxies, more, more_labels), rel=1e-10)


def test_further_images_of_2c_come_with_labels():
    vectors, proxies = batch()
    with pytest.raises(ValueError, match="more_labels"):
        two_c(vectors, proxies, LABELS, more=vectors)


def test_2c_at_equal_cosines_counts_the_class():
    same = torch.ones(8, 5, dtype=torch.float64)
    counts = [3, 3, 1, 3, 3, 3, 1, 3]  # images of each anchor's class
    for tau in (0.05, 1.0):
        expected = sum(math.log(8 / n) for n in counts) / 8
        assert two_c(same, same, LABELS, tau).item() == pytest.approx(expected, rel=1e-9)
        assert two_c(same, same, torch.arange(8), tau).item() == pytest.approx(math.log(8), rel=1e-9)


@pytest.mark.parametrize("loss", [two_c, d2d_ce, lambda *a: d2d_ce(*a, released=True), lambda f, e, y: supcon_in(f, y)])
@pytest.mark.parametrize("count", [1, 6])
def test_one_class_teaches_nothing(loss, count):
    label = torch.zeros(count, dtype=torch.long)
    vectors, proxies = (x.requires_grad_() for x in batch(label, dtype=torch.float32))
    value = loss(vectors, proxies, label)
    value.backward()
    assert value.item() == 0 and torch.equal(vectors.grad, torch.zeros_like(vectors))
    assert proxies.grad is None or torch.equal(proxies.grad, torch.zeros_like(proxies))


def test_supcon_leaves_out_anchors_without_positive():
    vectors, _ = batch()
    assert supcon_in(vectors, LABELS, 0.2).item() == pytest.approx(loop_2c(vectors, LABELS, 0.2), rel=1e-10)
    lonely = vectors.clone().requires_grad_()
    supcon_in(lonely, LABELS, 0.2).backward()
    assert lonely.grad.isfinite().all() and lonely.grad[2].abs().sum() > 0  # as a negative it still learns
    alone = vectors.clone().requires_grad_()
    value = supcon_in(alone, torch.arange(8), 0.2)
    value.backward()
    assert value.item() == 0 and torch.equal(alone.grad, torch.zeros_like(alone))


def test_the_tutorials_form_counts_each_masked_pair_as_one():
    vectors, _ = batch()
    values = []
    for i in range(8):
        terms = {k: math.exp(cosine(vectors[i], vectors[k]) / 0.5) for k in range(8)}
        P = sum(terms[k] for k in range(8) if k != i and LABELS[k] == LABELS[i])
        N = sum(terms[k] for k in range(8) if LABELS[k] != LABELS[i])
        n_same = int(LABELS.tolist().count(LABELS[i]))
        values.append(-math.log((P + 8 - n_same) / (P + 8 - n_same + N + n_same)))
    assert tutorial_contrast(vectors, LABELS, 0.5).item() == pytest.approx(sum(values) / 8, rel=1e-10)
    assert tutorial_contrast(vectors, torch.arange(8), 0.5).isfinite()  # not one positive, and a value all the same


def test_the_tutorials_form_spans_little_and_has_a_weak_gradient():
    labels = torch.arange(256) % 10
    spread = normal(256, 128).requires_grad_()
    clusters = F.one_hot(labels).double()
    values, gradients = {}, {}
    for loss in (supcon_in, tutorial_contrast):
        value = loss(spread, labels, 0.5)
        (gradient,) = torch.autograd.grad(value, spread)
        values[loss], gradients[loss] = value.item() - loss(clusters, labels, 0.5).item(), gradient.norm().item()
    assert gradients[tutorial_contrast] / gradients[supcon_in] < 0.3
    assert values[tutorial_contrast] / values[supcon_in] < 0.2


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("tau,margin", [(0.5, 0.98), (0.25, 0.7), (0.75, 1.0)])
def test_d2d_ce_is_the_formula(tau, margin, released):
    vectors, proxies = batch()
    proxies[0] = vectors[0]  # nearer than the margin
    expected = loop_d2d(vectors, proxies, LABELS, tau, margin, released)
    assert d2d_ce(vectors, proxies, LABELS, tau, margin, released).item() == pytest.approx(expected, rel=1e-10)


def test_d2d_ce_where_every_margin_is_met():
    labels = torch.arange(4).repeat(3)
    apart = (-torch.eye(4, dtype=torch.float64) + 0.25).neg()  # corners of a simplex: cosines of -1/3
    vectors, proxies = apart[labels].clone().requires_grad_(), apart[labels].clone().requires_grad_()
    value = d2d_ce(vectors, proxies, labels)
    value.backward()
    assert value.item() == pytest.approx(math.log(1 + 9), rel=1e-12)
    assert torch.equal(vectors.grad, torch.zeros_like(vectors)) and torch.equal(proxies.grad, vectors.grad)
    assert d2d_ce(vectors, proxies, labels, released=True) < value


def test_the_released_d2d_ce_has_the_papers_gradient_and_a_lower_value():
    labels = torch.arange(64) % 10
    vectors, proxies = (x.requires_grad_() for x in batch(labels, 32))
    paper, released = (d2d_ce(vectors, proxies, labels, released=r) for r in (False, True))
    a, b = (torch.cat(torch.autograd.grad(x, (vectors, proxies))).flatten() for x in (paper, released))
    assert released < paper
    assert F.cosine_similarity(a, b, dim=0) >= 0.99
    assert 0.8 < b.norm() / a.norm() < 1.1


LOSSES = {
    "two_c": two_c,
    "two_c with more": lambda f, e, y, tau: two_c(f, e, y, tau, more=f.detach().flip(1), more_labels=y),
    "supcon_in": lambda f, e, y, tau: supcon_in(f, y, tau),
    "tutorial": lambda f, e, y, tau: tutorial_contrast(f, y, tau),
    "d2d_ce": d2d_ce,
    "d2d_ce released": lambda f, e, y, tau: d2d_ce(f, e, y, tau, released=True),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("aligned", [False, True])
def test_small_temperatures_are_finite(name, aligned):
    vectors, proxies = batch(dtype=torch.float32)
    vectors = (proxies + 0.01 * vectors if aligned else vectors).requires_grad_()
    value = LOSSES[name](vectors, proxies, LABELS, 0.002)  # exp(1 / 0.002) is beyond float32
    value.backward()
    assert value.isfinite() and vectors.grad.isfinite().all()


@pytest.mark.parametrize("name", ["two_c", "supcon_in", "tutorial", "d2d_ce", "d2d_ce released"])
def test_lengths_do_not_matter(name):
    vectors, proxies = batch()
    lengths = normal(8, 1, seed=4).exp()
    found = LOSSES[name](lengths * vectors, 3 * proxies, LABELS, 0.2)
    assert found.item() == pytest.approx(LOSSES[name](vectors, proxies, LABELS, 0.2).item(), rel=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_inputs_are_computed_in_float32(name):
    vectors, proxies = batch()
    half = vectors.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = LOSSES[name](half, proxies.bfloat16(), LABELS, 0.1)
    value.backward()
    assert value.dtype == torch.float32 and half.grad.isfinite().all()
    rounded = LOSSES[name](half.detach().double(), proxies.bfloat16().double(), LABELS, 0.1)
    assert value.item() == pytest.approx(rounded.item(), rel=1e-5)
    # The inputs themselves are off by 2^-9 each.
    assert value.item() == pytest.approx(LOSSES[name](vectors, proxies, LABELS, 0.1).item(), rel=0.02)


def test_2c_starts_at_chance_and_ends_at_its_floor():
    levels = two_c_levels(40, 4, 0.5)
    labels = torch.arange(4).repeat(10)
    same = torch.ones(40, 8, dtype=torch.float64)
    assert two_c(same, same, labels, 0.5).item() == pytest.approx(levels["chance"], abs=0.1)
    vectors, proxies = normal(40, 8).requires_grad_(), normal(4, 8, seed=1).requires_grad_()
    for _ in range(150):
        value = two_c(vectors, proxies[labels], labels, 0.5)
        for x, gradient in zip((vectors, proxies), torch.autograd.grad(value, (vectors, proxies)), strict=True):
            x.data = F.normalize(x.data - 10 * gradient, dim=1)
    # A balanced batch has one image of another class more than (N - 1)(1 - 1/C), nearly.
    assert levels["floor"] <= value.item() == pytest.approx(levels["floor"], abs=0.03)
    # The levels of ContraGAN's CIFAR-10 run: N = 64, C = 10, tau = 1; by hand e (1 + 6.3) and 56.7 e^(-1/9).
    cifar = two_c_levels(64, 10, 1.0)
    assert cifar["chance"] == pytest.approx(math.log(64 / 7.3))
    assert cifar["floor"] == pytest.approx(math.log(1 + 56.7 * math.exp(-1 / 9) / (7.3 * math.e)))
    assert two_c_levels(8, 1, 1.0) == {"chance": 0, "floor": 0} and two_c_levels(64, 10, 1e-4)["floor"] == 0


@pytest.mark.parametrize(
    "loss, levels", [(supcon_in, supcon_levels), (tutorial_contrast, tutorial_levels)], ids=["supcon", "tutorial"]
)
def test_forms_without_proxies_start_at_chance_and_end_at_their_floor(loss, levels):
    """A batch with as many images of each class, whose counts are within one of those expected."""
    labels = torch.arange(4).repeat(30)
    random = normal(120, 2000)  # cosines of about 0.02
    assert loss(random, labels, 0.5).item() == pytest.approx(levels(120, 4, 0.5)["chance"], abs=0.03)
    simplex = torch.eye(4, dtype=torch.float64) - 0.25  # cosines of -1/3
    assert loss(simplex[labels], labels, 0.5).item() == pytest.approx(levels(120, 4, 0.5)["floor"], abs=0.03)


@pytest.mark.parametrize("released", [False, True])
def test_d2d_ce_starts_at_chance_and_ends_at_its_floor(released):
    labels = torch.arange(4).repeat(100)
    levels = d2d_ce_levels(400, 4, 0.5, 0.98, released)
    # An image of each class along an axis of its own, its proxy at a right angle, and images of one class likewise.
    axes = torch.eye(404, dtype=torch.float64)
    assert d2d_ce(axes[:400], axes[400:][labels], labels, released=released).item() == pytest.approx(
        levels["chance"], abs=0.01
    )
    clusters = axes[labels]
    assert d2d_ce(clusters, clusters, labels, released=released).item() == pytest.approx(levels["floor"], abs=0.01)
    assert d2d_ce_levels(8, 1, 0.5, 0.98, released) == {"chance": 0, "floor": 0}


@pytest.mark.slow
@pytest.mark.parametrize("criterion", [two_c, d2d_ce])
def test_two_processes_have_the_gradient_of_one(criterion, tmp_path):
    def loss(weight, rows, gather):
        images, proxies, labels = rows
        return criterion(gather(images @ weight), gather(proxies @ weight), gather(labels))

    assert_processes_are_one(loss, normal(6, 4), [*batch(), LABELS], tmp_path)
