"""Translation structure: what the metric must not see, what it must, and a loop."""

import pytest
import torch
import torch.nn.functional as F

from evaluation.metrics import METRICS
from evaluation.metrics.self_similarity_metric import NOISE
from options import UserError
from tests.evaluation.metrics.glyphs import letters


def value(source, fake):
    metric = METRICS.find("self_similarity")()
    assert metric.against == "source" and metric.better == "lower"
    metric.update(source, fake)
    return metric.compute()["self-similarity"]


def texture(seed=0, size=48):
    """Random, smooth over some pixels, in [-1, 1]."""
    noise = torch.randn(2, 3, size // 4, size // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, scale_factor=4, mode="bicubic").clamp(-2, 2) / 2


def test_a_copied_source_is_0_and_so_are_inversion_and_its_grey_levels():
    source = texture()
    assert value(source, source) == pytest.approx(0, abs=1e-9)
    assert value(source, -source) == pytest.approx(0, abs=1e-9)
    assert value(source, source.mean(1, keepdim=True)) == pytest.approx(0, abs=1e-6)


def test_contrast_and_brightness_hardly_count_and_structure_does():
    source = texture()
    dim, moved, other = 0.5 * source + 0.3, source.roll(6, 3), texture(1)
    seen = [value(source, image) for image in (dim, moved, other)]
    assert seen[0] < 0.02 < 0.3 < seen[1] < seen[2] and seen[2] == pytest.approx(1, abs=0.1)
    half = torch.cat([source[..., :24], -source[..., 24:]], 3)
    assert value(source, half) > 0.5  # it sees that a part is inverted


def test_a_font_keeps_its_letters_better_than_other_letters_do():
    serif, sans = letters("DejaVuSerif"), letters("DejaVuSans")
    assert value(serif, sans) < 0.7 * value(serif, sans.roll(1, 0))


def test_it_is_the_loop_over_patches():
    source, fake = texture(0, 16)[:1], texture(1, 16)[:1]

    def similarities(image):
        grey = image[0].double().mean(0) / 2
        patches = [grey[i : i + 8, j : j + 8].flatten() for i in (0, 4, 8) for j in (0, 4, 8)]
        units = []
        for patch in patches:
            patch = patch - patch.mean()
            units.append(patch / (patch @ patch + 64 * NOISE**2).sqrt())
        return torch.stack([units[i] @ units[j] for i in range(9) for j in range(9) if i != j])

    pair = torch.stack([similarities(source), similarities(fake)])
    assert value(source, fake) == pytest.approx(1 - torch.corrcoef(pair)[0, 1].item(), abs=1e-6)


def test_flat_images_have_no_structure():
    source, flat = texture(), torch.full((2, 3, 48, 48), 0.3)
    assert value(source, flat) == value(flat, source) == 1 and value(flat, -flat) == 0
    faint = flat + 1e-4 * texture(1)  # far below a level of 8 bits
    assert value(flat, faint) == 0


def test_large_images_are_reduced_and_two_sizes_compared_in_the_smaller():
    source = F.interpolate(texture(0, 64), size=(160, 320), mode="bicubic")
    assert value(source, F.interpolate(source, size=(80, 160), mode="bilinear", antialias=True)) < 0.05
    with pytest.raises(UserError, match="12 are the least"):
        value(texture(0, 8), texture(0, 8))
