import pytest
import torch
import torch.nn.functional as F

from networks import define, init_weights
from networks.stylegan2 import BiasedLeakyReLU, Blur, DemodulatedUp, EqualConv, ResBlock, conv_layer, width

# Recorded from the published code: ngf and ndf 64 at 256 pixels, and SinCUT's own sizes.
COUNTS = [
    ("G", "stylegan2", 64, 256, 7_852_420),
    ("G", "smallstylegan2", 64, 256, 3_131_780),
    ("D", "stylegan2", 64, 256, 14_263_105),
    ("D", "tilestylegan2", 64, 256, 14_263_105),
    ("G", "stylegan2", 10, 64, 3_068_404),
    ("D", "stylegan2", 8, 64, 5_885_473),
]


def build(kind, name, channels=4, size=256, **more):
    arguments = {"input_nc": 3, "output_nc": 3, "ngf": channels, "ndf": channels, "size": size} | more
    return define(kind, name, **arguments)


@pytest.mark.parametrize("kind,name,channels,size,count", COUNTS)
def test_parameters_are_as_many_as_published(kind, name, channels, size, count):
    with torch.device("meta"):
        network = build(kind, name, channels, size)
    assert sum(p.numel() for p in network.parameters()) == count


def test_widths_are_the_published_table():
    sizes = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert [width(s, 1.0, cap=512) for s in sizes] == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert [width(s, 4.0, cap=512) for s in sizes] == [512, 512, 512, 512, 1024, 512, 256, 128, 64]
    assert [width(s, 1 / 8, cap=384) for s in sizes] == [384, 256, 128, 64, 32, 16, 8, 4, 2]


def block(name, down=False):
    if not down:
        return [f"{name}.conv{i}.{x}" for i in (1, 2) for x in ("0.weight", "1.bias")]
    return [
        f"{name}.{x}"
        for x in (
            "conv1.0.weight",
            "conv1.1.bias",
            "conv2.0.kernel",
            "conv2.1.weight",
            "conv2.2.bias",
            "skip.0.kernel",
            "skip.1.weight",
        )
    ]


def test_generator_has_the_published_keys():
    state = build("G", "stylegan2", num_downsampling=2).state_dict()
    expected = ["encoder.convs.1.0.weight", "encoder.convs.1.1.bias"]
    expected += [key for i in (2, 3) for key in block(f"encoder.convs.{i}", down=True)]
    expected += [key for i in (4, 5, 6) for key in block(f"encoder.convs.{i}")]
    expected += [key for i in (0, 1, 2) for key in block(f"decoder.convs.{i}")]
    expected += [
        f"decoder.convs.{i}.{x}"
        for i in (3, 4)
        for x in ("conv.weight", "conv.blur.kernel", "noise.weight", "activate.bias")
    ]
    expected += ["decoder.convs.5.0.weight", "decoder.convs.5.1.bias"]
    assert set(state) == set(expected)
    assert state["decoder.convs.3.conv.weight"].shape == (1, 16, 32, 3, 3)  # (1, out, in, 3, 3)
    assert state["encoder.convs.1.1.bias"].shape == (1, 8, 1, 1)
    assert state["encoder.convs.2.skip.0.kernel"].shape == (4, 4)


def test_discriminator_has_the_published_keys():
    expected = [
        "convs.0.0.weight",
        "convs.0.1.bias",
        *block("convs.1", down=True),
        *block("convs.2", down=True),
        "final_conv.0.weight",
        "final_conv.1.bias",
    ]
    expected += [f"final_linear.{i}.{x}" for i in (0, 1) for x in ("weight", "bias")]
    assert set(build("D", "stylegan2", 1, 16).state_dict()) == set(expected)


def test_published_shape_of_a_demodulated_weight_loads_back():
    a, b = DemodulatedUp(3, 2), DemodulatedUp(3, 2)
    state = a.state_dict()
    b.load_state_dict(state, strict=True)
    assert torch.equal(a.weight, b.weight) and state["weight"].ndim == 5
    b.load_state_dict({"weight": a.weight.detach(), "blur.kernel": a.blur.kernel}, strict=True)  # four axes will do


def ramp(size):
    return torch.arange(size, dtype=torch.float64).expand(1, 1, size, size)


@pytest.mark.parametrize("size", [1, 3])
def test_halving_is_centred(size):
    """On a ramp, whose filtered value is its value, output j is what lies between the pixels 2j and 2j + 1."""
    layer = conv_layer(1, 1, size, down=True, activate=False).double()
    layer[1].weight.data.zero_()[0, 0, size // 2, size // 2] = 1 / layer[1].scale
    out = layer(ramp(16))
    assert out.shape == (1, 1, 8, 8)
    torch.testing.assert_close(out[0, 0, 4, 1:-1], 2 * torch.arange(1, 7).double() + 0.5)


def test_doubling_is_centred():
    layer = DemodulatedUp(1, 1).double()
    layer.weight.data.zero_()[0, 0, 1, 1] = 1e6  # demodulated to one
    out = layer(ramp(8))
    assert out.shape == (1, 1, 16, 16)
    torch.testing.assert_close(out[0, 0, 8, 2:-2], (torch.arange(2, 14).double() - 0.5) / 2)


def test_doubling_is_the_demodulated_filter_of_an_image_with_zeros_between():
    layer, x = DemodulatedUp(3, 2).double(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    w = layer.weight / (3 * 9) ** 0.5
    w = torch.stack([row / (row.square().sum() + 1e-8).sqrt() for row in w])  # equation 3, per output channel
    zeros = torch.zeros(2, 3, 8, 10, dtype=torch.float64)
    zeros[..., ::2, ::2] = x
    y = F.conv2d(F.pad(zeros, (2, 1, 2, 1)), w.flip(2, 3))
    binomial = torch.tensor([1, 3, 3, 1]).double()
    kernel = (binomial.outer(binomial) / 16).expand(2, 1, 4, 4)
    torch.testing.assert_close(layer(x), F.conv2d(y, kernel, padding=1, groups=2))


def test_equalised_layers_keep_the_variance():
    x = torch.randn(4, 64, 32, 32)
    assert EqualConv(64, 64, 3)(x).std().item() == pytest.approx(1, abs=0.1)
    assert BiasedLeakyReLU(64)(x).square().mean().item() == pytest.approx(1.04, abs=0.02)  # (1 + 0.2**2) / 2 * 2
    torch.testing.assert_close(BiasedLeakyReLU(64)(x), 2**0.5 * F.leaky_relu(x, 0.2))


@pytest.mark.parametrize("blur", [Blur(2), Blur(1, gain=4.0), Blur(1, stride=2)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_blur_in_low_precision_is_close(blur, dtype):
    x = torch.randn(2, 3, 9, 6).to(dtype)
    assert blur(x).dtype == dtype
    torch.testing.assert_close(blur(x).float(), blur(x.float()), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name,draws", [("stylegan2", True), ("smallstylegan2", False)])
def test_noise_starts_at_zero_and_is_drawn_in_every_pass(name, draws):
    G, x = build("G", name).eval(), torch.randn(1, 3, 16, 16)
    assert torch.equal(G(x), G(x))
    G.decoder.convs[-2].noise.weight.data.fill_(1.0)
    assert torch.equal(G(x), G(x)) != draws
    torch.manual_seed(0)
    first = G(x)
    torch.manual_seed(0)
    assert torch.equal(first, G(x)) and G.per_image  # noise is behind every tap


@pytest.mark.parametrize("name,last", [("stylegan2", "res3"), ("smallstylegan2", "res1")])
def test_taps_are_the_encoder(name, last):
    G = build("G", name, num_downsampling=2)
    assert list(G.tap_names)[:4] == ["pixels", "from_rgb", "down1", "down2"] and list(G.tap_names)[-1] == last
    assert G.stride == 4
    with pytest.raises(ValueError, match=f"no layer 99; choose from pixels, .*{last}, or 0 to {len(G.tap_names) - 1}"):
        G.tap_index(99)


def test_sincut_compares_pixels_and_two_maps_of_160_channels():
    G = build("G", "stylegan2", 10, 64)
    assert [f.shape[1:] for f in G(torch.randn(1, 3, 16, 16), [0, 2, 4], encode_only=True)] == [
        (3, 16, 16),
        (160, 8, 8),
        (160, 8, 8),
    ]


def test_channels_and_sides_are_free():
    G = build("G", "smallstylegan2", input_nc=1, output_nc=4, num_downsampling=0)
    assert G(torch.randn(2, 1, 7, 12)).shape == (2, 4, 7, 12)
    assert build("D", "stylegan2", 1, 16, input_nc=2)(torch.randn(3, 2, 16, 16)).shape == (3, 1)


def test_discriminator_names_the_size_it_takes():
    with pytest.raises(ValueError, match=r"made for images of \(16, 16\) pixels was given \(16, 24\)"):
        build("D", "stylegan2", 1, 20)(torch.randn(1, 3, 16, 24))


@pytest.mark.parametrize("kind", ["G", "D"])
def test_start_is_the_networks_own(kind):
    network = build(kind, "stylegan2", 1, 16)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    assert all(torch.equal(v, before[k]) for k, v in init_weights(network).state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["G", "D"])
def test_gradients_can_be_differentiated(kind):
    """As R1 does with the discriminator's."""
    network = build(kind, "stylegan2", 1, 8).double()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(network, x, fast_mode=True)
    (gradient,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("kind", ["G", "D"])
def test_no_layer_widens_what_autocast_narrowed(kind):
    network, wide = build(kind, "stylegan2", 1, 16), []
    for m in network.modules():
        m.register_forward_hook(lambda m, args, out: wide.append(m) if out.dtype != torch.bfloat16 else None)
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(1, 3, 16, 16))
    assert {type(m) for m in wide} <= {torch.nn.Identity}  # the encoder's first layer is the image


def test_demodulation_keeps_float32_under_autocast():
    layer, x = DemodulatedUp(64, 8), torch.randn(1, 64, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x)
    torch.testing.assert_close(low.float(), layer(x), rtol=0.05, atol=0.03)


# -- the networks again, slowly, from loops and their published weights -------------------------------


def filtered(x, before, after, up=1, down=1, gain=1.0):
    """Zeros between the pixels and around them, the filter pixel by pixel, every ``down``-th value of that."""
    B, C, H, W = x.shape
    wide = x.new_zeros(B, C, H * up, W * up)
    wide[..., ::up, ::up] = x
    wide = F.pad(wide, (before, after, before, after))
    taps = torch.tensor([1, 3, 3, 1], dtype=x.dtype) / 8
    rows, columns = wide.shape[2] - 3, wide.shape[3] - 3
    out = sum(
        gain * taps[3 - i] * taps[3 - j] * wide[..., i : i + rows, j : j + columns] for i in range(4) for j in range(4)
    )
    return out[..., ::down, ::down]


def equalised(state, name, x, stride=1, padding=0):
    w = state[f"{name}.weight"]
    return F.conv2d(x, w / w[0].numel() ** 0.5, stride=stride, padding=padding)


def activated(x, bias):
    x = x + bias
    return 2**0.5 * torch.where(x < 0, 0.2 * x, x)


def slow_block(state, name, x):
    """A residual block; it halves the image if its skip is a convolution."""
    down = f"{name}.skip.1.weight" in state
    y = activated(equalised(state, f"{name}.conv1.0", x, padding=1), state[f"{name}.conv1.1.bias"])
    if down:
        y = equalised(state, f"{name}.conv2.1", filtered(y, 2, 2), stride=2)
        y = activated(y, state[f"{name}.conv2.2.bias"])
        x = equalised(state, f"{name}.skip.1", filtered(x, 1, 1), stride=2)
    else:
        y = activated(equalised(state, f"{name}.conv2.0", y, padding=1), state[f"{name}.conv2.1.bias"])
    return (y + x) / 2**0.5


def slow_up(state, name, x):
    """Equation 3, the transposed convolution as a sum of scaled kernels, the filter with gain 4."""
    w = state[f"{name}.conv.weight"][0]
    w = w / w[0].numel() ** 0.5
    w = w / (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
    B, _, H, W = x.shape
    y = x.new_zeros(B, len(w), 2 * H + 1, 2 * W + 1)
    for row in range(H):
        for column in range(W):
            stamp = torch.einsum("bi,oikl->bokl", x[:, :, row, column], w)
            y[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += stamp
    return activated(filtered(y, 1, 1, gain=4), state[f"{name}.activate.bias"])


def randomised(network):
    """In float64, with biases that are not zero."""
    for name, p in network.double().named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(p)
    return network.state_dict()


def test_a_generator_is_its_formulas():
    torch.manual_seed(0)
    G, x = build("G", "stylegan2", 1, 32, num_downsampling=2), torch.randn(2, 3, 8, 12, dtype=torch.float64)
    state = randomised(G)
    y = activated(equalised(state, "encoder.convs.1.0", x), state["encoder.convs.1.1.bias"])
    for i in range(2, 7):
        y = slow_block(state, f"encoder.convs.{i}", y)
    for i in range(3):
        y = slow_block(state, f"decoder.convs.{i}", y)
    for i in (3, 4):  # the noise has the weight 0
        y = slow_up(state, f"decoder.convs.{i}", y)
    y = activated(equalised(state, "decoder.convs.5.0", y), state["decoder.convs.5.1.bias"])
    torch.testing.assert_close(G(x), y)


def test_a_discriminator_is_its_formulas():
    torch.manual_seed(0)
    D, x = build("D", "stylegan2", 1, 16), torch.randn(2, 3, 16, 16, dtype=torch.float64)
    state = randomised(D)
    y = activated(equalised(state, "convs.0.0", x), state["convs.0.1.bias"])
    for i in (1, 2):
        y = slow_block(state, f"convs.{i}", y)
    y = activated(equalised(state, "final_conv.0", y, padding=1), state["final_conv.1.bias"]).flatten(1)
    for i in (0, 1):
        w, b = (state[f"final_linear.{i}.{name}"] for name in ("weight", "bias"))
        y = y @ w.T / w.shape[1] ** 0.5
        y = activated(y, b) if i == 0 else y + b
    torch.testing.assert_close(D(x), y)


@pytest.mark.parametrize("H,W", [(7, 10), (8, 5)])
def test_odd_sides_are_halved_like_the_published_ones(H, W):
    torch.manual_seed(0)
    layer, x = ResBlock(2, 3, down=True), torch.randn(1, 2, H, W, dtype=torch.float64)
    state = {f"x.{k}": v for k, v in randomised(layer).items()}
    torch.testing.assert_close(layer(x), slow_block(state, "x", x))
