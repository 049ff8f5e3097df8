"""Whatever is registered keeps the contract: this is all that a new architecture has to pass."""

import copy
import inspect

import pytest
import torch

from networks import Tapped, define, list_networks
from networks.registry import _BUILDERS

# Generators and discriminators that take images; others have a contract, and a test, of their own.
NAMES = [
    (kind, name)
    for kind in "GDF"
    for name in list_networks(kind)
    if kind == "F" or "input_nc" in inspect.signature(_BUILDERS[kind][name]).parameters
]


def build(kind, name):
    size = {"G": 256, "D": 32}.get(kind)  # of the images that fixed networks are made for
    return define(
        kind,
        name,
        input_nc=3,
        output_nc=3,
        ngf=4,
        ndf=4,
        norm="instance",
        n_layers=2,
        size=size,
        channels=[3, 5],
        dim=6,
    )


def inputs(kind, name, network):
    """What it is called with: positional arguments whose tensors may be cast, converted and differentiated."""
    if kind == "D":
        return (torch.randn(2, 3, 32, 32),)
    if kind == "G":
        side = max(16, network.stride)
        return (torch.randn(2, 3, side, side),)
    if name == "mapping":
        return (torch.randn(2, 2, 16, 9),)
    maps = [torch.randn(2, 3, 8, 8), torch.randn(2, 5, 4, 4)]
    return maps, network.sample_ids(maps, 4)


@pytest.fixture(params=NAMES, ids=lambda p: "-".join(p))
def case(request):
    """kind, name, the network and its arguments. The networks are small; some of them change when they are called."""
    kind, name = request.param
    torch.manual_seed(0)
    network = build(kind, name)
    return kind, name, network, inputs(kind, name, network)


def call(network, arguments):
    torch.manual_seed(0)  # some draw noise
    out = network(*arguments)
    return [out] if torch.is_tensor(out) else list(out)


def gradients(network, outputs):
    """Of one random direction of the outputs, for the parameters that have one."""
    torch.manual_seed(1)
    network.zero_grad()
    if any(o.requires_grad for o in outputs):
        sum((o.float() * torch.randn(o.shape)).sum() for o in outputs).backward()
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def same(ours, theirs, tolerance=0.0):
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= tolerance * b.abs().max()


def test_shapes_and_gradients(case):
    kind, _, network, arguments = case
    outputs = call(network, arguments)
    if kind == "G":
        assert outputs[0].shape == arguments[0].shape
    if kind == "D":
        assert outputs[0].shape[0] == 2
    assert all(o.isfinite().all() for o in outputs)
    found = gradients(network, outputs)
    assert all(g.isfinite().all() for g in found.values())
    unused = {n for n, _ in network.named_parameters()} - set(found)
    assert all(n.endswith("noise.weight") for n in unused)


def test_taps(case):
    kind, _, G, arguments = case
    if kind != "G":
        return
    assert isinstance(G, Tapped)
    x, names = arguments[0], list(G.tap_names)
    with torch.no_grad():
        image = G(x)
        again, features = G(x, names)
        same([again], [image])
        same(features, G(x, names, encode_only=True))
        same(features, G(x, [str(G.tap_names[n]) for n in names])[1])
        same(features[1:2], G(x, [G.tap_names[names[1]]], encode_only=True))
    assert names[0] == "pixels" and features[0].shape[1] == 3
    with pytest.raises(ValueError, match="no layer 'nowhere'"):
        G(x, ["nowhere"])


def test_bf16_is_finite(case):
    _, _, network, arguments = case
    with torch.autocast("cpu", torch.bfloat16):
        outputs = call(network, arguments)
    assert all(o.isfinite().all() for o in outputs)
    assert all(g.isfinite().all() for g in gradients(network, outputs).values())


def test_copies_and_checkpoints_are_the_same_network(case):
    kind, name, network, arguments = case
    twin, loaded = copy.deepcopy(network), build(kind, name)
    loaded.load_state_dict(network.state_dict(), strict=True)
    with torch.no_grad():
        outputs = call(network, arguments)
        same(call(twin, arguments), outputs)
        same(call(loaded, arguments), outputs)
    assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in network.parameters()}


def test_channels_last_is_the_same_function(case):
    _, _, network, arguments = case
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)

    def convert(x):
        if isinstance(x, list):
            return [convert(item) for item in x]
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

    outputs, converted = call(network, arguments), call(other, tuple(map(convert, arguments)))
    same(converted, outputs, 1e-4)
    ours, theirs = gradients(other, converted), gradients(network, outputs)
    largest = max((g.abs().max() for g in theirs.values()), default=0)
    assert all((ours[n] - theirs[n]).abs().max() <= 1e-3 * largest for n in theirs)
