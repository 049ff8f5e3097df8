"""zi2zi's networks: published sizes, shapes, styles that can be mixed."""

import pytest
import torch

from networks import init_weights
from networks.warp import affine_maps, random_warp, splice, warp
from networks.zi2zi import GlyphDiscriminator, GlyphExtractor, SelfAttention, StyleUnet


def millions(network):
    return sum(p.numel() for p in network.parameters()) / 1e6


def small(size=32, **more):
    torch.manual_seed(0)
    return StyleUnet(1, 1, size, **(dict(ngf=4, widest=8, styles=3, style_dim=5, dropout=0.0) | more))


def test_parameter_counts_are_the_published_ones():
    # EuphoriaYan/zi2zi-pytorch: 55.46 M and 4.36 M; max32002/zi2zi-pytorch: 66.26 M. Biases before a batch norm, which
    # the first has not, are 7 thousand.
    with torch.device("meta"):
        assert millions(StyleUnet(1, 1, 256)) == pytest.approx(55.46, abs=0.008)
        fork = StyleUnet(1, 1, 256, up="shuffle", skip="add", self_attention=True, norm="instance")
        assert millions(fork) == pytest.approx(66.26, abs=0.005)
        assert millions(GlyphDiscriminator(2, 256, 64, "narrow")) == pytest.approx(4.36, abs=0.005)


@pytest.mark.parametrize("more", [dict(norm="style"), dict(up="shuffle", skip="add", norm="instance")])
def test_the_first_images_do_not_saturate(more):
    # Kaiming's fan of a transposed convolution is that of its outputs: with one channel tanh is at -1 in every fourth
    # pixel of a white page, from where no gradient comes back.
    netG = init_weights(small(64, ngf=32, widest=128, **more), "kaiming")
    page, style = torch.ones(4, 1, 64, 64), torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        before = netG(page, style)[0].abs().max()
        netG.start_grey()
        after = netG(page, style)[0].abs().max()
    assert after < 0.95 and (before > 0.9999 or more.get("up") == "shuffle")


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize(
    "more",
    [
        {},
        dict(kernel=5, norm_code=True),
        dict(norm="instance", skip="add", up="shuffle", self_attention=True),
        dict(norm="style", blocks=1),
        dict(norm="none"),
    ],
    ids=["parent", "tian", "fork", "ours", "plain"],
)
def test_one_pixel_at_the_bottom_at_every_size(size, more):
    G = small(size, **more)
    x, style = torch.randn(2, 1, size, size), torch.tensor([0, 1, 2, 0, 1, 2])
    image, code = G(x, style)
    assert image.shape == (6, 1, size, size) and image.abs().max() <= 1
    assert code.shape == (2, min(8, 4 * size)) and torch.equal(G.eval()(x), G(x, style)[1])
    image.sum().backward()
    assert all(p.grad is not None for p in G.down.parameters())


def test_sizes_that_have_no_bottom():
    for size, bottom in ((8, 1), (96, 1), (100, 1), (64, 3), (16, 8), (64, 128)):
        with pytest.raises(ValueError, match=f"{size} pixels: a power of two"):
            StyleUnet(1, 1, size, bottom=bottom)


def test_twice_the_size_with_twice_the_bottom_has_the_same_weights():
    one, other = (small(size, bottom=bottom, norm="style", blocks=1) for size, bottom in ((64, 1), (128, 2)))
    other.load_state_dict(one.state_dict())
    assert other(torch.zeros(1, 1, 128, 128), torch.tensor([0]))[0].shape == (1, 1, 128, 128)


def test_a_wider_bottom_sees_less_of_the_glyph():
    x = torch.zeros(1, 1, 64, 64)
    far = x.clone()
    far[..., :4, :4] = 1
    for bottom, same in ((1, False), (8, True)):
        G = small(64, bottom=bottom, norm="none").eval()
        image, code = G(x, torch.tensor([0]))
        assert code.shape == (1, 8 * bottom**2) and image.shape == x.shape
        changed = (G(far, torch.tensor([0]))[0] - image).abs()[..., 48:, 48:].max().item() > 1e-7
        assert changed != same


@pytest.mark.parametrize("norm", ["style", "batch", "instance"])
def test_a_label_is_a_weight_of_one_and_styles_mix_linearly_in_the_table(norm):
    G = small(norm=norm, blocks=1).eval()
    for table in (m for m in G.modules() if type(m).__name__ == "StyleTable"):
        torch.nn.init.normal_(table.weight)
    x, label = torch.randn(3, 1, 32, 32), torch.tensor([2, 0, 1])
    assert torch.allclose(G(x, label)[0], G(x, torch.eye(3)[label])[0], atol=1e-6)
    half = G(x[:1], torch.tensor([[0.5, 0.5, 0.0]]))[0]
    assert not torch.allclose(half, G(x[:1], label[1:2])[0], atol=1e-4)
    with torch.no_grad():  # a style whose rows are the mean of two others is their half-way mixture
        for table in (m for m in G.modules() if type(m).__name__ == "StyleTable"):
            table.weight[2] = (table.weight[0] + table.weight[1]) / 2
    assert torch.allclose(half, G(x[:1], torch.tensor([2]))[0], atol=1e-6)


def test_styles_of_one_glyph_share_its_way_down():
    G = small(norm="style", blocks=1).eval()
    x, style = torch.randn(2, 1, 32, 32), torch.tensor([0, 1, 1, 2])
    together, alone = G(x, style)[0], G(x.repeat_interleave(2, 0), style)[0]
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_fixed_table_does_not_learn_and_its_scale_is_as_asked():
    G = StyleUnet(1, 1, 32, ngf=4, widest=8, styles=500, style_dim=64, style_std=0.01, fixed_styles=True)
    init_weights(G, "normal", 0.02)
    assert G.styles.weight.std() == pytest.approx(0.01, rel=0.02) and not G.styles.weight.requires_grad


def test_attention_begins_as_nothing_and_looks_everywhere():
    layer, x = SelfAttention(16), torch.randn(2, 16, 4, 4)
    assert torch.equal(layer(x), x)
    torch.nn.init.ones_(layer.gamma)
    q, k, v = (f(x).flatten(2) for f in (layer.query, layer.key, layer.value))
    weights = (q.transpose(1, 2) @ k / q.shape[1] ** 0.5).softmax(2)  # (B, places, places)
    expected = x + (v @ weights.transpose(1, 2)).view_as(x)
    assert torch.allclose(layer(x), expected, atol=1e-5)
    with torch.device("meta"):
        assert [type(m).__name__ for m in StyleUnet(1, 1, 256, self_attention=True).modules()].count(
            "SelfAttention"
        ) == 2


@pytest.mark.parametrize("kind", ["patch", "narrow", "whole"])
def test_a_discriminator_answers_both_questions(kind):
    D = GlyphDiscriminator(2, 64, 4, kind, styles=7)
    binary, category = D(torch.randn(3, 2, 64, 64))
    assert category.shape == (3, 7) and binary.shape == ((3, 1, 8, 8) if kind == "patch" else (3, 1))


def test_an_extractor_gives_two_vectors_at_any_size():
    F = GlyphExtractor(1, 8, 16)
    content, style = F(torch.randn(5, 1, 64, 64))
    assert content.shape == style.shape == (5, 16)
    content, style = GlyphExtractor(1, 8, 16)(torch.randn(2, 1, 32, 32))
    assert content.shape == (2, 16)


def test_a_warp_moves_all_channels_alike_and_is_none_without_strength():
    torch.manual_seed(0)
    x = torch.rand(3, 1, 32, 32).repeat(1, 4, 1, 1)
    assert torch.allclose(random_warp(x), x, atol=1e-5)
    torch.manual_seed(1)
    y = random_warp(x, scale=0.2, rotate=10, shear=0.1, shift=0.1, elastic=2.0)
    assert all(torch.equal(y[:, 0], y[:, c]) for c in range(4)) and not torch.allclose(y, x, atol=0.1)
    torch.manual_seed(1)
    assert torch.equal(y, random_warp(x, scale=0.2, rotate=10, shear=0.1, shift=0.1, elastic=2.0))


def test_a_warp_is_computed_in_float32_whatever_surrounds_it():
    x, strength = torch.rand(2, 1, 64, 64), dict(scale=0.2, rotate=10, shear=0.1, shift=0.1, elastic=2.0)
    torch.manual_seed(1)
    expected = random_warp(x, **strength)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(random_warp(x, **strength), expected)


def test_a_warp_of_a_shift_is_that_shift():
    x = -torch.ones(200, 1, 64, 64)
    x[:, :, 28:36, 28:36] = 1
    torch.manual_seed(0)
    y = (random_warp(x, shift=0.1) + 1) / 2  # at most 6.4 pixels
    at = torch.arange(64.0)
    centre = (y.sum((1, 2)) * at).sum(1) / y.sum((1, 2, 3))
    assert centre.min() == pytest.approx(31.5 - 6.4, abs=0.3) and centre.max() == pytest.approx(31.5 + 6.4, abs=0.3)


def test_spliced_images_are_halves_of_two_cut_alike_in_all_channels():
    x = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 2, 16, 16)
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        y = splice(x)
        assert torch.equal(y[:, 0], y[:, 1])
        assert all(set(y[i].unique().tolist()) == {float(i), float((i - 1) % 3)} for i in range(3))
        rows, columns = (y[0, 0] == 0).all(1), (y[0, 0] == 0).all(0)
        kept = rows if rows.any() else columns
        assert 4 <= kept.sum() <= 12 and torch.equal(kept, torch.arange(16) < kept.sum())
        seen.add("across" if rows.any() else "down")
    assert seen == {"across", "down"}


def test_a_map_and_its_inverse_lead_back():
    matrix = affine_maps(torch.rand(1, 6, generator=torch.Generator().manual_seed(3)), 0.1, 5, 0.05, 0.03)[0]
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image = (((x - 31.5) ** 2 + (y - 25) ** 2) / 80 - 1).tanh()[None, None]
    moved = warp(image, matrix)
    assert (moved - image).abs().max() > 0.3 and (warp(moved, torch.linalg.inv(matrix)) - image).abs().max() < 0.03
    identity = affine_maps(torch.full((1, 6), 0.5), 0.1, 5, 0.05, 0.03)[0]
    assert torch.equal(identity, torch.eye(3)) and torch.allclose(warp(image, identity), image, atol=1e-5)
