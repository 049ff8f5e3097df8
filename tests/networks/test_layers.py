import pytest
import torch
import torch.nn.functional as F

from networks.layers import Downsample, Halve, InstanceNorm, Upsample, init_weights
from networks.patchgan import PatchDiscriminator

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def random(*shape, dtype=torch.float64, layout=torch.contiguous_format):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x.to(dtype).contiguous(memory_format=layout)


def as_rows(x):
    """(B, C, H, W) to (B, HW, C), as a patch sampler does it: the gradient comes back in channels-last order."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("batch", [1, 2])
def test_instance_norm_is_its_formula(batch, layout):
    x = random(batch, 3, 5, 4, layout=layout)
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    torch.testing.assert_close(InstanceNorm(3)(x), (x - mean) / (variance + 1e-5).sqrt(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("outgoing", [torch.Tensor.contiguous, as_rows], ids=["image", "rows"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("batch", [1, 2])
def test_instance_norm_has_right_gradients(batch, layout, outgoing):
    """``F.instance_norm`` fails the case of one image and rows on the CPU, in torch 2.11 to 2.15."""
    x = random(batch, 2, 3, 4, layout=layout).requires_grad_()
    norm = InstanceNorm(2)
    assert torch.autograd.gradcheck(lambda x: outgoing(norm(x)), x)
    assert torch.autograd.gradgradcheck(lambda x: outgoing(norm(x)), x)


SIZES = [(8, 8), (7, 5), (2, 3)]


@pytest.mark.parametrize("H,W", SIZES)
def test_downsample_is_a_depthwise_convolution(H, W):
    down, x = Downsample(3).double(), random(2, 3, H, W)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), down.filt, stride=2, groups=3)
    assert down(x).shape == (2, 3, (H + 1) // 2, (W + 1) // 2)
    torch.testing.assert_close(down(x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(down.filt[0, 0] * 16, torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]).double())


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("H,W", [*SIZES, (6, 9)])
def test_downsample_in_low_precision_is_the_same_sum(H, W, layout):
    """In float64, where it can be checked: value, gradient and gradient of the gradient."""
    x = random(2, 3, H, W, layout=layout).requires_grad_()
    torch.testing.assert_close(Halve.apply(x), Downsample(3).double()(x), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(Halve.apply, x)
    assert torch.autograd.gradgradcheck(Halve.apply, x)
    assert Halve.apply(x).is_contiguous(memory_format=layout)


@pytest.mark.parametrize("H,W", [*SIZES, (1, 1)])
def test_upsample_is_a_depthwise_transposed_convolution(H, W):
    up, x = Upsample(3).double(), random(2, 3, H, W)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    expected = F.conv_transpose2d(padded, up.filt, stride=2, padding=2, groups=3)[..., 1:-1, 1:-1]
    assert up(x).shape == (2, 3, 2 * H, 2 * W)
    torch.testing.assert_close(up(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", [Downsample, Upsample])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_resampling_in_low_precision_is_close(layer, dtype):
    x = random(2, 3, 9, 6, dtype=dtype, layout=torch.channels_last)
    low = layer(3)(x)
    assert low.dtype == dtype
    torch.testing.assert_close(low.float(), layer(3)(x.float()), rtol=0.02, atol=0.02)  # a bf16 has 8 bits


@pytest.mark.parametrize("kind", ["normal", "xavier", "kaiming", "orthogonal"])
def test_init_weights_scales_convolutions(kind):
    D = init_weights(PatchDiscriminator(3, 8, norm="batch"), kind, gain=0.02)
    convs = [m for m in D.modules() if isinstance(m, torch.nn.Conv2d)]
    for conv in convs[1:-1]:
        fan_in, fan_out = conv.weight[0].numel(), conv.weight[:, 0].numel()
        std = {
            "normal": 0.02,
            "xavier": 0.02 * (2 / (fan_in + fan_out)) ** 0.5,
            "kaiming": (2 / fan_in) ** 0.5,
            "orthogonal": 0.02 / fan_in**0.5,
        }[kind]
        assert conv.weight.std().item() == pytest.approx(std, rel=0.1)
    assert all(not c.bias.any() for c in convs if c.bias is not None)
