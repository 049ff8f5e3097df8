"""SNGAN's networks in the sizes of InfoMax-GAN, with that method's heads."""

import copy
from math import sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import define, init_weights
from networks.infomax_heads import GlobalHead, LocalHead
from networks.spectral import spectral_norm

# Of InfoMax-GAN's code (mimicry) for three channels, noise of 128 values and heads of 1024:
# pixels, ngf, ndf, parameters of G, of D with its heads, of the two heads of InfoMax.
COUNTS = [
    (32, 256, 128, 4_276_739, 1_615_233, 561_408),
    (48, 64, 64, 4_878_083, 14_603_521, 4_462_080),
    (64, 64, 64, 12_220_675, 14_603_521, 4_462_080),
    (128, 64, 64, 32_150_787, 35_315_457, 6_297_600),
]
# Pixels -> channels and side of local features, pooled features, in multiples of ndf.
FEATURES = {32: (1, 8, 1), 48: (8, 3, 16), 64: (8, 4, 16), 96: (8, 6, 16), 128: (16, 4, 16), 192: (16, 6, 16)}


def build_G(size=32, classes=0, ngf=4, **more):
    return define("latent_G", "sngan", **(dict(size=size, channels=3, classes=classes, z_dim=6, ngf=ngf) | more))


def build_D(size=32, ndf=4, **more):
    return define("latent_D", "sngan", **(dict(size=size, channels=3, ndf=ndf) | more))


def count(*networks):
    return sum(p.numel() for network in networks for p in network.parameters())


@pytest.mark.parametrize("size,ngf,ndf,of_G,of_D,of_heads", COUNTS)
def test_parameters_are_as_many_as_published(size, ngf, ndf, of_G, of_D, of_heads):
    with torch.device("meta"):
        G, D = build_G(size, ngf=ngf, z_dim=128), build_D(size, ndf)
        heads = LocalHead(D.local_channels), GlobalHead(D.features)
        logit = nn.Linear(D.features, 1)
    assert (count(G), count(D, logit, *heads), count(*heads)) == (of_G, of_D, of_heads)


@pytest.mark.parametrize("size", FEATURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_features_have_their_sizes(size, channels):
    G, D = build_G(size, ngf=1, channels=channels), build_D(size, 2, channels=channels)
    images = G(torch.randn(2, 6))
    assert images.shape == (2, channels, size, size) and images.abs().max() <= 1
    local, pooled = D(images)
    c, side, f = FEATURES[size]
    assert local.shape == (2, 2 * c, side, side) and pooled.shape == (2, 2 * f)
    assert (D.local_channels, D.features) == (2 * c, 2 * f)
    torch.testing.assert_close(pooled, F.relu(D.last(local)).sum((2, 3)))
    assert local.min() == 0


@pytest.mark.parametrize("build", [build_G, build_D])
def test_a_size_without_a_ladder_is_told_which_have_one(build):
    with pytest.raises(ValueError, match=r"100 pixels; choose from \[32, 48, 64, 96, 128, 192, 256, 384, 512, 768\]"):
        build(100)


def test_weights_of_one_class_are_its_label():
    G, z, y = build_G(classes=3).eval(), torch.randn(3, 6), torch.tensor([2, 0, 1])
    torch.testing.assert_close(G(z, y), G(z, torch.tensor([0, 0, 0])))  # all classes start alike
    for block in G.blocks:
        nn.init.normal_(block.norm1.rows)
    torch.testing.assert_close(G(z, F.one_hot(y, 3).float()), G(z, y))
    assert not torch.allclose(G(z, y), G(z, torch.tensor([0, 0, 0])))
    with pytest.raises(ValueError, match="3 classes"):
        G(z)


def test_without_classes_labels_are_not_looked_at():
    G, z = build_G().eval(), torch.randn(2, 6)
    assert torch.equal(G(z), G(z, torch.tensor([0, 1])))


@pytest.mark.parametrize("classes", [0, 2])
def test_gradients_reach_the_noise_and_all_parameters(classes):
    G, z = build_G(classes=classes, attention=True), torch.randn(4, 6, requires_grad=True)
    G.attention.weight.data.fill_(0.5)
    G(z, torch.tensor([0, 1, 1, 0]) if classes else None).square().sum().backward()
    assert z.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in G.parameters())


def test_evaluation_is_deterministic_and_copies_agree():
    G, D, z = build_G().eval(), spectral_norm(build_D()).eval(), torch.randn(2, 6)
    images = G(z)
    assert torch.equal(images, G(z)) and torch.equal(images, copy.deepcopy(G)(z))
    assert torch.equal(D(images)[0], copy.deepcopy(D)(images)[0])


@pytest.mark.parametrize("classes", [0, 2])
def test_low_precision_is_close(classes):
    torch.manual_seed(0)
    G, D, z = build_G(classes=classes).eval(), build_D().eval(), torch.randn(4, 6)
    y = torch.tensor([0, 1, 1, 0]) if classes else None
    with torch.autocast("cpu", torch.bfloat16):
        images = G(z, y)
        local, pooled = D(images)
    assert images.dtype == local.dtype == torch.bfloat16
    torch.testing.assert_close(images.float(), G(z, y), rtol=0.1, atol=0.05)
    torch.testing.assert_close(pooled.float(), D(images.float())[1], rtol=0.1, atol=0.1 * pooled.abs().max().item())


def test_weights_start_uniform_within_xaviers_bounds_and_keep_it():
    G, D = build_G(ngf=32), build_D(ndf=32)
    for layer, gain in (
        (G.first, 1),
        (G.blocks[0].conv1, sqrt(2)),
        (D.body[0].conv2, sqrt(2)),
        (D.body[0].shortcut, 1),
    ):
        fans = sum(layer.weight.shape[:2]) * layer.weight[0, 0].numel()
        assert layer.weight.abs().max().item() == pytest.approx(gain * sqrt(6 / fans), rel=0.02)
        assert not layer.bias.any()
    before = G.first.weight.clone()
    assert torch.equal(init_weights(G).first.weight, before) and D.own_init


@pytest.mark.parametrize("size,side", [(32, 16), (48, 24), (64, 32), (96, 48), (128, 32)])
def test_attention_is_at_half_the_size_and_at_32_pixels_of_128(size, side):
    G, D, sides = build_G(size, ngf=1, attention=True), build_D(size, 1, attention=True), []
    for m in (G.attention, D.attention):
        m.register_forward_hook(lambda m, args, out: sides.append(out.shape[2]))
    D(G(torch.randn(2, 6)))
    assert sides == [side, side]
    assert isinstance(build_G().attention, nn.Identity) and isinstance(build_D().attention, nn.Identity)


def test_a_trunk_with_a_reference():
    torch.manual_seed(0)
    D = build_D(reference=True)
    x, r, other = torch.randn(3, 2, 3, 32, 32)
    torch.testing.assert_close(D(x, r)[1], D(x, other)[1])  # at the start
    D.attention.weight.data.fill_(1.0)
    assert not torch.allclose(D(x, r)[1], D(x, other)[1])
    with pytest.raises(ValueError, match="takes a reference image"):
        D(x)


def test_heads_are_their_formula():
    """W_b ReLU(W_a x) + W_sc x, of every place alike."""
    torch.manual_seed(0)
    local, pooled = torch.randn(2, 5, 3, 2), torch.randn(2, 5)
    of_places, of_all = LocalHead(5, 7), GlobalHead(5, 7)
    found = of_places(local, pooled)
    assert found.shape == (2, 6, 7)
    for head, x, y in ((of_all, pooled, of_all(local, pooled)), (of_places, local[:, :, 1, 0], found[:, 2])):
        hidden = (x @ head.hidden.weight.T + head.hidden.bias).clamp(min=0)
        expected = hidden @ head.out.weight.T + head.out.bias + x @ head.shortcut.weight.T + head.shortcut.bias
        torch.testing.assert_close(y, expected)
