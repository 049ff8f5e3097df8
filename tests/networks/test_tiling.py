"""Tiles make the picture that the whole makes."""

import itertools

import pytest
import torch

import networks
from networks.tiling import Abreast, shares, spans, tiled, whole


def generator(name="resnet_4blocks", **more):
    torch.manual_seed(0)
    given = dict(input_nc=3, output_nc=3, ngf=4, size=64) | more
    return networks.init_weights(networks.define("G", name, **given), "kaiming", 1.0).eval()


def photograph(height, width):
    """Unlike in its parts: dark and smooth above, bright and noisy below."""
    torch.manual_seed(1)
    slope = torch.linspace(-1, 1, height)[:, None]
    return (slope + 0.5 * (slope + 1) * torch.randn(3, height, width)).clamp(-1, 1)[None]


def in_tiles(G, x, tile, overlap):
    bands = tiled(G, lambda t, b, lo, r: x[:, :, t:b, lo:r], x.shape[2], x.shape[3], tile, overlap)
    return torch.cat([band for _, band in bands], 2)


def levels(a, b):
    return (a - b).abs().max().item() * 127.5


@pytest.mark.slow
@torch.inference_mode()
def test_tiles_share_the_statistics_of_the_whole():
    x, G = photograph(241, 162), generator()
    assert levels(in_tiles(G, x, 112, 96), whole(G, x)) < 0.5
    apart = whole(G, x[:, :, :112])
    assert levels(apart[:, :, :56], whole(G, x)[:, :, :56]) > 20  # what tiles by themselves would give


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "none", "instance"])
@torch.inference_mode()
def test_tiles_are_exact_where_the_overlap_is_what_a_pixel_sees(norm):
    x, G = photograph(300, 250), generator(norm=norm, no_antialias=True)  # a pixel sees 46 to each side
    for m in G.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)
    assert levels(in_tiles(G, x, 160, 128), whole(G, x)) < 0.01


@torch.inference_mode()
def test_tiles_of_a_generator_between_the_sides_are_the_whole():
    torch.manual_seed(0)
    G = networks.define("path_G", "adain_resnet_6blocks", input_nc=3, output_nc=3, ngf=4, no_antialias=True)
    networks.init_weights(G, "kaiming", 1.0).eval()
    x = photograph(220, 180)
    assert levels(in_tiles(G, x, 160, 120), whole(G, x)) < 0.1


def test_a_chain_cannot_be_cut():
    G = networks.define("bridge_G", "resnet_6blocks_cond", input_nc=3, output_nc=3, ngf=4)
    with pytest.raises(ValueError, match="whole image"):
        in_tiles(G, photograph(64, 64), 32, 8)


@torch.inference_mode()
def test_no_seam_is_seen_with_a_smaller_overlap():
    x, G = photograph(200, 260), generator()
    jumps = [(y[..., 1:] - y[..., :-1]).abs().mean((0, 1, 2)) for y in (in_tiles(G, x, 128, 64), whole(G, x))]
    assert ((jumps[0] - jumps[1]).abs() < 0.05 * jumps[1].mean()).all()  # in every column, seams among them


@torch.inference_mode()
def test_generators_without_instance_norm_are_tiled_too():
    x = photograph(130, 100)
    G = generator("smallstylegan2", ngf=2)
    assert levels(in_tiles(G, x, 64, 32).clamp(-1, 1), whole(G, x).clamp(-1, 1)) < 1
    with pytest.raises(ValueError, match="as a U-Net does, cannot draw in tiles"):
        in_tiles(generator("unet_128"), photograph(300, 300), 256, 128)
    with pytest.raises(ValueError, match="cannot draw in tiles"):
        in_tiles(generator("unet_128", norm="batch"), photograph(300, 300), 256, 128)


def test_tiles_cover_everything_once():
    for length, tile, overlap in ((241, 112, 48), (512, 256, 128), (100, 128, 64), (129, 128, 64)):
        covered = spans(length, tile, overlap, 4)
        assert covered[0][0] == 0 and covered[-1][1] == length
        assert all(a[1] - b[0] >= overlap for a, b in itertools.pairwise(covered))
        parts = [
            (s[0] + b, length if e is None else s[0] + e) for s, (b, e) in zip(covered, shares(covered, 4), strict=True)
        ]
        assert [a for a, _ in parts[1:]] == [b for _, b in parts[:-1]]


@torch.inference_mode()
def test_what_is_kept_between_norms_is_small():
    x, G = photograph(256, 256), generator(ngf=16)
    tiles = Abreast(G, lambda y, z: x, [(0, 256)], [(0, 256)], lambda _: None)
    values = sum(t.numel() for kept in tiles.kept.values() for t in kept)
    assert 0 < values <= 16 / 2 * 256 * 256 and levels(tiles.draw((0, 256), (0, 256)), G(x)) < 0.01
