"""SimCLR's augmentation: what it may change, what it leaves, and that a gradient goes through."""

import math

import torch

from networks.simclr_augment import SimCLRAugment, turned


def images(count=6, channels=3):
    return torch.rand(count, channels, 16, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_without_anything_it_is_the_image():
    x = images()
    torch.testing.assert_close(SimCLRAugment(crop=1.0, jitter=0.0, mirror=False).framed(x, *torch.full((5, 6), 0.5)), x)
    mirrored = SimCLRAugment(crop=1.0, jitter=0.0).framed(x, *torch.full((4, 6), 0.5), torch.zeros(6))
    torch.testing.assert_close(mirrored, x.flip(3))


def test_a_crop_has_its_area_and_lies_inside():
    ramp = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    u = torch.tensor([0.0])
    half = torch.tensor([0.5])
    x = SimCLRAugment(crop=0.25, jitter=0.0, mirror=False).framed(ramp, u, half, u, half, half)
    assert x.shape == ramp.shape and abs((x.max() - x.min()).item() - 1.0) < 0.1  # half of the width
    assert x.min() == -1  # at the left end


def test_colours_turn_about_grey_and_one_in_five_is_grey():
    x = images()
    third = torch.full((6, 1, 1, 1), 2 * math.pi / 3)
    torch.testing.assert_close(turned(x, third), x.roll(1, 1))
    torch.testing.assert_close(turned(x, 0 * third), x)
    torch.manual_seed(0)
    many = SimCLRAugment(crop=1.0)(images(1).expand(2000, -1, -1, -1))
    grey = (many.amax(1) - many.amin(1)).flatten(1).amax(1) < 1e-6
    assert abs(grey.float().mean().item() - 0.2) < 0.03


def test_black_stays_black_and_one_channel_keeps_what_is_of_colours():
    black = -torch.ones(4, 1, 8, 8)
    torch.testing.assert_close(SimCLRAugment(jitter=1.0)(black), black)


def test_a_gradient_goes_through_and_precision_and_shape_stay():
    augment = SimCLRAugment()
    for channels in (1, 3):
        x = images(channels=channels).requires_grad_()
        (gradient,) = torch.autograd.grad(augment(x).sum(), x)
        assert gradient.abs().flatten(1).sum(1).min() > 0
        assert augment(x.bfloat16()).dtype == torch.bfloat16
    with torch.device("meta"):
        assert augment(torch.empty(2, 3, 8, 8)).shape == (2, 3, 8, 8)
