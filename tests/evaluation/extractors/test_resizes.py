"""Resizing for Inception: the steps of each tool written out, and what they must not do."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.extractors.resizes import WAYS, antialiased
from options.evaluation_options import RESIZES


def slowly(levels, size):
    """clean-fid's `make_resizer("PIL", False, "bicubic", size)`, a channel and then a stack at a time."""
    images = []
    for image in levels.permute(0, 2, 3, 1).numpy():  # (H, W, C)
        channels = []
        for c in range(image.shape[2]):
            picture = Image.fromarray(image[:, :, c].astype(np.float32)).resize((size, size), resample=Image.BICUBIC)
            assert picture.mode == "F"
            channels.append(np.asarray(picture).clip(0, 255).reshape(size, size, 1))
        images.append(np.concatenate(channels, axis=2))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def test_it_is_the_resize_of_clean_fid():
    random = torch.Generator().manual_seed(0)
    for H, W, size in ((40, 56, 24), (16, 16, 37)):
        levels = torch.randint(256, (2, 3, H, W), generator=random, dtype=torch.uint8)
        resized = antialiased(levels, size)
        assert resized.dtype == torch.float32 and torch.equal(resized, slowly(levels, size))


def test_nothing_is_rounded_and_what_overshoots_is_cut_off():
    step = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    step[..., 4:] = 255
    resized = antialiased(step, 31)
    assert resized.min() == 0 and resized.max() == 255 and (resized != resized.round()).any()


def test_a_pattern_too_fine_for_the_size_becomes_grey():
    """Every second pixel of a chessboard is white, which subsampling would show as all white or all black."""
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8)[None, None]
    assert (antialiased(board, 16) - 127.5).abs().max() < 16


def test_images_of_the_size_stay_and_none_are_none():
    levels = torch.randint(256, (1, 3, 20, 20), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert torch.equal(antialiased(levels, 20), levels.float())
    assert antialiased(levels[:0], 20).shape == (0, 3, 20, 20)


def four_pixels(image, size, place):
    """(H, W) to (size, size): a weighted mean of the four pixels around the place where each result lies."""
    found = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            at = [min(max(place(k, n / size), 0), n - 1) for k, n in ((y, image.shape[0]), (x, image.shape[1]))]
            (top, down), (left, right) = ((math.floor(p), p - math.floor(p)) for p in at)
            rows = [min(top + k, image.shape[0] - 1) for k in (0, 1)]
            columns = [min(left + k, image.shape[1] - 1) for k in (0, 1)]
            weights = np.outer((1 - down, down), (1 - right, right))
            found[y, x] = (image[np.ix_(rows, columns)] * weights).sum()
    return found


@pytest.mark.parametrize(
    ("name", "place", "seen"),
    [
        ("legacy-pytorch", lambda k, scale: (k + 0.5) * scale - 0.5, lambda level: 2 * level / 255 - 1),
        ("legacy-tf", lambda k, scale: k * scale, lambda level: (level - 128) / 128),
    ],
)
def test_legacy_ways_are_bilinear_each_at_its_places(name, place, seen):
    image = torch.randint(256, (1, 1, 12, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for size in (7, 20):
        wanted = seen(four_pixels(image[0, 0].double().numpy(), size, place))
        np.testing.assert_allclose(WAYS[name](image, size)[0, 0], wanted, atol=2e-5)
    assert WAYS[name](image[:0], 7).shape == (0, 1, 7, 7)


def test_each_way_has_a_name_that_options_know():
    assert list(WAYS) == list(RESIZES) and len({way.words for way in WAYS.values()}) == len(WAYS)
    image = torch.randint(256, (1, 3, 40, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    clean, pytorch, tensorflow = (way(image, 16) for way in WAYS.values())
    assert min((a - b).abs().max() for a, b in ((clean, pytorch), (clean, tensorflow), (pytorch, tensorflow))) > 0.1
