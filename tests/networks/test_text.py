"""Captions as vectors: the mean of true words, and a transformer that reads them."""

import pytest
import torch

from networks.text import Text, TextTransformer


def small(most=6):
    torch.manual_seed(0)
    return TextTransformer(vocabulary=9, dim=8, layers=2, heads=2, most=most)


IDS = torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0]])


def test_a_sentence_is_the_mean_of_true_words():
    words, mask = torch.randn(2, 3, 4), torch.tensor([[True, True, False], [True, True, True]])
    text = Text.of(words, mask)
    torch.testing.assert_close(text.sentence, torch.stack([words[0, :2].mean(0), words[1].mean(0)]))
    assert text.words is words and text.mask is mask and len(text) == 2


def test_rows_of_a_text_are_a_text():
    text = Text.of(torch.randn(3, 2, 4, requires_grad=True), torch.ones(3, 2, dtype=torch.bool))
    for rows in (slice(1, 3), torch.tensor([1, 2])):
        part = text[rows]
        assert torch.equal(part.words, text.words[1:]) and torch.equal(part.sentence, text.sentence[1:])
        assert part.mask.shape == (2, 2) and len(part) == 2
    assert (
        text.sentence.requires_grad
        and not text.detach().sentence.requires_grad
        and not text.detach().words.requires_grad
    )


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_nothing(training):
    network = small().train(training)
    text, longer = network(IDS), network(torch.cat([IDS, torch.zeros(2, 2, dtype=torch.long)], 1))
    assert text.words.shape == (2, 4, 8) and text.mask.sum(1).tolist() == [4, 2]
    torch.testing.assert_close(longer.words[:, :4][text.mask], text.words[text.mask])
    torch.testing.assert_close(longer.sentence, text.sentence)
    alone = network(IDS[1:, :2])
    torch.testing.assert_close(alone.sentence, text.sentence[1:])


def test_the_order_of_words_matters():
    network = small()
    one, other = network(torch.tensor([[2, 3, 4]])), network(torch.tensor([[4, 3, 2]]))
    assert not torch.allclose(one.sentence, other.sentence)
    with torch.no_grad():
        network.place.zero_()
    torch.testing.assert_close(network(torch.tensor([[2, 3, 4]])).sentence, network(torch.tensor([[4, 3, 2]])).sentence)


def test_a_gradient_reaches_the_words_that_are_there_and_all_layers():
    network = small()
    text = network(IDS)
    (text.sentence.square().sum() + text.words[text.mask].square().sum()).backward()
    moved = network.embedding.weight.grad.abs().sum(1) > 0
    assert moved.tolist() == [False, False, True, True, True, True, True, True, False]
    assert (network.place.grad.abs().sum(1) > 0).tolist() == [True] * 4 + [False] * 2
    assert all(p.grad.isfinite().all() for p in network.layers.parameters())
    assert all(p.grad.any() for p in network.layers.parameters() if p.ndim > 1)


def test_more_words_than_places_are_refused():
    with pytest.raises(RuntimeError, match="size"):
        small(most=3)(IDS)
