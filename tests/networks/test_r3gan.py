"""R3GAN's networks beyond what recordings show: sizes, their start, heads of other methods, spectral norm."""

import math

import pytest
import torch

import networks
from networks.discriminator import Discriminator, LogitHead, ProjectionHead
from networks.r3gan import GAIN, Block, groups_of
from networks.r3gan_discriminator import R3GANHead
from networks.spectral import spectral_norm


def build(size, width=8, **more):
    G = networks.define("latent_G", "r3gan", size=size, channels=1, classes=3, z_dim=4, ngf=width)
    return G, networks.define("latent_D", "r3gan", size=size, channels=1, ndf=width, **more)


@pytest.mark.parametrize("size", [8, 28, 48, (16, 32), 64])
def test_sizes(size):
    G, D = build(size)
    x = G(torch.randn(2, 4), torch.tensor([0, 2]))
    assert x.shape[2:] == ((size, size) if isinstance(size, int) else size)
    local, pooled = D(x)
    assert pooled.shape == (2, D.features) and local.shape[1] == D.local_channels


@pytest.mark.parametrize("size", [9, 31, 50])
def test_sizes_that_no_stages_make(size):
    with pytest.raises(ValueError, match=f"{size} pixels"):
        build(size)


def test_a_block_begins_as_the_identity_and_the_rest_keeps_its_variance():
    torch.manual_seed(0)
    block, x = Block(64, groups_of(128), 2, blocks=8), torch.randn(4, 64, 8, 8)
    assert torch.equal(block(x), x) and groups_of(1536) == 96 and groups_of(44) == 2
    weight = block.LinearLayer2.Layer.weight  # gain L^(-1 / (2 m - 2)) of m = 3 layers, L blocks
    assert weight.std().item() == pytest.approx(GAIN * 8**-0.25 / math.sqrt(weight[0].numel()), rel=0.05)


def test_heads_of_other_methods_are_drawn_as_the_trunk_and_its_own_keeps_its_start():
    torch.manual_seed(0)
    _, trunk = build(8, width=256)
    D = Discriminator(trunk, {"logit": ProjectionHead(256, 10), "plain": LogitHead(256), "own": R3GANHead(256, 10, 64)})
    assert D.heads["logit"].embedding.weight.std().item() == pytest.approx(1 / 16, rel=0.1)
    assert D.heads["plain"].linear.bias.item() == 0
    assert D.heads["own"].embedding.weight.std().item() == pytest.approx(1 / math.sqrt(64 * 10), rel=0.15)


def test_spectral_norm_and_a_reference_leave_it_finite():
    G, D = build(16, reference=True)
    D = spectral_norm(D)
    x = G(torch.randn(2, 4), torch.tensor([0, 2]))
    assert all(out.isfinite().all() for out in D(x, x.flip(0)))
    with pytest.raises(ValueError, match="none was given"):
        D(x)
