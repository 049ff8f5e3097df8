import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from evaluation.metrics import METRICS


def images(seed):
    return torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_psnr_is_that_of_skimage_pair_by_pair():
    metric, real, fake = METRICS.find("psnr")(), images(1), images(2)
    metric.update(real, fake)
    pairs = zip(((real + 1) / 2).numpy(), ((fake + 1) / 2).numpy(), strict=True)
    expected = [peak_signal_noise_ratio(x, y, data_range=1.0) for x, y in pairs]
    assert metric.compute()["PSNR"] == pytest.approx(sum(expected) / 4, rel=1e-5) and metric.remarks() == []


def test_one_level_of_255_is_48_decibels():
    metric = METRICS.find("psnr")()
    metric.update(torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 2 / 255))
    assert metric.compute()["PSNR"] == pytest.approx(20 * math.log10(255), abs=1e-4)


def test_equal_images_count_as_100_decibels_and_are_told():
    metric, real = METRICS.find("psnr")(), images(1)
    metric.update(real, torch.cat([real[:1], images(2)[1:]]))
    metric.update(real[:1], real[:1])
    assert metric.remarks() == ["PSNR: 2 of 5 pairs are equal, which counts as 100 dB"]
    assert 40 < metric.compute()["PSNR"] < 50
