"""Cheap layers computed again in the backward pass: the same numbers from less memory."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

import networks
from networks import lean
from networks.layers import InstanceNorm, ReflectionPad

SIZES = {"G": dict(input_nc=3, output_nc=3, ngf=4), "D": dict(input_nc=3, ndf=4)}
NETWORKS = [
    ("G", "resnet_4blocks", {}),
    ("G", "resnet_4blocks", {"no_antialias": True, "no_antialias_up": True}),
    ("G", "resnet_4blocks", {"norm": "batch"}),
    ("G", "resnet_4blocks", {"norm": "none"}),
    ("G", "resnet_4blocks", {"use_dropout": True}),
    ("D", "basic", {}),
    ("D", "n_layers", {"n_layers": 2, "norm": "batch"}),
]


def build(kind, name, arguments):
    torch.manual_seed(0)
    network = networks.define(kind, name, **SIZES[kind] | arguments)
    return networks.init_weights(network, "normal", 0.2).double()


def image(batch=1, size=32):
    x = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x.requires_grad_()


def gradients(network, x, times=1):
    torch.manual_seed(2)  # of dropout
    y = network(x)
    inputs = [x, *network.parameters()]
    for _ in range(times):
        found = torch.autograd.grad(y.square().sum(), inputs, retain_graph=True)
    return y, found


def plainly(monkeypatch):
    monkeypatch.setattr(lean, "CHEAP", ())


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("kind,name,arguments", NETWORKS, ids=str)
def test_every_number_is_the_same_to_the_bit(kind, name, arguments, batch, monkeypatch):
    network = build(kind, name, arguments)
    y, ours = gradients(network, image(batch))
    plainly(monkeypatch)
    expected, theirs = gradients(network, image(batch))
    assert torch.equal(y, expected)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_graph_can_be_used_twice(monkeypatch):
    network = build("G", "resnet_4blocks", {})
    _, ours = gradients(network, image(), times=2)
    plainly(monkeypatch)
    assert all(torch.equal(a, b) for a, b in zip(ours, gradients(network, image())[1], strict=True))


def test_gradients_of_gradients_are_right(monkeypatch):
    """A gradient penalty differentiates twice through what is computed again."""
    network = build("D", "basic", {})

    def penalty():
        x = image()
        (first,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), list(network.parameters()), allow_unused=True)

    ours = penalty()
    plainly(monkeypatch)
    for a, b in zip(ours, penalty(), strict=True):
        assert (a is None and b is None) or torch.allclose(a, b, rtol=1e-12, atol=0)


def kept(layers, x):
    """Bytes that the backward pass finds, of tensors that are not weights."""
    weights = {p.data_ptr() for p in layers.parameters()}
    found = {}

    def note(saved):
        if isinstance(saved, torch.Tensor) and saved.data_ptr() not in weights:
            found[saved.data_ptr()] = saved.nbytes
        return saved

    class Noting(lean.Chain):
        def pack(self, saved):
            return note(super().pack(saved))

    chain, lean.Chain = lean.Chain, Noting
    try:
        with saved_tensors_hooks(note, lean.unpack):
            y, _ = lean.run(layers, x)
    finally:
        lean.Chain = chain
    return sum(found.values()), y


def test_a_convolution_keeps_nothing_that_can_be_made_again(monkeypatch):
    """Of each convolution its output stays, for the norm: not what norm, activation and padding make of it."""
    layers = nn.Sequential(
        *[m for _ in range(6) for m in (nn.Conv2d(8, 8, 3), InstanceNorm(8), nn.ReLU(True), ReflectionPad(1))]
    )
    x = torch.randn(1, 8, 34, 34, requires_grad=True)
    lean_bytes, y = kept(layers, x)
    plainly(monkeypatch)
    plain_bytes, _ = kept(layers, x)
    assert lean_bytes < 0.5 * plain_bytes
    y.sum().backward()  # nothing is missing


def test_low_precision_keeps_what_it_has():
    network = build("G", "resnet_4blocks", {}).float()
    calls = []
    network.model[2].register_forward_hook(lambda *_: calls.append(1))
    for low in (False, True):
        calls.clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            y = network(image().float())
        y.float().sum().backward()
        assert len(calls) == (1 if low else 2)  # once more in the backward pass of float32
