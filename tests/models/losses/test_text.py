"""Contrasts of images, sentences, places and words against slow loops, closed forms, and what ruins them."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.losses import cosine_scores, matching_levels, matching_loss, word_scores
from tests.models.losses.processes import assert_processes_are_one, normal

LENGTHS = torch.tensor([4, 1, 3, 2, 4])  # words of each caption
MASK = torch.arange(4) < LENGTHS[:, None]
CONSTANTS = dict(tau=0.02, rho1=5.0, rho2=5.0)  # the published ones


def places_and_words(N=6, R=7, D=5, dtype=torch.float64):
    return normal(N, R, D, seed=1, dtype=dtype), normal(*MASK.shape, D, seed=2, dtype=dtype)


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def loop_words(regions, words, mask, tau, rho1, rho2):
    """The formula, an image, a caption and a word at a time, with the context it speaks of."""
    scores = torch.zeros(len(regions), len(words), dtype=torch.float64)
    for i, places in enumerate(regions):
        units = [place / place.norm() for place in places]
        for m, caption in enumerate(words):
            total = 0.0
            for word in caption[mask[m]]:
                weights = [math.exp(rho1 * cosine(word, unit)) for unit in units]
                context = sum(w * unit for w, unit in zip(weights, units, strict=True)) / sum(weights)
                total += math.exp(rho2 * cosine(word, context))
            scores[i, m] = math.log(total) / rho2 / tau
    return scores


def explicit_words(regions, words, mask, tau, rho1, rho2):
    """The same of all at once, with a tensor (N, M, T, D) of contexts."""
    regions, words = F.normalize(regions, dim=2), F.normalize(words, dim=2)
    alpha = (rho1 * torch.einsum("nrd,mtd->nmtr", regions, words)).softmax(3)
    contexts = torch.einsum("nmtr,nrd->nmtd", alpha, regions)
    found = rho2 * F.cosine_similarity(contexts, words[None], dim=3)
    return found.masked_fill(~mask, -math.inf).logsumexp(2) / rho2 / tau


def loop_matching(scores, true, symmetric):
    total = 0.0
    for table, others in ((scores, true), (scores.T, true.T))[: 1 + symmetric]:
        for i in range(len(table)):
            rest = [math.exp(table[i, j]) for j in range(len(table)) if j == i or not others[i, j]]
            total -= math.log(math.exp(table[i, i]) / sum(rest)) / len(table)
    return total


# -- pairs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("pairs", [(), ((0, 3), (4, 1), (1, 4), (2, 2))])
def test_matching_is_the_formula_and_true_pairs_leave_the_denominator_alone(symmetric, pairs):
    scores, true = 3 * normal(5, 5), torch.zeros(5, 5, dtype=torch.bool)
    for pair in pairs:
        true[pair] = True
    expected = loop_matching(scores, true, symmetric)
    assert matching_loss(scores, true, symmetric).item() == pytest.approx(expected, rel=1e-12)
    if not pairs:
        assert matching_loss(scores, None, symmetric).item() == pytest.approx(expected, rel=1e-12)


def test_both_ways_are_rows_and_columns_summed():
    scores, true = normal(5, 5), normal(5, 5, seed=1) > 0.5
    both = matching_loss(scores, true, symmetric=True)
    one = matching_loss(scores, true, symmetric=False) + matching_loss(scores.T, true.T, symmetric=False)
    assert both.item() == pytest.approx(one.item(), rel=1e-12)


@pytest.mark.parametrize("symmetric", [True, False])
def test_equal_scores_are_chance(symmetric):
    chance = matching_loss(torch.full((12, 12), 7.0, dtype=torch.float64), None, symmetric).item()
    assert chance == pytest.approx((1 + symmetric) * math.log(12))
    assert matching_levels(12, symmetric) == {"chance": pytest.approx(chance), "floor": 0}
    certain = matching_loss(torch.eye(12, dtype=torch.float64) * 1000, None, symmetric)
    assert certain.item() == 0


def test_true_pairs_have_no_gradient_and_all_true_teaches_nothing():
    scores = normal(4, 4).requires_grad_()
    true = torch.zeros(4, 4, dtype=torch.bool)
    true[0, 2] = True
    matching_loss(scores, true).backward()
    assert ((scores.grad == 0) == true).all()
    same = normal(4, 4).requires_grad_()
    value = matching_loss(same, torch.ones(4, 4, dtype=torch.bool))
    value.backward()
    assert value.item() == 0 and not same.grad.any()


def test_cosine_scores_are_the_formula():
    x, y = normal(4, 6), normal(3, 6, seed=1)
    expected = [[cosine(a, b) / 0.3 for b in y] for a in x]
    torch.testing.assert_close(cosine_scores(x, y, 0.3), torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(cosine_scores(5 * x, 0.1 * y, 0.3), cosine_scores(x, y, 0.3))
    assert cosine_scores(x, x).diagonal().tolist() == pytest.approx([10] * 4)  # the published temperature is 0.1


# -- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("constants", [CONSTANTS, dict(tau=0.5, rho1=2.0, rho2=9.0)])
def test_word_scores_are_the_formula(constants):
    regions, words = places_and_words()
    scores = word_scores(regions, words, MASK, **constants)
    assert scores.shape == (6, 5)
    torch.testing.assert_close(scores, loop_words(regions, words, MASK, **constants), rtol=1e-10, atol=1e-10)


def test_word_scores_have_the_gradient_of_the_explicit_form():
    inputs = [x.requires_grad_() for x in places_and_words()]
    weights = normal(6, 5, seed=3)
    scores, explicit = (form(*inputs, MASK, **CONSTANTS) for form in (word_scores, explicit_words))
    torch.testing.assert_close(scores, explicit, rtol=1e-10, atol=1e-10)
    found, expected = (torch.autograd.grad((x * weights).sum(), inputs) for x in (scores, explicit))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_published_constants_are_the_defaults():
    regions, words = places_and_words()
    assert torch.equal(word_scores(regions, words, MASK), word_scores(regions, words, MASK, **CONSTANTS))


@pytest.mark.parametrize("T", [1, 3])
def test_equal_words_and_one_place(T):
    """S = (cos + log(T) / rho2) / tau: the context is that place."""
    place, word = normal(5), normal(5, seed=1)
    words, mask = word.expand(1, T, 5), torch.ones(1, T, dtype=torch.bool)
    expected = (cosine(place, word) + math.log(T) / 5) / 0.02
    assert word_scores(place[None, None], words, mask).item() == pytest.approx(expected, rel=1e-10)
    normed = word_scores(place[None, None], words, mask, length_norm=True).item()
    assert normed == pytest.approx(cosine(place, word) / 0.02, rel=1e-10)


def test_a_caption_said_twice_gains_by_its_length_alone():
    regions, words = places_and_words()
    once = word_scores(regions, words, MASK)
    twice = torch.cat([words, words], 1), torch.cat([MASK, MASK], 1)
    gain = math.log(2) / (0.02 * 5)
    torch.testing.assert_close(word_scores(regions, *twice), once + gain)
    normed = word_scores(regions, words, MASK, length_norm=True)
    torch.testing.assert_close(word_scores(regions, *twice, length_norm=True), normed)


@pytest.mark.parametrize("at_once", [1, 1 << 20])
@pytest.mark.parametrize("pads", ["noise", "nought", "not a number"])
def test_pads_change_no_score_and_no_gradient(pads, at_once):
    regions, words = (x.requires_grad_() for x in places_and_words())
    behind = 100 * normal(5, 3, 5, seed=4) * {"noise": 1, "nought": 0, "not a number": math.nan}[pads]
    longer = torch.cat([words.detach(), behind], 1).requires_grad_()
    wide = F.pad(MASK, (0, 3))
    short, long = (word_scores(regions, w, m, at_once=at_once) for w, m in ((words, MASK), (longer, wide)))
    torch.testing.assert_close(long, short, rtol=1e-12, atol=0)
    of_short, of_long = (torch.autograd.grad(matching(x), (regions, w)) for x, w in ((short, words), (long, longer)))
    torch.testing.assert_close(of_long[0], of_short[0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(of_long[1][:, :4], of_short[1], rtol=1e-9, atol=1e-12)
    assert not of_long[1][~wide].any() and of_long[1][wide].abs().sum(1).min() > 0


def matching(scores):
    return matching_loss(scores[:5])


def test_lengths_of_vectors_do_not_matter():
    regions, words = places_and_words()
    stretched = normal(6, 7, 1, seed=5).exp() * regions, normal(5, 4, 1, seed=6).exp() * words
    torch.testing.assert_close(word_scores(*stretched, MASK), word_scores(regions, words, MASK))


@pytest.mark.parametrize("wanted", ["regions", "words", "both"])
@pytest.mark.parametrize("images", [1, 4, 5])
def test_images_in_parts_are_images_at_once(wanted, images):
    """Parts that divide the images and parts that leave a rest; gradients of what is asked for alone."""
    regions, words = places_and_words()
    regions.requires_grad_(wanted != "words")
    words.requires_grad_(wanted != "regions")
    inputs = [x for x in (regions, words) if x.requires_grad]
    similarities = images * int(LENGTHS.sum()) * 7
    parts, whole = (word_scores(regions, words, MASK, at_once=n) for n in (similarities, 1 << 20))
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=0)
    found, expected = (torch.autograd.grad(matching(x), inputs) for x in (parts, whole))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_gradients_are_those_of_finite_differences(at_once):
    mask = torch.tensor([[True, True], [True, False], [True, True]])
    inputs = normal(3, 4, 3, seed=1).requires_grad_(), normal(3, 2, 3, seed=2).requires_grad_()

    def loss(regions, words):
        return matching_loss(word_scores(regions, words, mask, tau=0.5, at_once=at_once))

    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradcheck(lambda x, y: matching_loss(cosine_scores(x, y, 0.5)), [x[:, 0] for x in inputs])


@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_half_precision_is_computed_in_float32(at_once):
    regions, words = (x.bfloat16().requires_grad_() for x in places_and_words())
    with torch.autocast("cpu", torch.bfloat16):
        scores = word_scores(regions, words, MASK, at_once=at_once)
        pooled = cosine_scores(regions[:, 0], words[:, 0])
        value = matching(scores)
    value.backward()
    assert scores.dtype == pooled.dtype == value.dtype == torch.float32
    assert regions.grad.isfinite().all() and words.grad.isfinite().all()
    exact = word_scores(regions.detach().double(), words.detach().double(), MASK)
    torch.testing.assert_close(scores.double(), exact, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_places_that_cancel_out_are_finite(at_once):
    """Places of one axis, half of them each way, and a word at a right angle to it: its context is nought."""
    axes = torch.eye(3)
    regions = axes[0] * torch.tensor([1.0, -1, 1, -1])[:, None]
    regions, words = regions.expand(2, 4, 3).clone().requires_grad_(), axes[1].expand(2, 1, 3).clone().requires_grad_()
    scores = word_scores(regions, words, torch.ones(2, 1, dtype=torch.bool), at_once=at_once)
    matching_loss(scores).backward()
    assert scores.isfinite().all() and regions.grad.isfinite().all() and words.grad.isfinite().all()


def test_sharp_temperatures_are_finite():
    regions, words = (x.requires_grad_() for x in places_and_words(dtype=torch.float32))
    value = matching(word_scores(regions, words, MASK, tau=0.0005, rho1=500.0, rho2=500.0))
    value.backward()
    assert value.isfinite() and regions.grad.isfinite().all() and words.grad.isfinite().all()


# -- memory ----------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """Numbers of the largest tensor that an operation makes, of either direction."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.numbers = max(self.numbers, *(x.numel() for x in tree_leaves(made) if isinstance(x, torch.Tensor)), 0)
        return made


def held_and_largest(form, N=16, R=64, T=8, D=32):
    """Bytes kept for the backward pass, each storage once, and numbers of the largest tensor of both passes."""
    regions, words = (normal(N, n, D, seed=n, dtype=torch.float32).requires_grad_() for n in (R, T))
    kept = {}

    def keep(x):
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes(), x
        return x

    with Largest() as largest:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            loss = matching_loss(form(regions, words, torch.ones(N, T, dtype=torch.bool)))
        loss.backward()
    return sum(n for n, _ in kept.values()), largest.numbers


def test_no_context_is_built_and_no_table_of_all_places_and_words():
    table, inputs = 16 * 16 * 8 * 64, 16 * 64 * 32  # numbers: of all with all, of the places themselves
    held, largest = held_and_largest(lambda *x: word_scores(*x, at_once=8192))
    assert held < 2 * 4 * inputs and largest == inputs == table // 4
    held, largest = held_and_largest(word_scores)  # so small a table is one part
    assert largest == table
    held, largest = held_and_largest(lambda *x: explicit_words(*x, **CONSTANTS))
    assert held > 2 * 4 * table


# -- processes -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path):
    said = torch.tensor([0, 1, 2, 0, 3, 1])

    def loss(weight, rows, gather):
        regions, words, mask, said = rows
        regions, words, mask, said = gather(regions @ weight), gather(words @ weight), gather(mask), gather(said)
        true = said[:, None] == said
        sentences = cosine_scores(regions.sum(1), words.sum(1))
        return matching_loss(word_scores(regions, words, mask, at_once=200), true) + matching_loss(sentences, true)

    mask = torch.arange(4) < torch.tensor([4, 1, 3, 2, 4, 2])[:, None]
    rows = normal(6, 7, 5, seed=1), normal(6, 4, 5, seed=2), mask, said
    assert_processes_are_one(loss, normal(5, 4), rows, tmp_path)
