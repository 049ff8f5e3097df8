"""Discriminators of several scales, and methods that train with them."""

import pytest
import torch

import networks
from models.losses import gan_loss, gradient_penalty, r1_penalty
from tests.models.test_cut import batch, build, step


def multiscale(scales=2):
    torch.manual_seed(0)
    return networks.define("D", "multiscale", input_nc=3, ndf=4, n_layers=2, scales=scales)


def test_each_scale_sees_half_of_the_last():
    D, x = multiscale(3), torch.randn(2, 3, 64, 64)
    logits = D(x)
    assert [tuple(y.shape[2:]) for y in logits] == [tuple(D.scale0(x[..., ::k, ::k]).shape[2:]) for k in (1, 2, 4)]
    torch.testing.assert_close(logits[0], D.scale0(x))
    assert len(D.features(x)) == 3 * 3
    torch.testing.assert_close(D.scale0.model[-1](D.features(x)[2]), logits[0])


def test_scales_count_alike():
    D, x = multiscale(), torch.randn(2, 3, 32, 32)
    each = [gan_loss(y, True, "lsgan", for_D=True) for y in D(x)]
    torch.testing.assert_close(gan_loss(D(x), True, "lsgan", for_D=True), torch.stack(each).mean())
    one = r1_penalty(x, lambda image: torch.cat([y.flatten() for y in D(image)]))
    torch.testing.assert_close(r1_penalty(x, D), one)
    assert gradient_penalty(x, x.flip(0), D).isfinite()


@pytest.mark.parametrize("words", [(), ("--gan_mode", "wgangp", "--lambda_r1", "1"), ("--precision", "bf16")])
def test_any_method_trains_with_it(words):
    model, engine = build("--netD", "multiscale", *words)
    step(model, engine, batch(2))
    assert all(torch.isfinite(value) for value in model.losses.values())
