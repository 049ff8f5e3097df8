"""Distances between sets of features, against loops, another library and values that are known."""

import math

import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from evaluation.metrics.shared.distances import frechet, frechet_of_moments, kernel_distance, moments, nearest_rows


def gaussian(rows, features=4, seed=0, **more):
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed), **more)


def test_frechet_of_a_set_with_itself_is_0():
    x = gaussian(200, 16)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x[:, :1], x[:, :1]) == pytest.approx(0, abs=1e-9)


def test_frechet_of_a_shift_and_a_scale():
    """Of x and c x + s with mean 0: |s|^2 + (c - 1)^2 tr S, for c > 0."""
    x = gaussian(300)
    x = x - x.mean(0)
    expected = 4 * 0.5**2 + 2**2 * torch.cov(x.double().T).trace().item()
    assert frechet(x, 3 * x + 0.5) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_independent_directions_is_a_sum():
    """Diagonal covariances: the sum of (mean difference)^2 + (sigma_x - sigma_y)^2 over the features."""
    corners = torch.tensor([[a, b] for a in (-1.0, 1) for b in (-1.0, 1)]).repeat(50, 1)  # uncorrelated
    x, y = corners * torch.tensor([1.0, 3]), corners * torch.tensor([2.0, 1]) + torch.tensor([1.0, 0])
    sigma = corners.double()[:, 0].std().item()
    assert frechet(x, y) == pytest.approx(1 + (1 + 4) * sigma**2, rel=1e-9)


def test_frechet_of_moments_is_that_of_the_rows():
    for rows in (50, 9):  # of 12 features: also where covariances are singular
        x, y = gaussian(rows, 12, 1), 2 * gaussian(40, 12, 2) + 0.3
        torch.testing.assert_close(moments(x)[1], torch.cov(x.double().T))
        wanted = frechet(x, y, singular=True)
        assert frechet_of_moments(*moments(x), *moments(y)) == pytest.approx(wanted, rel=1e-6)
    assert frechet_of_moments(*moments(x), *moments(x)) == pytest.approx(0, abs=1e-6)


def test_frechet_of_two_samples_shrinks_with_their_number_but_is_not_0():
    """The bias that a floor shows: conditional.md 5.3 has 0.87 for 200 rows of 16 features, 0.10 for 1797."""
    assert frechet(gaussian(200, 16, 1), gaussian(200, 16, 2)) == pytest.approx(0.87, rel=0.2)
    assert frechet(gaussian(1797, 16, 1), gaussian(1797, 16, 2)) == pytest.approx(0.10, rel=0.2)


def test_kid_is_its_loop_and_another_library_s():
    x, y = gaussian(7, 3, 1), gaussian(5, 3, 2) + 1

    def k(a, b):
        return (float((a.double() * b.double()).sum()) / 3 + 1) ** 3

    xx = sum(k(x[i], x[j]) for i in range(7) for j in range(7) if i != j) / (7 * 6)
    yy = sum(k(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / (5 * 4)
    xy = sum(k(a, b) for a in x for b in y) / (7 * 5)
    assert kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-12)
    a, b = gaussian(40, 8, 3, dtype=torch.float64), gaussian(40, 8, 4, dtype=torch.float64)
    assert kernel_distance(a, b) == pytest.approx(poly_mmd(a, b).item(), rel=1e-9)


def test_kid_of_two_halves_is_around_0_and_of_shifted_ones_is_not():
    values = torch.tensor([kernel_distance(*gaussian(200, 16, seed).split(100)) for seed in range(40)])
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(40) and (values < 0).any()
    assert kernel_distance(gaussian(100, 16, 1), gaussian(100, 16, 2) + 0.5) > 5 * values.std()


@pytest.mark.parametrize("distance", [frechet, kernel_distance])
@pytest.mark.parametrize(
    "x",
    [gaussian(0), gaussian(1), torch.ones(50, 4), gaussian(50).index_fill(0, torch.tensor([3]), math.nan)],
    ids=["none", "one", "constant", "nan"],
)
def test_sets_that_define_no_distance_have_none(distance, x):
    y = gaussian(50, seed=1)
    assert math.isnan(distance(x, y)) and math.isnan(distance(y, x)) and math.isfinite(distance(y, y + 1))


def test_frechet_wants_more_rows_than_features():
    assert math.isnan(frechet(gaussian(4), gaussian(50))) and math.isfinite(frechet(gaussian(5), gaussian(50)))


def test_nearest_is_its_loop():
    x, reference = gaussian(9, 5, 1), gaussian(30, 5, 2)
    distances, indices = nearest_rows(x, reference, 3)
    for i in range(9):
        ranked = sorted((float((x[i] - reference[j]).norm()), j) for j in range(30))[:3]
        assert indices[i].tolist() == [j for _, j in ranked]
        torch.testing.assert_close(distances[i], torch.tensor([d for d, _ in ranked]))


def test_nearest_finds_a_copy_at_exactly_0():
    reference = gaussian(50, 400) * 100 + 1000  # rounding of a product would put it elsewhere
    distances, indices = nearest_rows(reference[[7, 3]], reference)
    assert distances.flatten().tolist() == [0, 0] and indices.flatten().tolist() == [7, 3]
    assert nearest_rows(reference[:0], reference)[0].shape == (0, 1)
    assert nearest_rows(reference[:2], reference[:1], 3)[1].tolist() == [[0], [0]]
