"""XMC-GAN's networks: sizes, what words do at each place, what the discriminator answers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks.conditional_norm import LocalBatchNorm
from networks.spectral import matrices, spectral_norm
from networks.text import Text
from networks.xmcgan import MAPS, WordAttention, XMCGenerator
from networks.xmcgan_discriminator import XMCDiscriminator

SIZES = (32, 64, 128, 256)
LENGTHS = torch.tensor([4, 1, 3])
MASK = torch.arange(4) < LENGTHS[:, None]

# The authors' code, counted with its texts of 768 numbers, noise of 128 and images of 3 channels: pixels, width, and
# parameters of G and of D in millions, to as many digits as were noted.
COUNTS = [
    (128, 96, "78.5", "87.9"),
    (256, 96, "92.9", "99.4"),
    (128, 16, "3.8", "2.65"),
    (128, 32, "11.2", "10.1"),
    (128, 48, "22.4", "22.4"),
]


def text(B=3, T=4, D=6, mask=MASK, seed=0):
    return Text.of(torch.randn(B, T, D, generator=torch.Generator().manual_seed(seed)), mask)


def padded(some, count=2, size=100.0):
    """The same captions with noise behind them."""
    noise = size * torch.randn(len(some), count, some.words.shape[2])
    return Text(torch.cat([some.words, noise], 1), F.pad(some.mask, (0, count)), some.sentence)


def build_G(size=32, channels=3, ngf=2, z_dim=5, text_dim=6):
    torch.manual_seed(0)
    return XMCGenerator(size, channels, text_dim, z_dim, ngf)


def build_D(size=32, channels=3, ndf=2, text_dim=6):
    torch.manual_seed(0)
    return XMCDiscriminator(size, channels, text_dim, ndf)


@pytest.fixture
def undrawn(monkeypatch):
    """On "meta" there are no weights to draw, and drawing them loads a compiler, which takes seconds."""
    for draw in ("xavier_uniform_", "zeros_", "kaiming_uniform_", "uniform_"):
        monkeypatch.setattr(nn.init, draw, lambda weight, *_, **__: weight)


@pytest.mark.parametrize("size, width, of_G, of_D", COUNTS)
def test_parameters_are_as_many_as_published(undrawn, size, width, of_G, of_D):
    with torch.device("meta"):
        networks = XMCGenerator(size, 3, 768, 128, width), XMCDiscriminator(size, 3, 768, width)
    for network, published in zip(networks, (of_G, of_D), strict=True):
        digits = len(published.partition(".")[2])
        assert f"{sum(p.numel() for p in network.parameters()) / 1e6:.{digits}f}" == published


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_answers_have_their_sizes(size, channels):
    G, D, some = build_G(size, channels, 1), build_D(size, channels, 1), text()
    images, shares = G(torch.randn(3, 5), some, maps=True)
    side = MAPS[size]
    assert images.shape == (3, channels, size, size) and images.abs().max() <= 1
    assert shares.shape == (3, 4, side, side)
    answers = D(images, ("logit", "pooled", "sentence", "regions"), some)
    width = 4 if size == 32 else 8 if size == 64 else 16
    assert {name: tuple(x.shape) for name, x in answers.items()} == {
        **{"logit": (3,), "pooled": (3, width), "sentence": (3, width)},
        "regions": (3, side * side, 6),
    }
    assert answers["pooled"].min() >= 0


@pytest.mark.parametrize("size", [16, 48, 100])
def test_a_size_without_a_ladder_is_told_which_have_one(size):
    for build in (build_G, build_D):
        with pytest.raises(ValueError, match=rf"{size} pixels; choose from \[32, 64, 128, 256\]"):
            build(size)


# -- words and places ------------------------------------------------------------------------------


def test_word_attention_is_the_formula():
    torch.manual_seed(0)
    attention, x, some = WordAttention(5, 6), torch.randn(3, 5, 2, 3), text()
    contexts, shares = attention(x, some)
    regions = attention.region(x)
    for b in range(3):
        words = some.words[b, : LENGTHS[b]]
        for i in range(2):
            for j in range(3):
                logits = 15 * F.cosine_similarity(words, regions[b, :, i, j][None])
                share = logits.softmax(0)
                torch.testing.assert_close(shares[b, : LENGTHS[b], i, j], share)
                torch.testing.assert_close(contexts[b, :, i, j], share @ F.normalize(words, dim=1))


def test_attention_sums_to_one_over_words_and_is_nought_elsewhere():
    _, shares = build_G()(torch.randn(3, 5), text(), maps=True)
    torch.testing.assert_close(shares.sum(1), torch.ones(3, 8, 8))
    assert not shares[~MASK].any() and (shares[MASK] > 0).all()
    assert (shares[1, 0] == 1).all()  # a single word has it all


def test_noise_behind_a_caption_changes_no_image_and_no_answer():
    G, D, z, some = build_G().eval(), build_D(), torch.randn(3, 5), text()
    images, shares = G(z, some, maps=True)
    same, longer = G(z, padded(some), maps=True)
    torch.testing.assert_close(same, images)
    torch.testing.assert_close(longer[:, :4], shares)
    assert not longer[:, 4:].any()
    torch.testing.assert_close(D(images, ("logit",), padded(some)), D(images, ("logit",), some))


def test_maps_are_of_the_same_pass():
    G, z, some = build_G().eval(), torch.randn(3, 5), text()
    assert torch.equal(G(z, some, maps=True)[0], G(z, some))


def test_words_the_sentence_and_noise_each_matter():
    G, z, some = build_G().eval(), torch.randn(3, 5), text()
    images, other = G(z, some), text(seed=1)
    for changed in (Text(other.words, MASK, some.sentence), Text(some.words, MASK, other.sentence)):
        assert not torch.allclose(G(z, changed), images)
    assert not torch.allclose(G(torch.randn(3, 5), some), images)


def test_gradients_reach_noise_words_the_sentence_and_all_weights():
    G, z, some = build_G(), torch.randn(3, 5, requires_grad=True), text().map(lambda x: x.detach())
    words, sentence = some.words.requires_grad_(), some.sentence.requires_grad_()
    G(z, some).square().sum().backward()
    assert z.grad.any() and sentence.grad.any()
    # a word that is alone has its share whatever it says, yet the context is that word
    assert (words.grad.abs().sum(2) > 0).tolist() == MASK.tolist()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in G.parameters())


def test_low_precision_is_close():
    G, D, z, some = build_G().eval(), build_D().eval(), torch.randn(3, 5), text()
    with torch.autocast("cpu", torch.bfloat16):
        images = G(z, some)
        answers = D(images, ("logit", "regions"), some)
    assert images.dtype == answers["regions"].dtype == torch.bfloat16
    assert (images.float() - G(z, some)).abs().mean() < 0.01  # of values of up to 1, which are 2^-9 apart
    exact = D(images.float(), ("logit", "regions"), some)
    for name, found in answers.items():
        torch.testing.assert_close(found.float(), exact[name], rtol=0.1, atol=0.1 * exact[name].abs().max().item())


def test_weights_start_as_drawn_by_the_authors():
    """Uniform within sqrt(6 / (in + out)) of Glorot and Bengio (2010), and no biases."""
    for network in (build_G(ngf=8), build_D(ndf=8)):
        assert network.own_init
        for m in network.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                field = m.weight[0, 0].numel() if m.weight.ndim == 4 else 1
                bound = (6 / (field * sum(m.weight.shape[:2]))) ** 0.5
                assert m.weight.abs().max() <= bound * (1 + 1e-6) and (m.bias is None or not m.bias.any())
    assert m.weight.abs().max() > 0.9 * bound


# -- norms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_small_map_of_conditions_is_the_large_one_it_stands_for(times):
    torch.manual_seed(0)
    norm, x, local = LocalBatchNorm(3, 5), torch.randn(2, 3, 8, 8), torch.randn(2, 5, 8 // times, 8 // times)
    large = F.interpolate(local, scale_factor=times, mode="nearest")
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    gain, bias = norm.gain_and_bias(large).chunk(2, 1)
    expected = (x - mean) / (var + 1e-5).sqrt() * (1 + gain) + bias
    torch.testing.assert_close(norm(x, local), expected)
    torch.testing.assert_close(norm(x, large), expected)


def test_a_place_is_conditioned_by_its_own_square_alone():
    torch.manual_seed(0)
    norm, x, local = LocalBatchNorm(3, 5).eval(), torch.randn(1, 3, 8, 8), torch.randn(1, 5, 4, 4)
    other = local.clone()
    other[..., 1, 2] += 1
    moved = (norm(x, other) - norm(x, local)).abs().sum(1)[0] > 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2:4, 4:6] = True
    assert torch.equal(moved, expected)


# -- the discriminator -----------------------------------------------------------------------------


def test_the_logit_is_what_the_image_says_and_how_it_fits_the_sentence():
    D, x, some = build_D(), torch.randn(3, 3, 32, 32), text()
    answers = D(x, ("pooled", "sentence", "logit"), some)
    torch.testing.assert_close(answers["sentence"], D.sentence(some.sentence))
    product = (answers["pooled"] * answers["sentence"]).sum(1)
    torch.testing.assert_close(answers["logit"], D.logit(answers["pooled"]).squeeze(1) + product)
    torch.testing.assert_close(answers["pooled"], F.relu(D.body(D.stem(x))).sum((2, 3)))


def test_a_discriminator_answers_what_it_is_asked():
    D, x, some = build_D(), torch.randn(3, 3, 32, 32), text()
    for want in (("pooled",), ("regions",), ("sentence", "logit"), ("regions", "pooled")):
        assert list(D(x, want, some)) == list(want)
    assert set(D(x, ("pooled", "regions"))) == {"pooled", "regions"}  # no caption is needed for these
    with pytest.raises(ValueError, match="needs their captions"):
        D(x, ("logit",))
    seen = []
    D.region.register_forward_hook(lambda *_: seen.append("region"))
    D.sentence.register_forward_hook(lambda *_: seen.append("sentence"))
    D(x, ("pooled",), some)
    assert seen == []


def test_the_logit_teaches_a_text_encoder_nothing_but_the_contrast_does():
    D, x = build_D(), torch.randn(3, 3, 32, 32)
    some = text().map(lambda t: t.detach().clone())
    some.words.requires_grad_(), some.sentence.requires_grad_()
    answers = D(x, ("logit", "sentence"), some)
    assert torch.autograd.grad(answers["logit"].sum(), some.sentence, retain_graph=True, allow_unused=True) == (None,)
    (of_weight,) = torch.autograd.grad(answers["logit"].sum(), D.sentence.weight, retain_graph=True)
    (of_text,) = torch.autograd.grad(answers["sentence"].square().sum(), some.sentence)
    assert of_weight.any() and of_text.any()


@pytest.mark.parametrize("size", [32, 64])
def test_regions_follow_the_map_row_by_row(size):
    """Region r is place (r // side, r % side); a change of the image's corner moves the regions at that corner."""
    D, side = build_D(size), MAPS[size]
    x = torch.randn(1, 3, size, size)
    regions = D(x, ("regions",))["regions"]
    torch.testing.assert_close(regions[0].T.unflatten(1, (side, side)), D.region(D.stem(x))[0])
    other = x.clone()
    other[..., 0, -1] += 1  # the pixel at the upper right
    moved = ((D(other, ("regions",))["regions"] - regions).abs().sum(2)[0] > 0).unflatten(0, (side, side))
    assert moved[0, -1] and not moved[0, 0] and not moved[-1].any()


def test_every_layer_of_a_discriminator_is_bounded():
    D = build_D()
    plain = sum(p.numel() for p in D.parameters())
    layers = [m for m in D.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    bounded = spectral_norm(D)
    assert len(matrices(bounded)) == len(layers) and sum(p.numel() for p in bounded.parameters()) == plain
    for _ in range(30):
        bounded(torch.randn(1, 3, 32, 32), ("logit", "regions"), text(1, mask=MASK[:1]))
    for m in layers:
        assert torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=0.05)
