"""BigGAN's generator and the trunk of its discriminator, as ContraGAN uses them."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from networks import define, init_weights
from networks.biggan import UpBlock, ladder
from networks.biggan_discriminator import DownBlock, FirstBlock
from networks.conditional_norm import ConditionalBatchNorm
from networks.spectral import matrices, spectral_norm

CHUNKS = {32: 4, 48: 4, 64: 5, 96: 5, 128: 6, 192: 6}

# Printed by ContraGAN's code (StudioGAN) for CIFAR-10, Tiny-ImageNet and ImageNet, and counted in it for larger images:
# pixels, classes, values of noise, channels, values of an embedding, parameters of G, of D.
COUNTS = [
    (32, 10, 80, 96, 512, 9_416_196, 2_517_186),
    (64, 200, 100, 80, 768, 17_335_204, 31_678_130),
    (128, 1000, 120, 96, 1536, 70_433_988, 90_343_202),
    (256, 1000, 140, 96, 1536, 82_235_844, 101_586_722),
    (512, 1000, 128, 96, 1536, 82_296_804, 101_762_114),
]


def build_G(size=32, classes=3, ngf=8, **more):
    arguments = dict(size=size, channels=3, classes=classes, z_dim=2 * CHUNKS.get(size, 4), ngf=ngf, shared_dim=4)
    return define("latent_G", "biggan", **(arguments | more))


def build_D(size=32, ndf=4, **more):
    return define("latent_D", "biggan", **(dict(size=size, channels=3, ndf=ndf) | more))


def count(*networks):
    return sum(p.numel() for network in networks for p in network.parameters())


@pytest.mark.parametrize("size,classes,z_dim,width,embedding,of_G,of_D", COUNTS)
def test_parameters_are_as_many_as_published(monkeypatch, size, classes, z_dim, width, embedding, of_G, of_D):
    for draw in ("normal_", "orthogonal_"):  # on "meta" they load a compiler, which takes seconds
        monkeypatch.setattr(nn.init, draw, lambda weight, *_: weight)
    with torch.device("meta"):
        G = build_G(size, classes, width, z_dim=z_dim, shared_dim=128, sn_G=False)
        D = build_D(size, width)
        heads = nn.Linear(D.features, 1), nn.Linear(D.features, embedding), nn.Embedding(classes, embedding)
    assert (count(G), count(D, *heads)) == (of_G, of_D)


def test_spectral_norm_adds_no_parameters():
    assert count(build_G(sn_G=True)) == count(build_G(sn_G=False))


def test_every_layer_of_a_generator_is_bounded_but_the_shared_embedding():
    G = build_G()
    layers = [(name, m) for name, m in G.named_modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert [name for name, m in layers if not parametrize.is_parametrized(m, "weight")] == ["shared"]
    assert len(matrices(G)) == len(layers) - 1


@pytest.mark.parametrize("size,expected", [(32, (4, 3)), (48, (6, 3)), (64, (4, 4)), (96, (6, 4)), (128, (4, 5))])
def test_ladders_double_the_smallest_map(size, expected):
    assert ladder(size) == expected and expected[0] * 2 ** expected[1] == size


@pytest.mark.parametrize("size", [1, 28, 40, 200, 1024])
def test_a_size_without_a_ladder_is_told_which_have_one(size):
    for build in (build_G, build_D):
        with pytest.raises(ValueError, match=rf"{size} pixels; choose from \[32, 48, .* 384, 512, 768\]"):
            build(size)


@pytest.mark.parametrize(
    "size,z_dim,near", [(32, 81, "80 or 84"), (64, 128, "125 or 130"), (128, 5, "6"), (32, 0, "4")]
)
def test_noise_that_is_not_cut_evenly_is_told_what_is(size, z_dim, near):
    with pytest.raises(ValueError, match=f"{z_dim} values .* {CHUNKS[size]} equal chunks .*; use {near}$"):
        build_G(size, z_dim=z_dim)


@pytest.mark.parametrize("size", CHUNKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_features_have_their_sizes(size, channels):
    more = dict(channels=channels, attention=size < 192)  # its shares take 170 MB there
    G, D = build_G(size, ngf=1, sn_G=False, **more), build_D(size, 1, **more)
    images = G(torch.randn(2, G.z_dim), torch.tensor([0, 2]))
    assert images.shape == (2, channels, size, size) and images.abs().max() <= 1
    local, pooled = D(images)
    side = {32: 8, 48: 12, 64: 4, 96: 6, 128: 4, 192: 6}[size]
    assert local.shape == (2, D.local_channels, side, side) and pooled.shape == (2, D.features)
    assert D.local_channels == D.features == (2 if size < 64 else 16)
    torch.testing.assert_close(pooled, local.sum((2, 3)))
    assert local.min() == 0


@pytest.fixture
def without_drawing(monkeypatch):
    for draw in ("normal_", "orthogonal_", "xavier_uniform_"):  # on "meta" they load a compiler, which takes seconds
        monkeypatch.setattr(nn.init, draw, lambda weight, *_: weight)


@pytest.mark.parametrize("name, place", [("biggan", 64), ("biggan_brock", 64), ("sngan", 32)])
@pytest.mark.parametrize("size", [256, 512])
def test_large_images_attend_to_a_map_that_fits(without_drawing, name, place, size):
    """At the published width, without memory: 4096 places attend to 1024, as at 128 pixels."""
    sides = []
    with torch.device("meta"):
        G = define("latent_G", name, size=size, channels=3, classes=0, z_dim=280, ngf=64, sn_G=False, attention=True)
        D = define("latent_D", name, size=size, channels=3, ndf=64, attention=True)
        for m in (G.attention, D.attention):
            m.register_forward_hook(lambda m, args, out: sides.append(out.shape[2]))
        local, pooled = D(G(torch.empty(2, 280)))
    assert sides == [place, place]
    assert local.shape == (2, 1024, 4, 4) and pooled.shape == (2, 1024)


def test_the_ladder_at_256_pixels_is_brocks(without_drawing):
    """Counted in Brock's own code for ImageNet, width 96: its D has a projection of 1000 classes."""
    with torch.device("meta"):
        more = dict(size=256, channels=3)
        G = define("latent_G", "biggan_brock", classes=1000, z_dim=140, ngf=96, sn_G=False, **more)
        D = define("latent_D", "biggan_brock", ndf=96, **more)
        heads = nn.Linear(D.features, 1), nn.Embedding(1000, D.features)
    assert (count(G), count(D, *heads)) == (82_235_844, 99_225_890)


def test_a_generator_says_what_it_takes():
    G = build_G(size=64, classes=5)
    assert (G.z_dim, G.classes, G.size, G.channels) == (10, 5, 64, 3)


def test_weights_of_one_class_are_its_label():
    G, z, y = build_G().eval(), torch.randn(3, 8), torch.tensor([2, 0, 1])
    torch.testing.assert_close(G(z, F.one_hot(y, 3).float()), G(z, y))
    mixed = G(z, torch.tensor([[0.5, 0.5, 0.0]] * 3))
    assert not torch.allclose(mixed, G(z, torch.zeros(3, dtype=torch.long)))


def test_a_class_matters_and_its_absence_is_named():
    G, z = build_G().eval(), torch.randn(2, 8)
    assert not torch.allclose(G(z, torch.tensor([0, 0])), G(z, torch.tensor([1, 1])))
    with pytest.raises(ValueError, match="3 classes"):
        G(z)


def test_without_classes_noise_alone_conditions_the_norms():
    G, z = build_G(classes=0).eval(), torch.randn(2, 8)
    assert not any("shared" in name for name, _ in G.named_parameters())
    other = z.clone()
    other[:, 2:4] += 1  # the first block's chunk
    assert not torch.allclose(G(z), G(other))


def test_gradients_reach_all_noise_the_embedding_and_all_else():
    G, z = build_G(), torch.randn(4, 8, requires_grad=True)
    G.attention.weight.data.fill_(0.5)
    G(z, torch.tensor([0, 1, 1, 0])).square().sum().backward()
    assert (z.grad.abs().sum(0) > 0).all()
    assert (G.shared.weight.grad.abs().sum(1) > 0).tolist() == [True, True, False]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in G.parameters())


@pytest.mark.slow
def test_evaluation_is_deterministic_and_copies_agree():
    G, D, z, y = build_G().eval(), spectral_norm(build_D()).eval(), torch.randn(2, 8), torch.tensor([0, 1])
    images = G(z, y)
    assert torch.equal(images, G(z, y)) and torch.equal(images, copy.deepcopy(G)(z, y))
    assert torch.equal(D(images)[1], copy.deepcopy(D)(images)[1])
    assert torch.equal(G(z[:1], y[:1]), images[:1]) or torch.allclose(G(z[:1], y[:1]), images[:1], atol=1e-6)


@pytest.mark.parametrize("sn_G", [True, False])
def test_low_precision_is_close(sn_G):
    torch.manual_seed(0)
    G, D, z, y = build_G(sn_G=sn_G).eval(), build_D().eval(), torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    with torch.autocast("cpu", torch.bfloat16):
        images = G(z, y)
        local, pooled = D(images)
    assert images.dtype == local.dtype == torch.bfloat16
    torch.testing.assert_close(images.float(), G(z, y), rtol=0.1, atol=0.05)
    torch.testing.assert_close(pooled.float(), D(images.float())[1], rtol=0.1, atol=0.1 * pooled.abs().max().item())


def test_weights_start_orthogonal_and_keep_it():
    G, D = build_G(sn_G=False), build_D()
    for layer in (G.first, G.shared, G.blocks[0].conv1, D.body[0].conv2, D.attention.query):
        w = layer.weight.detach().flatten(1)
        w = w if w.shape[0] <= w.shape[1] else w.T
        torch.testing.assert_close(w @ w.T, torch.eye(len(w)), atol=1e-5, rtol=0)
    assert not any(p.any() for n, p in D.named_parameters() if n.endswith("bias"))
    before = G.first.weight.clone()
    assert torch.equal(init_weights(G).first.weight, before) and D.own_init


def test_a_norm_scales_by_one_more_than_its_gain():
    norm, x, a = ConditionalBatchNorm(3, 2), torch.randn(4, 3, 5, 5), torch.randn(4, 2)
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    expected = (x - mean) / (var + 1e-4).sqrt()
    expected = expected * (1 + norm.gain(a))[:, :, None, None] + norm.bias(a)[:, :, None, None]
    torch.testing.assert_close(norm(x, a), expected)
    assert torch.equal(norm(x, torch.zeros(4, 2)), norm.norm(x))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_block_up_is_the_published_order(mode):
    block, x, a = UpBlock(3, 2, lambda n: ConditionalBatchNorm(n, 2), mode), torch.randn(2, 3, 4, 4), torch.randn(2, 2)

    def up(x):
        return F.interpolate(x, scale_factor=2, mode=mode)

    y = block.conv2(block.norm2(block.conv1(up(block.norm1(x, a).relu())), a).relu())
    torch.testing.assert_close(block(x, a), y + block.shortcut(up(x)))


@pytest.mark.parametrize("out,down", [(3, True), (2, False), (3, False)])
def test_a_block_down_is_the_published_order(out, down):
    block, x = DownBlock(2, out, hidden=5, down=down), torch.randn(2, 2, 4, 4)
    before = x.clone()
    y = block.conv2(block.conv1(x.relu()).relu()) + block.shortcut(x.relu())
    torch.testing.assert_close(block(x), F.avg_pool2d(y, 2) if down else y)
    assert torch.equal(x, before) and isinstance(block.shortcut, nn.Identity) == (not down and out == 2)


def test_the_first_block_sees_the_image_as_it_is():
    block, x = FirstBlock(1, 2), torch.randn(2, 1, 4, 4)
    y = F.avg_pool2d(block.conv2(block.conv1(x).relu()), 2) + block.shortcut(F.avg_pool2d(x, 2))
    torch.testing.assert_close(block(x), y)


@pytest.mark.parametrize("size,after", [(32, 2), (64, 3), (128, 4)])
def test_attention_is_where_the_published_one_is(size, after):
    """After the second block of 32 pixels, and so on, and in D after the first: at half the image's size."""
    G, D, sides = build_G(size, ngf=1, sn_G=False), build_D(size, 1), []
    for m in (G.attention, D.attention, G.blocks[after - 1]):
        m.register_forward_hook(lambda m, args, out: sides.append(out.shape[2]))
    D(G(torch.randn(2, G.z_dim), torch.tensor([0, 1])))
    assert sides == [size // 2] * 3
    assert isinstance(build_D(size, 1, attention=False).attention, nn.Identity)


def test_a_trunk_with_a_reference():
    torch.manual_seed(0)
    D = build_D(reference=True)
    x, r, other = torch.randn(3, 2, 3, 32, 32)
    torch.testing.assert_close(D(x, r)[1], D(x, other)[1])  # at the start
    plain = build_D()
    plain.load_state_dict(D.state_dict())
    D.attention.weight.data.fill_(1.0)
    plain.attention.weight.data.fill_(1.0)
    assert not torch.allclose(D(x, r)[1], D(x, other)[1])
    torch.testing.assert_close(D(x, x)[1], plain(x)[1])  # an image that is its own reference attends to itself
    torch.testing.assert_close(D(x, r)[1][:1], D(x[:1], r[:1])[1])  # images do not mix
    with pytest.raises(ValueError, match="takes a reference image"):
        D(x)
    with pytest.raises(ValueError, match="takes no reference"):
        plain(x, r)


def test_a_references_gradient_is_not_stopped():
    D, x, r = build_D(reference=True), torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32, requires_grad=True)
    D.attention.weight.data.fill_(1.0)
    D(x, r)[1].sum().backward()
    assert r.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["biggan", "sngan"])
def test_a_trunk_has_a_second_derivative(name):
    torch.manual_seed(0)
    D = define("latent_D", name, size=32, channels=1, ndf=4, attention=True).double()
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)
    D.attention.weight.data.fill_(1.0)
    (gradient,) = torch.autograd.grad(D(x)[1].sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in D.parameters() if p.grad is not None)
    assert D.stem[0].conv1.weight.grad.any()
