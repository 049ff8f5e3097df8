import pytest
import torch

from networks import channels_at, define
from networks.heads import StridedConv, unit

SAMPLING = ["mlp_sample", "sample", "reshape", "global_pool", "strided_conv"]


def features():
    return [torch.randn(2, 3, 9, 7), torch.randn(2, 5, 4, 4)]


def head(name):
    return define("F", name, channels=[3, 5], dim=6)


@pytest.mark.parametrize("name", SAMPLING)
def test_heads_share_a_call_and_give_unit_vectors(name):
    F, maps = head(name), features()
    ids = F.sample_ids(maps, 4)
    for feature, rows in zip(maps, F(maps, ids), strict=True):
        S = {"reshape": 16, "global_pool": 1}.get(name, 4)
        assert rows.shape == (2, S, 6 if name in ("mlp_sample", "strided_conv") else feature.shape[1])
        torch.testing.assert_close(rows.norm(dim=2), torch.ones(2, S), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name,every", [("mlp_sample", [63, 16]), ("strided_conv", [20, 4])])
def test_locations_are_distinct_and_inside(name, every):
    F, maps = head(name), features()
    for count, expected in ((0, every), (1000, every), (4, [4, 4])):
        ids = F.sample_ids(maps, count)
        assert [len(set(rows.tolist())) for rows in ids] == expected
        assert all(rows.max() < n for rows, n in zip(ids, every, strict=True))
        F(maps, ids)


def test_a_row_of_zeros_has_a_finite_gradient():
    x = torch.zeros(2, 4, requires_grad=True)
    unit(x).sum().backward()
    assert not unit(x).any() and x.grad.isfinite().all()


def test_a_head_that_answers_zero_has_a_finite_gradient():
    F, maps = head("mlp_sample"), [f.requires_grad_() for f in features()]
    for p in F.parameters():
        p.data.zero_()
    sum(rows.sum() for rows in F(maps, F.sample_ids(maps, 4))).backward()
    assert all(f.grad.isfinite().all() for f in maps) and all(p.grad.isfinite().all() for p in F.parameters())


def test_global_pool_is_the_largest_value():
    maps = features()
    for feature, rows in zip(maps, head("global_pool")(maps, None), strict=True):
        torch.testing.assert_close(rows[:, 0], unit(torch.stack([f.flatten(1).max(1).values for f in feature])))


def test_strided_conv_centres_by_the_mean_of_its_calls():
    F, outputs = StridedConv([3], 6), []
    for _ in range(3):
        x = torch.randn(2, 3, 8, 8)
        outputs.append(F.conv_0(x).mean((0, 2, 3)))
        F([x], F.sample_ids([x], 4))
    torch.testing.assert_close(F.centre_0, torch.stack(outputs).mean(0))
    F.eval()([torch.randn(2, 3, 8, 8)], [torch.arange(4)])
    assert F.calls == 3


@pytest.mark.parametrize("shape", [(4, 256, 256), (1, 4, 256, 256), (3, 4, 16, 9)])
def test_mapping_takes_stacks_of_any_size(shape):
    F = define("F", "mapping", n_layers=4)
    vectors = F(torch.randn(shape))
    assert vectors.shape == (shape[0] if len(shape) == 4 else 1, 64)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5, rtol=0)
    assert sum(p.numel() for p in F.parameters()) == 10_688  # recorded from DCLGAN


@pytest.mark.parametrize(
    "name,taps,channels",
    [
        ("resnet_4blocks", ["pixels", "down1", "res1"], [3, 8, 16]),
        ("unet_256", ["pixels", "down1", "down8"], [3, 4, 32]),
        ("stylegan2", [0, 2, 4], [3, 16, 16]),
    ],
)
def test_channels_are_found_without_arithmetic(name, taps, channels):
    G = define("G", name, input_nc=3, output_nc=3, ngf=4)
    state = torch.get_rng_state()
    assert channels_at(G, taps, 3) == channels
    assert torch.equal(state, torch.get_rng_state()) and next(G.parameters()).device.type == "cpu"
