import random

import numpy as np
import pytest
from PIL import Image

from data.loading.transforms import parse_steps, resize, transform
from options import UserError


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


# (width, height) -> (width, height) in training with load_size 286 and crop_size 256
WIDE, SMALL, ODD, THIN, DOT = (500, 333), (90, 70), (301, 257), (1000, 3), (1, 1)
SIZES = {
    "resize_and_crop": dict.fromkeys((WIDE, SMALL, ODD, THIN, DOT), (256, 256)),
    "crop": dict.fromkeys((WIDE, SMALL, ODD, THIN, DOT), (256, 256)),
    "resize": {WIDE: (288, 288), DOT: (288, 288)},  # 286 is no multiple of 4
    "scale_width": {WIDE: (288, 192), SMALL: (288, 224), ODD: (288, 244), THIN: (288, 4)},
    "scale_shortside": {WIDE: (428, 288), SMALL: (368, 288), ODD: (336, 288)},  # 500 x 333 is scaled down
    "scale_longside": {WIDE: (288, 192), SMALL: (288, 224), ODD: (288, 244)},
    "scale_width_and_crop": {WIDE: (256, 256), SMALL: (256, 256)},
    "scale_shortside_and_crop": {WIDE: (256, 256), SMALL: (256, 256), ODD: (256, 256)},
    "none": {WIDE: (500, 332), SMALL: (88, 72), ODD: (300, 256), THIN: (1000, 4), DOT: (4, 4)},
    "trim": {WIDE: (256, 256), SMALL: (88, 72), ODD: (256, 256), THIN: (256, 4)},
    "zoom_and_crop": {WIDE: (256, 256), SMALL: (256, 256)},
}
CASES = [(mode, size, result) for mode, table in SIZES.items() for size, result in table.items()]


@pytest.mark.parametrize(("mode", "size", "result"), CASES)
def test_sizes_in_training(mode, size, result):
    image = noise(size[1], size[0])
    done = transform(image, parse_steps(mode), 286, 256, 3.0, True, random.Random(1))
    assert done.shape == (result[1], result[0], 3)
    assert done.dtype == np.uint8


@pytest.mark.parametrize("size", ((500, 332), (300, 400)))
def test_scaling_keeps_the_aspect_ratio(size):
    for mode, load in (("scale_width", 128), ("scale_shortside", 64), ("scale_longside", 512)):
        done = transform(noise(size[1], size[0]), parse_steps(mode), load, 256)
        assert done.shape[1] / done.shape[0] == pytest.approx(size[0] / size[1], rel=0.01)
        height, width = done.shape[:2]
        sides = {"scale_width": width, "scale_shortside": min(height, width), "scale_longside": max(height, width)}
        assert sides[mode] == load


def test_without_randomness_nothing_is_rounded_or_flipped():
    image = noise(333, 501)
    assert transform(image, parse_steps("none"), 286, 256, flip=True) is image
    assert parse_steps("auto", is_train=False) == {"none"}
    assert parse_steps("auto", is_train=True) == {"resize", "crop"}
    centre = transform(image, parse_steps("crop"), 286, 200, flip=True)
    assert (centre == image[67:267, 151:351]).all()
    assert transform(image, parse_steps("zoom"), 286, 200, 3.0) is image


@pytest.mark.parametrize("channels", (1, 3))
@pytest.mark.parametrize("size", ((286, 286), (700, 200), (31, 57)))
def test_resizing_equals_pillows_bicubic(channels, size):
    image = noise(256, 320, channels)
    expected = Image.fromarray(image if channels == 3 else image[..., 0]).resize(size, Image.Resampling.BICUBIC)
    assert (resize(image, size[1], size[0]) == np.array(expected).reshape(size[1], size[0], channels)).all()


def test_sixteen_bits_survive_scaling():
    smooth = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64, 1).repeat(5, axis=2)
    done = transform(smooth, parse_steps("resize_and_crop"), 80, 64, flip=True, rng=random.Random(0))
    assert done.shape == (64, 64, 5) and done.dtype == np.float32
    assert done.min() >= -1 and done.max() <= 1
    assert len(np.unique(done[..., 0])) > 2000  # 8 bits would leave 256
    bytes_ = resize(((smooth[..., :1] + 1) * 127.5).round().astype(np.uint8), 50, 70)
    floats = (resize(smooth[..., :1], 50, 70) + 1) * 127.5
    assert np.abs(bytes_ - floats).max() < 1.1


def test_half_of_the_images_are_flipped():
    image = noise(8, 8)
    results = [transform(image, parse_steps("none"), 8, 8, flip=True, rng=random.Random(i)) for i in range(200)]
    flipped = sum(int((r == image[:, ::-1]).all()) for r in results)
    assert all((r == image).all() or (r == image[:, ::-1]).all() for r in results) and 75 < flipped < 125
    assert all((transform(image, parse_steps("none"), 8, 8, rng=random.Random(i)) == image).all() for i in range(20))


def test_crops_reach_every_corner():
    image = np.arange(36, dtype=np.uint8).reshape(6, 6, 1)
    corners = {int(transform(image, parse_steps("crop"), 6, 4, rng=random.Random(i))[0, 0, 0]) for i in range(200)}
    assert corners == {y * 6 + x for y in range(3) for x in range(3)}


def test_equal_generators_treat_a_pair_alike():
    image = noise(50, 60)
    for mode in ("resize_and_crop", "zoom_and_crop", "scale_shortside_and_crop"):
        one = transform(image, parse_steps(mode), 40, 32, 2.0, True, random.Random(5))
        two = transform(255 - image, parse_steps(mode), 40, 32, 2.0, True, random.Random(5))
        assert np.abs(255 - one.astype(int) - two).max() <= 2  # the crop and flip of one are those of the other


def test_the_global_generators_are_left_alone():
    before = random.getstate(), np.random.get_state()[1].tolist()
    transform(noise(50, 60), parse_steps("zoom_and_crop"), 40, 32, 2.0, True, random.Random(5))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize(
    ("preprocess", "message"),
    (
        ("resize_and_crpo", "no step 'crpo'; did you mean crop"),
        ("resize_and_scale_width", "resize and scale_width contradict"),
        ("none_and_crop", "none and crop contradict"),
        ("zoom_and_patch", "patch needs --dataset_mode singleimage"),
        ("", "no step ''"),
    ),
)
def test_unknown_words_are_refused(preprocess, message):
    with pytest.raises(UserError, match=message):
        parse_steps(preprocess)
