"""Metrics of pairs: against loops, closed forms, and the images that took no learning."""

import math

import pytest
import torch

from evaluation.metrics import METRICS
from evaluation.metrics.shared.floors import FLOORS
from options import UserError
from tests.evaluation.metrics.glyphs import letters, page, square

PAIRS = ("l1", "ink_l1", "ssim", "iou", "ink", "shift", "chamfer")


def value(name, real, fake, facts=None):
    metric = METRICS.find(name)()
    metric.update(real, fake, facts)
    (result,) = metric.compute().values()
    return result


@pytest.mark.parametrize("name", PAIRS)
def test_nothing_taken_in_is_nan_and_equal_images_are_perfect(name):
    metric, real = METRICS.find(name)(), letters("DejaVuSerif")
    assert all(math.isnan(v) for v in metric.compute().values())
    metric.update(real, real.clone())
    (result,) = metric.compute().values()
    assert result == pytest.approx(0.0 if metric.better == "lower" else 1.0) and metric.remarks() == []


@pytest.mark.parametrize("name", PAIRS)
def test_batches_do_not_matter_nor_does_a_grey_image_in_three_channels(name):
    real, fake = letters("DejaVuSerif"), letters("DejaVuSans")
    metric = METRICS.find(name)()
    for part in (slice(0, 3), slice(3, 8)):
        metric.update(real[part].expand(-1, 3, -1, -1), fake[part].expand(-1, 3, -1, -1))
    assert metric.compute() == pytest.approx(METRICS.find(name)().compute() | {_name(name): value(name, real, fake)})


def _name(plugin):
    return next(iter(METRICS.find(plugin)().compute()))


@pytest.mark.parametrize("name", ["ink_l1", "iou", "ink", "shift", "ssim", "chamfer"])
def test_a_style_weighs_like_any_other(name):
    real, fake = letters("DejaVuSerif"), letters("DejaVuSans")
    metric = METRICS.find(name)()
    metric.update(real, fake, {"label": torch.tensor([3, 7, 7, 7, 7, 7, 7, 7])})
    parts = value(name, real[:1], fake[:1]), value(name, real[1:], fake[1:])
    assert next(iter(metric.compute().values())) == pytest.approx(sum(parts) / 2)
    assert value(name, real, fake) != pytest.approx(sum(parts) / 2)


def test_ink_l1_is_the_difference_over_the_ink():
    real, fake = letters("DejaVuSerif", "AB"), letters("DejaVuSans", "AB")
    above = sum(abs(a - b) / 2 for a, b in zip(real.flatten().tolist(), fake.flatten().tolist(), strict=True))
    below = sum((1 - a) / 2 for a in real.flatten().tolist())
    assert value("ink_l1", real, fake) == pytest.approx(above / below)
    assert value("ink_l1", square(2, 2), square(20, 20)) == pytest.approx(2.0)  # no ink in common


def test_a_page_without_ink_defines_no_ratio():
    assert math.isnan(value("ink_l1", page(), square(2, 2))) and math.isnan(value("iou", page(), page()))
    both = torch.cat([page(), square(2, 2)]), torch.cat([page(), square(2, 2)])
    assert value("ink_l1", *both, {"label": torch.tensor([0, 1])}) == 0.0  # of the other style


def test_ink_of_half_the_strokes_is_a_half():
    assert value("ink", square(4, 4, 8), square(4, 4, 8) * 0.5 + 0.5) == pytest.approx(0.5)  # pale
    assert value("ink", square(4, 4, 8), square(4, 4, 4)) == pytest.approx(0.25)  # small


@pytest.mark.parametrize("moved", [0, 1, 3, 8, 11])
def test_iou_of_squares(moved):
    shared = max(0, 8 - moved) * 8
    assert value("iou", square(4, 4), square(4 + moved, 4)) == pytest.approx(shared / (128 - shared))


def test_iou_counts_what_is_darker_than_half():
    assert value("iou", square(4, 4), square(4, 4) * 0.6 + 0.4) == 1.0
    assert value("iou", square(4, 4), square(4, 4) * 0.4 + 0.6) == 0.0


@pytest.mark.parametrize(("x", "y"), [(2, -2), (-1, 2), (0, 0), (2, 2)])
def test_small_shifts_are_forgiven(x, y):
    assert value("shift", square(10, 10), square(10 + x, 10 + y)) == 0.0


def test_a_larger_shift_costs_what_lies_beyond_two_pixels():
    assert value("shift", square(10, 10), square(15, 10)) == pytest.approx(2 * 3 * 8 / 64)


@pytest.mark.parametrize("d", [1, 2, 7])
def test_chamfer_of_two_lines_is_their_distance(d):
    lines = [page() for _ in range(2)]
    lines[0][..., 10, :] = lines[1][..., 10 + d, :] = -1
    assert value("chamfer", *lines) == pytest.approx(d)


def test_chamfer_against_a_loop():
    real, fake = letters("DejaVuSerif", "R", 24), letters("DejaVuSans", "R", 24)

    def outline(image):
        dark = {(y, x) for y in range(24) for x in range(24) if image[0, 0, y, x] < 0}
        return [p for p in dark if any((p[0] + i, p[1] + j) not in dark for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0)))]

    def mean_distance(a, b):
        return sum(min(math.dist(p, q) for q in b) for p in a) / len(a)

    a, b = outline(real), outline(fake)
    assert value("chamfer", real, fake) == pytest.approx((mean_distance(a, b) + mean_distance(b, a)) / 2)


def test_chamfer_of_an_empty_page_is_the_diagonal():
    assert value("chamfer", square(3, 3), page()) == pytest.approx(32 * math.sqrt(2))
    assert value("chamfer", page(), page()) == 0.0


def test_ssim_is_the_formula_in_windows_inside_the_canvas():
    real, fake = letters("DejaVuSerif", "S", 13), letters("DejaVuSans", "S", 13)
    x, y = (((1 + image[0, 0].double()) / 2) for image in (real, fake))
    places = torch.arange(-5, 6).double()
    row = torch.exp(-(places**2) / (2 * 1.5**2))
    window = row.outer(row) / row.sum() ** 2
    values = []
    for i in range(3):
        for j in range(3):
            p, q = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
            cov = (window * p * q).sum() - mp * mq
            values.append(
                (2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4))
            )  # K1 = 0.01, K2 = 0.03, range 1
    assert value("ssim", real, fake) == pytest.approx(torch.stack(values).mean().item(), abs=1e-9)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(UserError, match="window"):
        value("ssim", page(8), page(8))


def test_floors():
    real, source = letters("DejaVuSerif"), letters("DejaVuSans")
    floor = {name: make(real, source) for name, make in FLOORS.items()}
    assert value("ink_l1", real, floor["a white page"]) == pytest.approx(1.0)
    assert value("iou", real, floor["a white page"]) == 0.0 and floor["a white page"].shape == real.shape
    assert torch.equal(floor["the source, copied"], source)
    off = floor["the truth, one pixel off"]
    assert value("shift", real, off) == pytest.approx(0.0) and value("ink", real, off) == pytest.approx(1.0)
    assert value("iou", square(4, 4), FLOORS["the truth, one pixel off"](square(4, 4), page())) == pytest.approx(7 / 9)
