"""Altered pictures of training: by the item's own numbers, pairs alike, labels exactly, and no empty corners."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from data.loading.augmentation import Augment, AugmentOptions
from tests.data.helpers import dataset, images

AFFINE = ("--rotate", 30, "--translate_by", 0.1, "--zoom", 0.2, "--shear", 5)
ALL = (*AFFINE, "--colour_jitter", 0.3)
SIZE = ("--load_size", 36, "--crop_size", 32)


def augment(is_train=True, **flags):
    names = [f for f in AugmentOptions.__dataclass_fields__ if f in AugmentOptions.__annotations__]
    usual = {name: AugmentOptions.__dataclass_fields__[name].default for name in names}
    return Augment(SimpleNamespace(**{**usual, **flags}, is_train=is_train))


def noise(channels=3, height=20, width=28, deep=False):
    levels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return levels.astype(np.float32) / 127.5 - 1 if deep else levels


def as_float(pixels):
    return pixels.astype(np.float32) / 127.5 - 1 if pixels.dtype == np.uint8 else pixels


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_number_of_channels_and_bits_is_altered_and_stays_in_range(channels, deep):
    pixels = noise(channels, deep=deep)
    made = augment(rotate=20.0, colour_jitter=0.5)(pixels, random.Random(1))
    assert made.shape == pixels.shape and made.dtype == np.float32
    assert made.min() >= -1 and made.max() <= 1 and np.abs(made - as_float(pixels)).mean() > 0.05
    again = augment(rotate=20.0, colour_jitter=0.5)(pixels, random.Random(1))
    assert np.array_equal(made, again)
    if channels == 4:  # how opaque a pixel is
        moved = augment(rotate=20.0, colour_jitter=0.0)(pixels, random.Random(1))
        assert np.allclose(made[..., 3], moved[..., 3], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "flags", [{"rotate": 180.0}, {"translate_by": 0.5}, {"zoom": 0.5, "shear": 45.0, "rotate": 45.0}, {"zoom": 0.5}]
)
def test_no_corner_is_empty(flags, seed):
    """What comes in is mirrored from the picture: of one that is all white nothing else comes in."""
    white = np.ones((17, 40, 3), np.float32)
    assert augment(**flags)(white, random.Random(seed)).min() > 1 - 1e-5


def test_a_turn_is_a_turn_and_a_shift_a_shift():
    """By a right angle and by whole pixels, nothing is interpolated."""
    pixels = noise(height=24, width=24, deep=True)

    def told(name, share):
        changes = augment(**{name: 90.0 if name == "rotate" else 0.25})
        order = ["rotate", "translate_by", "zoom", "shear", "down"]  # as they are drawn
        draws = iter([2 * (share if key == name else 0.5) - 1 for key in order])
        return changes(pixels, SimpleNamespace(uniform=lambda low, high: next(draws)))

    turned = told("rotate", 1.0)
    assert np.allclose(turned, np.rot90(pixels, -1), atol=1e-4) or np.allclose(turned, np.rot90(pixels), atol=1e-4)
    assert np.allclose(told("translate_by", 1.0)[:, 6:], pixels[:, :-6], atol=1e-5)


def test_without_the_flags_nothing_is_drawn_and_a_test_is_never_altered():
    rng, pixels = random.Random(3), noise()
    before = rng.getstate()
    assert augment()(pixels, rng) is pixels and rng.getstate() == before
    assert augment(is_train=False, rotate=10.0, colour_jitter=0.5)(pixels, rng) is pixels


@pytest.mark.parametrize("mode", ["unaligned", "aligned", "template", "singleimage", "labeled"])
def test_every_kind_of_pictures_is_altered_by_its_items_own_numbers(mode, tmp_path):
    for place in {"labeled": ("train/x", "train/y"), "template": ("train",)}.get(mode, ("trainA", "trainB")):
        images(tmp_path / place, *(f"{i}.png" for i in range(1 if mode == "singleimage" else 3)), seed=len(place))
    size = SIZE if mode != "labeled" else ("--crop_size", 24)
    size = ("--crop_size", 16, "--batch_size", 2) if mode == "singleimage" else size
    key = "image" if mode == "labeled" else "A"
    plain, altered, same = (
        dataset(mode, "--dataroot", tmp_path, "--gpu_ids", -1, *size, *more) for more in ((), ALL, ALL)
    )
    assert altered[1][key].shape == plain[1][key].shape and not torch.equal(altered[1][key], plain[1][key])
    assert torch.equal(altered[1][key], same[1][key]) and altered[1][key].abs().max() <= 1
    before = altered[1][key]
    altered.epoch = 2
    assert not torch.equal(altered[1][key], before)


def test_a_pair_is_altered_alike_and_labels_keep_their_colours(tmp_path):
    labels = np.random.default_rng(0).choice([0, 100, 255], (8, 8)).repeat(5, 0).repeat(5, 1).astype(np.uint8)
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        Image.fromarray(labels).convert("RGB").save(tmp_path / f"train{side}/a.png")
    words = ("--dataroot", tmp_path, "--gpu_ids", -1, "--preprocess", "none")
    item = dataset("aligned", *words, *ALL)[0]
    assert torch.equal(item["A"], item["B"])
    item = dataset("aligned", *words, *ALL, "--label_sides", "B")[0]
    levels = ((item["B"] + 1) * 127.5).round().unique().tolist()
    assert set(levels) <= {0.0, 100.0, 255.0} and len(item["A"].unique()) > 50
    moved = dataset("aligned", *words, *AFFINE)[0]["A"]  # the same places
    assert ((moved - item["B"]).abs() < 0.02).float().mean() > 0.6
