import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import define
from networks.unet import UnetGenerator


def small(**more):
    return UnetGenerator(3, 3, 2, 5, **more)  # strides of 32


# pytorch-CycleGAN-and-pix2pix, ngf 64, three channels
@pytest.mark.parametrize("name,count", [("unet_128", 41_825_667), ("unet_256", 54_409_603)])
def test_parameters_are_as_many_as_published(name, count):
    with torch.device("meta"):
        G = define("G", name, input_nc=3, output_nc=3, ngf=64)
    assert sum(p.numel() for p in G.parameters()) == count


def test_taps_are_the_strided_convolutions():
    G, x = small(), torch.randn(2, 3, 32, 64)
    features = G(x, range(6), encode_only=True)
    shapes = [(3, 32, 64), (2, 16, 32), (4, 8, 16), (8, 4, 8), (16, 2, 4), (16, 1, 2)]
    assert [tuple(f.shape[1:]) for f in features] == shapes
    assert features[0] is x
    torch.testing.assert_close(features[1], G.model.model[0](x))


def test_order_and_repetition_of_taps_are_kept():
    G, x = small(), torch.randn(1, 3, 32, 32)
    a, b, c = G(x, ["down3", "pixels", 3], encode_only=True)
    assert a.shape[1] == 8 and b is x and a is c


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_nothing_writes_over_a_tap(norm):
    """An activation in place would, where no norm lies between."""
    G, x = small(norm=norm), torch.randn(2, 3, 32, 32)
    _, features = G(x, ["down1", "down2", "down5"])
    outer, inner = G.model.model[0], G.model.model[1].model[1]
    torch.testing.assert_close(features[0], outer(x))
    torch.testing.assert_close(features[1], inner(F.leaky_relu(outer(x), 0.2)))
    assert (features[2] < 0).any()


def test_encoding_stops_at_the_last_tap():
    G, ran = small(), []
    for m in G.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            m.register_forward_hook(lambda m, args, out: ran.append(m))
    G(torch.randn(1, 3, 32, 32), ["down2", "pixels"], encode_only=True)
    assert len(ran) == 2


@pytest.mark.parametrize("norm,biased", [("instance", True), ("batch", False), ("none", False)])
def test_biases_belong_to_instance_norm(norm, biased):
    G = small(norm=norm)
    convs = [m for m in G.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    last = G.model.model[3]
    assert last.bias is not None and {m.bias is not None for m in convs if m is not last} == {biased}


def test_dropout_is_in_the_inner_levels_only():
    assert sum(isinstance(m, nn.Dropout) for m in UnetGenerator(3, 3, 2, 8, use_dropout=True).modules()) == 3
    assert not any(isinstance(m, nn.Dropout) for m in UnetGenerator(3, 3, 2, 8).modules())


def test_features_of_batch_norm_are_not_of_one_image():
    assert small().per_image and not small(norm="batch").per_image
