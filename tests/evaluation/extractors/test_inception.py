"""Resizing for Inception: clean-fid's steps written out, and what they must not do."""

import numpy as np
import torch
from PIL import Image

from evaluation.extractors.inception import antialiased


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
