"""Augmentation: what each operation keeps, how far it goes, and that images have nothing to do with each other."""

import pytest
import torch

from networks.diff_augment import (
    DiffAugment,
    brightness,
    contrast,
    cutout,
    flip,
    reflected,
    saturation,
    shift_and_flip,
    translation,
)

ALL = "color,translation,cutout,flip"


def images(count=4, channels=3, size=16, dtype=torch.float32):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0), dtype=dtype) * 2 - 1


def alter(operation, x, seed=0):
    """One operation on every image; the draws are returned too."""
    u, v = torch.rand(2, len(x), generator=torch.Generator().manual_seed(seed))
    return operation(x, torch.ones(len(x), dtype=torch.bool), u, v), u, v


def seeded(transform, x, seed=0, **more):
    torch.manual_seed(seed)
    return transform(x, **more)


def test_colours_are_what_a_loop_gives():
    x = images(dtype=torch.float64)
    for operation in (brightness, saturation, contrast):
        y, u, _ = alter(operation, x)
        for image, altered, number in zip(x, y, u.double().tolist(), strict=True):
            grey, mean = image.mean(0, keepdim=True), image.mean()
            expected = {
                brightness: image + number - 0.5,
                saturation: grey + 2 * number * (image - grey),
                contrast: mean + (0.5 + number) * (image - mean),
            }[operation]
            torch.testing.assert_close(altered, expected, rtol=0, atol=1e-6)


def test_saturation_keeps_the_mean_of_channels_and_contrast_that_of_the_image():
    x = images(dtype=torch.float64)
    torch.testing.assert_close(alter(saturation, x)[0].mean(1), x.mean(1))
    torch.testing.assert_close(alter(contrast, x)[0].mean((1, 2, 3)), x.mean((1, 2, 3)))
    grey = images(channels=1)
    assert torch.equal(alter(saturation, grey)[0], grey)


def test_strengths_fill_the_published_ranges():
    """U(-1/2, 1/2), U(0, 2) and U(1/2, 3/2) (DiffAugment's released code), seen in 4000 images of two pixels."""
    x = torch.tensor([-0.5, 0.5]).view(1, 2, 1, 1).expand(4000, 2, 1, 1)
    for operation, low, high in ((brightness, -0.5, 0.5), (saturation, 0, 2), (contrast, 0.5, 1.5)):
        y = alter(operation, x)[0]
        found = y.mean(1) if operation is brightness else y[:, 1] - y[:, 0]
        assert low <= found.min() < low + 0.01 and high - 0.01 < found.max() <= high
        assert found.mean().item() == pytest.approx((low + high) / 2, abs=0.05)


def test_a_translation_moves_by_whole_pixels_and_fills_with_grey():
    x, seen = images(400, 2, 16), set()
    y, _, _ = alter(translation, x)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))  # an eighth of 16
    for image, altered in zip(padded, y, strict=True):
        moves = [(i, j) for i in range(5) for j in range(5) if torch.equal(image[:, i : i + 16, j : j + 16], altered)]
        assert len(moves) == 1
        seen.update(moves)
    assert len(seen) == 25


@pytest.mark.parametrize("size,side", [(16, 8), (10, 5), (11, 6)])
def test_a_cutout_is_a_square_of_half_the_side_where_it_lies_inside(size, side):
    x = torch.ones(600, 1, size, size + 4)
    y, _, _ = alter(cutout, x)
    gone = y[:, 0] == 0
    assert (gone | (y[:, 0] == 1)).all()
    rows, columns = gone.any(2), gone.any(1)
    assert torch.equal(gone, rows[:, :, None] & columns[:, None])  # a rectangle, all of it
    # The centre is anywhere, so that at an edge half of the square, rounded down, may be outside.
    wide = int((size + 4) / 2 + 0.5)
    assert rows.sum(1).max() == side and rows.sum(1).min() == side - side // 2
    assert columns.sum(1).max() == wide and columns.sum(1).min() == wide - wide // 2
    starts = {tuple(row.nonzero().flatten().tolist()) for row in rows}
    assert len(starts) == size + 1 - side % 2 and all(list(s) == list(range(s[0], s[-1] + 1)) for s in starts)


def test_half_of_the_images_are_flipped():
    x = images(400, 1, 4)
    y, u, _ = alter(flip, x)
    for image, altered, number in zip(x, y, u, strict=True):
        assert torch.equal(altered, image.flip(2) if number < 0.5 else image)


def test_p_is_the_probability_of_each_operation_for_each_image():
    x = torch.full((4000, 1, 8, 8), 0.25)
    x[..., 1::2] = -0.75  # lighter and darker columns
    for word in ("color", "translation", "cutout"):  # of 8 pixels and one channel: 2, 1 and 1 operations
        y = seeded(DiffAugment(word), x, p=0.3)
        same = (y == x).all((1, 2, 3)).float().mean().item()
        # A translation of 1 pixel at most stays where it is in one case of nine.
        expected = {"color": 0.7 * 0.7, "translation": 0.7 + 0.3 / 9, "cutout": 0.7}[word]
        assert same == pytest.approx(expected, abs=0.03)
    per_image = torch.arange(4000) % 2
    changed = (seeded(DiffAugment("cutout"), x, p=per_image) != x).any(3).any(2).any(1)
    assert torch.equal(changed, per_image.bool())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_probability_nothing_changes_and_with_it_precision_and_layout_stay(dtype, layout):
    x = images().to(dtype).contiguous(memory_format=layout)
    for p in (0.0, torch.zeros(())):
        assert torch.equal(DiffAugment(ALL)(x, p), x)
    with torch.autocast("cpu", torch.bfloat16):
        for y in (DiffAugment(ALL)(x), shift_and_flip(x)):
            assert y.dtype == dtype and y.is_contiguous(memory_format=layout) and not torch.equal(y, x)
    assert torch.equal(DiffAugment("")(x), x)


@pytest.mark.parametrize("transform", [DiffAugment(ALL), shift_and_flip], ids=["DiffAugment", "shift_and_flip"])
def test_a_seed_decides_and_an_image_does_not_depend_on_the_others(transform):
    x, y = images(6), images(6).flip(0)
    y[2] = x[2]
    first = seeded(transform, x, 3)
    assert torch.equal(first, seeded(transform, x, 3)) and not torch.equal(first, seeded(transform, x, 4))
    assert torch.equal(first[2], seeded(transform, y, 3)[2])
    same = seeded(transform, x[:1].expand(6, -1, -1, -1), 3)
    assert len({tuple(image.flatten().tolist()) for image in same}) > 3  # each has a draw of its own


@pytest.mark.slow
@pytest.mark.parametrize(
    "transform,channels,size", [(DiffAugment(ALL), 2, 4), (shift_and_flip, 1, 8)], ids=["DiffAugment", "shift_and_flip"]
)
def test_gradients_are_those_of_finite_differences(transform, channels, size):
    """The second ones too, which R1 of altered images needs."""
    x = images(2, channels, size, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: seeded(transform, x), x)
    assert torch.autograd.gradgradcheck(lambda x: seeded(transform, x).pow(3), x)


def test_unknown_words_are_refused():
    assert DiffAugment(" color, cutout ").policy == "color,cutout"
    with pytest.raises(ValueError, match="no augmentation named 'colour'; choose from color, translation, cutout"):
        DiffAugment("colour,cutout")


@pytest.mark.parametrize("flipped", [False, True])
def test_a_shift_is_whole_pixels_of_the_mirrored_image(flipped):
    x, seen = images(400, 2, 16), set()
    y = seeded(shift_and_flip, x, flip=flipped)
    for image, altered in zip(x, y, strict=True):
        found = []
        for mirror in (False, True):
            padded = torch.nn.functional.pad(image.flip(2) if mirror else image, (2, 2, 2, 2), mode="reflect")
            found += [
                (mirror, i, j)
                for i in range(5)
                for j in range(5)
                if torch.equal(padded[:, i : i + 16, j : j + 16], altered)
            ]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) == (50 if flipped else 25) and any(mirror for mirror, _, _ in seen) == flipped


def test_places_are_reflected_without_repeating_the_edge():
    assert reflected(torch.arange(-2, 6), 4).tolist() == [2, 1, 0, 1, 2, 3, 2, 1]
