"""A file of weights says which generator it is of; our files hold what published ones do."""

import itertools

import pytest
import torch

import networks
from networks.published import identify


def state_of(name, **arguments):
    with torch.device("meta"):
        return networks.define("G", name, **arguments).state_dict()


SETTINGS = list(itertools.product(("instance", "batch", "none"), (False, True), (False, True), (False, True)))


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.list_networks("G"))
def test_every_generator_is_known_by_its_weights(name):
    for norm, dropout, strided, transposed in SETTINGS if name.startswith("resnet") else SETTINGS[::8]:
        given = dict(input_nc=1, output_nc=2, ngf=4, norm=norm, use_dropout=dropout, size=256, num_downsampling=2)
        given |= dict(no_antialias=strided, no_antialias_up=transposed)
        found, arguments = identify({f"module.{k}": v for k, v in state_of(name, **given).items()})
        assert found == name and all(given[key] == value for key, value in arguments.items())


@pytest.mark.parametrize("name", networks.list_networks("path_G"))
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("style_dim", [1, 8])
def test_generators_between_the_sides_are_known(name, strided, style_dim):
    given = dict(input_nc=1, output_nc=2, ngf=4, style_dim=style_dim, no_antialias=strided, no_antialias_up=strided)
    with torch.device("meta"):
        state = networks.define("path_G", name, **given).state_dict()
    assert identify(state) == (name, given)


@pytest.mark.parametrize("name", networks.list_networks("bridge_G"))
@pytest.mark.parametrize("block", ["released", "paper"])
def test_generators_of_a_bridge_are_known(name, block):
    given = dict(input_nc=1, output_nc=2, ngf=4, block=block, n_mlp=2, no_antialias=True, no_antialias_up=False)
    with torch.device("meta"):
        state = networks.define("bridge_G", name, **given).state_dict()
    assert identify(state) == (name, given)


def test_a_published_bridge_has_weights_that_nothing_is_computed_with():
    """Its class holds a convolution, a time and another layer in every block; they are left out."""
    with torch.device("meta"):
        state = networks.define("bridge_G", "resnet_9blocks_cond", input_nc=3, output_nc=3, ngf=4).state_dict()
        dead = {"time_embed.0.weight": torch.zeros(16, 4), "time_embed.2.weight": torch.zeros(16, 16)}
        for i in range(9):
            dead |= {f"model_res.{i}.style.weight": torch.zeros(32, 16)}
            dead |= {f"model_res.{i}.conv_block.1.weight": torch.zeros(16, 16, 3, 3)}
            dead |= {f"model_res.{i}.Dense_time.weight": torch.zeros(16, 16)}
    name, arguments = identify(state | dead)
    assert (name, arguments["block"]) == ("resnet_9blocks_cond", "released")


@pytest.mark.parametrize("ngf, size, downs", [(64, 256, 1), (10, 64, 1), (64, 64, 3), (32, 1024, 2), (64, 16, 2)])
def test_widths_of_stylegan2_are_reproduced(ngf, size, downs):
    state = state_of("stylegan2", input_nc=3, output_nc=3, ngf=ngf, size=size, num_downsampling=downs)
    name, arguments = identify(state)
    assert {k: v.shape for k, v in state_of(name, **arguments).items()} == {k: v.shape for k, v in state.items()}


def test_statistics_of_old_instance_norms_are_ignored():
    state = state_of("resnet_4blocks", input_nc=3, output_nc=3, ngf=4, no_antialias=True, no_antialias_up=True)
    old = state | {f"model.2.{n}": torch.zeros(4) for n in ("running_mean", "running_var", "num_batches_tracked")}
    assert identify(old) == identify(state)


@pytest.mark.parametrize(
    "state, words",
    [
        (networks.define("D", "basic", input_nc=3, ndf=4).state_dict(), "a patch discriminator"),
        (networks.define("D", "pixel", input_nc=3, ndf=4).state_dict(), "a pixel discriminator"),
        (networks.define("D", "stylegan2", input_nc=3, ndf=4, size=16).state_dict(), "a StyleGAN2 discriminator"),
        (networks.define("F", "mlp_sample", channels=[3], dim=4).state_dict(), "a head F"),
        (networks.define("F", "mapping", n_layers=4).state_dict(), "the head of SimDCL"),
        ({"model": {}, "optimizers": {}, "progress": {}}, "the full state of a training run"),
        ({"state_dict": {}}, "a dictionary around weights"),
        ({"features.0.weight": torch.zeros(3)}, "no generator that is known here .its first keys: features.0.weight"),
        ({}, "nothing"),
        ({0: torch.zeros(3)}, "no generator that is known here .its first keys: 0"),
        (
            {f"model.{i}.conv_block.1.weight": torch.zeros(3) for i in range(4)} | {"model.1.weight": torch.zeros(3)},
            r"its first convolution has the shape .3,.",
        ),
    ],
)
def test_what_is_no_generator_is_called_by_its_name(state, words):
    with pytest.raises(ValueError, match=words):
        identify(state)


def test_odd_keys_are_named():
    state = state_of("resnet_9blocks", input_nc=3, output_nc=3, ngf=4)
    with pytest.raises(ValueError, match=r"looks like resnet_9blocks, but model.4.weight is missing; extra is unknown"):
        identify({k: v for k, v in state.items() if k != "model.4.weight"} | {"extra": torch.zeros(1)})
    with pytest.raises(ValueError, match="8 blocks; there are those of 4, 6 and 9"):
        identify({k: v for k, v in state.items() if not k.startswith("model.20.")})


def conv(index, out, channels, size, bias=True):
    return {f"model.{index}.weight": (out, channels, size, size)} | ({f"model.{index}.bias": (out,)} if bias else {})


def blocks(first):
    return {
        f"model.{i}.conv_block.{j}.{what}": (256, 256, 3, 3)[: 4 if what == "weight" else 1]
        for i in range(first, first + 9)
        for j in (1, 5)
        for what in ("weight", "bias")
    }


def filt(index, channels, size):
    return {f"model.{index}.filt": (channels, 1, size, size)}


DOWN = conv(1, 64, 3, 7) | conv(4, 128, 64, 3)
PUBLISHED = {
    "antialias": DOWN | filt(7, 128, 3) | conv(8, 256, 128, 3) | filt(11, 256, 3) | blocks(12) | filt(21, 256, 4)
    | conv(22, 128, 256, 3) | filt(25, 128, 4) | conv(26, 64, 128, 3) | conv(30, 3, 64, 7),
    "strided down": DOWN | conv(7, 256, 128, 3) | blocks(10) | filt(19, 256, 4) | conv(20, 128, 256, 3)
    | filt(23, 128, 4) | conv(24, 64, 128, 3) | conv(28, 3, 64, 7),
    "no antialias": DOWN | conv(7, 256, 128, 3) | blocks(10) | {"model.19.weight": (256, 128, 3, 3)}
    | {"model.19.bias": (128,), "model.22.weight": (128, 64, 3, 3), "model.22.bias": (64,)} | conv(26, 3, 64, 7),
}  # fmt: skip


@pytest.mark.parametrize("kind", PUBLISHED)
def test_generators_hold_what_published_files_hold(kind):
    """The keys and shapes of the official CUT, DCLGAN (GPU cycle_gan) and CycleGAN files."""
    given = {"no_antialias": kind != "antialias", "no_antialias_up": kind == "no antialias"}
    ours = state_of("resnet_9blocks", input_nc=3, output_nc=3, ngf=64, **given)
    assert {k: tuple(v.shape) for k, v in ours.items()} == PUBLISHED[kind]
    _, arguments = identify({k: torch.empty(shape, device="meta") for k, shape in PUBLISHED[kind].items()})
    assert given.items() <= arguments.items()


def test_discriminators_and_heads_hold_what_published_files_hold():
    with torch.device("meta"):
        D = networks.define("D", "basic", input_nc=3, ndf=64).state_dict()
        F = networks.define("F", "mlp_sample", channels=[3, 128], dim=256).state_dict()
    expected = conv(0, 64, 3, 4) | filt(2, 64, 3) | conv(3, 128, 64, 4) | filt(6, 128, 3) | conv(7, 256, 128, 4)
    expected |= filt(10, 256, 3) | conv(11, 512, 256, 4) | conv(14, 1, 512, 4)
    assert {k: tuple(v.shape) for k, v in D.items()} == expected
    assert {k: tuple(v.shape) for k, v in F.items()} == {
        f"mlp_{i}.{j}.{what}": ((256, c) if j == 0 else (256, 256))[: 2 if what == "weight" else 1]
        for i, c in enumerate((3, 128))
        for j in (0, 2)
        for what in ("weight", "bias")
    }
