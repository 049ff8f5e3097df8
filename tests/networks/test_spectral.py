"""Weights whose largest singular value is one, and which weights are matrices."""

import pytest
import torch
from torch import nn

from networks import define, init_weights, list_networks
from networks.spectral import matrices, spectral_norm


def passes(network, count=100):
    for _ in range(count):
        for layer in network.modules():
            if hasattr(layer, "parametrizations"):
                layer.weight  # noqa: B018  each reading is a step of power iteration
    return network


def test_a_known_matrix_is_divided_by_its_largest_singular_value():
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 3.0], [1.0, 0.0]]))  # singular values 3 and 1
    torch.testing.assert_close(passes(spectral_norm(layer)).weight, torch.tensor([[0.0, 1.0], [1 / 3, 0.0]]))


@pytest.mark.parametrize("kind,axis", [(nn.Conv2d, 0), (nn.ConvTranspose2d, 1)])
def test_a_convolution_is_the_matrix_of_its_output_channels(kind, axis):
    torch.manual_seed(0)  # singular values that lie close together are told apart slowly
    layer = kind(3, 5, 4)
    matrix = layer.weight.detach().movedim(axis, 0).flatten(1)  # (out, in * 16)
    norm = torch.linalg.matrix_norm(matrix, 2)
    torch.testing.assert_close(passes(spectral_norm(layer)).weight * norm, layer.parametrizations.weight.original)


def test_an_embedding_is_bounded_by_the_matrix_of_its_rows():
    torch.manual_seed(0)
    table = nn.Embedding(5, 3)
    norm = torch.linalg.matrix_norm(table.weight.detach(), 2)
    bounded = passes(spectral_norm(table))
    torch.testing.assert_close(bounded(torch.arange(5)) * norm, bounded.parametrizations.weight.original)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_networks("D"))
def test_every_layer_of_a_discriminator_is_bounded(name):
    torch.manual_seed(0)
    D = init_weights(define("D", name, input_nc=3, ndf=4, size=32, norm="none"))
    D = passes(spectral_norm(D)).eval()
    assert matrices(D) and len(matrices(D)) == sum(p.ndim > 1 and n[-4:] != "bias" for n, p in D.named_parameters())
    for layer in D.modules():
        if hasattr(layer, "parametrizations"):
            norm = torch.linalg.matrix_norm(getattr(layer, "scale", 1.0) * layer.weight.flatten(1), 2)
            assert norm.item() == pytest.approx(1, abs=0.01)  # two large ones are told apart slowly
    size = 64 if name == "multiscale" else 32  # it sees the half of an image too
    logits = D(torch.randn(2, 3, size, size))
    assert all(torch.isfinite(scale).all() for scale in (logits if isinstance(logits, list) else [logits]))


def test_it_is_applied_once():
    layer = spectral_norm(spectral_norm(nn.Linear(3, 3)))
    assert len(layer.parametrizations.weight) == 1


def test_a_step_of_power_iteration_is_taken_in_training_alone():
    layer = spectral_norm(nn.Linear(8, 8))
    u = layer.parametrizations.weight[0]._u
    before = u.clone()
    layer.eval()(torch.randn(1, 8))
    assert torch.equal(u, before)
    layer.train()(torch.randn(1, 8))
    assert not torch.equal(u, before)


def test_vectors_that_were_averaged_are_unit_vectors_again():
    """As in a moving average of a network, which they follow."""
    layer = passes(spectral_norm(nn.Linear(6, 4))).eval()
    before, norm = layer.weight.clone(), layer.parametrizations.weight[0]
    norm._u.mul_(0.5)
    norm._v.mul_(0.9)
    torch.testing.assert_close(layer.weight, before)


def test_autocast_leaves_the_estimate_alone(monkeypatch):
    """On a GPU it would round the products of power iteration, and with them the norm, to 8 bits."""
    seen, layer = [], spectral_norm(nn.Linear(64, 64))
    norm = layer.parametrizations.weight[0]
    step = norm._power_method
    monkeypatch.setattr(norm, "_power_method", lambda *a: seen.append(torch.is_autocast_enabled("cpu")) or step(*a))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.float32 and layer(torch.randn(2, 64)).dtype == torch.bfloat16
    assert seen == [False, False] and {b.dtype for b in layer.buffers()} == {torch.float32}


def test_it_has_a_second_derivative():
    layer = spectral_norm(nn.Linear(3, 2).double()).eval()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    original = layer.parametrizations.weight.original

    def f(x, w):
        return torch.func.functional_call(layer, {"parametrizations.weight.original": w}, (x,)).pow(3)

    assert torch.autograd.gradgradcheck(f, (x, original))


def test_matrices_are_no_norms_no_embeddings_and_no_biases():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.BatchNorm2d(2),
        nn.GroupNorm(1, 2),
        nn.Embedding(4, 2),
        nn.ConvTranspose2d(2, 2, 3),
        nn.Linear(2, 2),
    )
    expected = [id(network[i].weight) for i in (0, 4, 5)]
    assert [id(p) for p in matrices(network)] == expected
    assert [id(p) for p in matrices(spectral_norm(network))] == expected  # the parameter, not what is made of it
