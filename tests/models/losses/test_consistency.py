"""Consistency against a loop, and through a discriminator."""

import pytest
import torch

from models.losses.consistency import consistency
from networks.diff_augment import shift_and_flip


def test_it_is_the_sum_of_what_loops_give():
    draw = torch.Generator().manual_seed(0)
    logits, others = torch.randn(2, 3, generator=draw, dtype=torch.float64)
    vectors, moved = torch.randn(2, 3, 5, generator=draw, dtype=torch.float64)
    of_logits = sum((a - b) ** 2 for a, b in zip(logits.tolist(), others.tolist(), strict=True)) / 3
    of_vectors = sum((vectors[i, j] - moved[i, j]).item() ** 2 for i in range(3) for j in range(5)) / 15
    assert consistency([logits], [others]).item() == pytest.approx(of_logits)
    assert consistency((logits, vectors), (others, moved)).item() == pytest.approx(of_logits + of_vectors)


def test_closed_form_and_both_sides_learn():
    """Logits 1 apart and unit vectors at a right angle, whose two numbers differ by 1 each: 1 + 1."""
    a, b = torch.zeros(4, requires_grad=True), torch.ones(4, requires_grad=True)
    u, v = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    loss = consistency([a, u], [b, v])
    loss.backward()
    assert loss.item() == 2
    assert a.grad.tolist() == [-0.5] * 4 and b.grad.tolist() == [0.5] * 4


def test_a_discriminator_that_looks_at_nothing_but_brightness_does_not_mind_a_flip():
    torch.manual_seed(0)
    flat = torch.rand(5, 1, 1, 1).expand(5, 3, 16, 16)
    drawn = torch.rand(5, 3, 16, 16)

    def D(x):
        return [x.mean((1, 2, 3)), x[:, 0, 0]]

    assert consistency(D(flat), D(shift_and_flip(flat))).item() == pytest.approx(0, abs=1e-12)
    assert consistency(D(drawn), D(shift_and_flip(drawn))).item() > 0.01


def test_it_is_computed_in_float32():
    a = torch.tensor([256.0, 257.0])
    with torch.autocast("cpu", torch.bfloat16):
        assert consistency([a.bfloat16()], [(a + 2).bfloat16()]).dtype == torch.float32
        assert consistency([a], [a + 2]).item() == 4


@pytest.mark.parametrize("shapes", [([(3,)], [(3, 1)]), ([(3,), (3, 2)], [(3,)]), ([], [])])
def test_what_does_not_match_is_refused(shapes):
    """(3,) and (3, 1) would be compared nine times."""
    outputs, augmented = ([torch.zeros(shape) for shape in side] for side in shapes)
    with pytest.raises(ValueError, match="cannot be compared"):
        consistency(outputs, augmented)
