"""Weights of StudioGAN, mimicry and BigGAN-PyTorch compute here what they compute there."""

import dataclasses

import pytest
import torch

from models.noise.published_networks import fitted, identify_latent, take_vectors_as_they_are
from networks import define
from networks.discriminator import (
    ClassHead,
    Discriminator,
    EmbeddingHead,
    LogitHead,
    ProjectionHead,
    ProxyHead,
)
from networks.infomax_heads import GlobalHead, LocalHead
from networks.spectral import spectral_norm
from tests import safetensors
from tests.test_reference import FOLDER, INDEX

RECORDED = {name: entry for name, entry in INDEX.items() if entry["kind"] == "latent_weights"}
GENERATORS = [name for name, entry in RECORDED.items() if entry["part"] == "G"]
DISCRIMINATORS = [name for name, entry in RECORDED.items() if entry["part"] == "D"]


def recorded(name):
    """What goes in, what came out, and the state dict."""
    tensors = safetensors.load(FOLDER / f"{name}.safetensors")
    state = {k: v.float() if v.is_floating_point() else v for k, v in safetensors.under(tensors, "state.").items()}
    return safetensors.under(tensors, "in."), safetensors.under(tensors, "out."), state


def build_G(found):
    return define("latent_G", found.network, **found.arguments)


def build_D(found, size, classes=3):
    """With the heads that it has answers for."""
    arguments = {"channels": 3, "size": size} | found.arguments
    trunk = define("latent_D", found.network, attention=found.place is not None, **arguments)
    F, C = trunk.features, trunk.local_channels
    heads = {"logit": ProjectionHead(F, classes) if "projection" in found.answers else LogitHead(F)}
    if "embedding" in found.answers:
        heads |= {
            "embedding": EmbeddingHead(F, arguments["embed_dim"]),
            "proxy": ProxyHead(classes, arguments["embed_dim"]),
        }
    if "global" in found.answers:
        heads |= {"local": LocalHead(C, arguments["nce_dim"]), "global": GlobalHead(F, arguments["nce_dim"])}
    if "classes" in found.answers:
        heads["classes"] = ClassHead(F, classes)
    return spectral_norm(Discriminator(trunk, heads))


def close(ours, published):
    """To 1e-5 of the largest number; images are in [-1, 1]."""
    torch.testing.assert_close(ours, published, rtol=0, atol=1e-5 * max(1.0, published.abs().max().item()))


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_makes_the_published_images(name):
    given, published, state = recorded(name)
    wrapped = {"StudioGAN": {"state_dict": state, "optimizer": {}}, "mimicry": {"model_state_dict": state}}
    entry = RECORDED[name]
    found = identify_latent(wrapped.get(entry["origin"], {f"module.{k}": v for k, v in state.items()}))
    assert (found.origin, found.part, found.network) == (entry["origin"], "G", entry["netG"])
    assert found.arguments == {"size": entry["crop_size"], "channels": 3} | {
        k: entry[k] for k in ("classes", "z_dim", "ngf")
    }
    G = build_G(found)
    G.load_state_dict(fitted(found, G)[0])
    G.eval()
    images = published.get("image_of_unit_vectors", published["image"])
    with torch.no_grad():
        close(G(given["z"], given.get("y")), images)
        take_vectors_as_they_are(G)
        close(G(given["z"], given.get("y")), published["image"])


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_gives_the_published_answers(name):
    given, published, state = recorded(name)
    found, entry = identify_latent(state), RECORDED[name]
    assert (found.origin, found.part, found.network) == (entry["origin"], "D", entry["netD"])
    assert found.arguments["ndf"] == entry["ndf"] and found.arguments["sn_D"]
    D = build_D(found, entry["crop_size"])
    D.load_state_dict(fitted(found, D)[0])
    D.eval()
    with torch.no_grad():
        answers = D(given["x"], tuple(published), given.get("y"))
    for answer, numbers in published.items():
        close(answers[answer], numbers)


def changed(name, **tensors):
    """A recorded state dict with tensors that are others; None takes one away."""
    state = recorded(f"latent_{name}")[2] | tensors
    return {key: value for key, value in state.items() if value is not None}


T = torch.zeros
DIFFERENT = [
    ({}, "holds nothing"),
    ({"a": 3}, "more than the tensors of one network"),
    (
        {"features.0.weight": T(3)},
        r"no network of StudioGAN, mimicry or BigGAN-PyTorch .its first names: features.0.wei",
    ),
    (changed("studiogan_G", **{"blocks.0.0.conv2d3.weight_orig": T(1)}), "StudioGAN's network is a BigGAN-deep"),
    ({"synthesis.b4.const": T(1)}, "StudioGAN's network is a StyleGAN"),
    ({"linear0.weight": T(1), "conv4.weight": T(1)}, "StudioGAN's network is a DCGAN"),
    (changed("studiogan_G", **{"info_proj_linear.weight": T(1)}), "codes of InfoGAN"),
    (changed("studiogan_D_2c", **{"linear_mi.bias": T(1)}), "TAC-GAN"),
    (changed("studiogan_D_2c", **{"linear1.weight_orig": T(4, 8)}), "answers with 4 logits; those here with one"),
    (changed("studiogan_G", **{"shared.weight": None}), "of its resnet .* nearest neighbours .* one-hot"),
    (changed("studiogan_G", **{"linear0.weight_orig": T(100, 2)}), r"first map has 12.5 places and is doubled 3 times"),
    (changed("studiogan_G", **{"linear0.weight_orig": T(3)}), r"first has the shape \(3,\)"),
    (changed("studiogan_G", **{"linear0.weight_orig": None}), "it lacks first"),
    (
        changed("biggan_pytorch_G_64", **{"blocks.3.0.conv2.weight": T(3, 2, 3, 3), "blocks.3.0.conv2.u0": T(1, 3)}),
        "blocks have 16, 16, 8, 4, 3 channels; the ladder here is 16, 16, 8, 4, 2 times --ngf",
    ),
    (changed("biggan_pytorch_G", **{"linear.u0": T(1, 3)}), "tensors of other shapes"),
    (changed("biggan_pytorch_G", **{"linear.u1": T(1, 3)}), "several singular values"),
    (changed("biggan_pytorch_G", **{"blocks.0.0.bn1.gain.weight": T(64, 128)}), "not cut into chunks"),
    (
        changed("biggan_pytorch_D", **{"blocks.1.0.conv1.weight": T(4, 8, 3, 3), "blocks.1.0.conv1.u0": T(1, 4)}),
        r"blocks of its D are narrow \(D_wide\)",
    ),
    (changed("mimicry_sngan_G", **{"attn_block.gamma": T(())}), "mimicry's network is SAGAN's"),
    (changed("mimicry_cgan_pd_D", **{"l_y.bias": T(4)}), "SSGAN's"),
    (
        changed("mimicry_sngan_G", **{"l1.weight": None, "l1.weight_orig": T(128, 8)}),
        "spectral norm, and .* has none",
    ),
]


@pytest.mark.parametrize("content, words", DIFFERENT)
def test_what_is_another_network_is_told_in_words(content, words):
    with pytest.raises(ValueError, match=words):
        identify_latent(content)


def test_what_does_not_fit_is_told():
    found = identify_latent(recorded("latent_studiogan_G")[2])
    G = build_G(found)
    with pytest.raises(ValueError, match="comes after 1 blocks; that of --netG after 2"):
        fitted(dataclasses.replace(found, place=1), G)
    extra = dataclasses.replace(found, state=found.state | {"odd": T(1)})
    with pytest.raises(ValueError, match="another architecture: odd is unknown"):
        fitted(extra, G)
    wider = define("latent_G", "biggan", **(found.arguments | {"ngf": 4}))
    with pytest.raises(ValueError, match=r"first.bias is .128,. instead of .256,.; .* and \d+ more"):
        fitted(found, wider)


def test_attention_that_a_file_lacks_adds_nothing():
    found = identify_latent(recorded("latent_studiogan_G_64")[2])
    assert found.place is None
    assert fitted(found, define("latent_G", "biggan", attention=False, **found.arguments))[1] == []
    wide = define("latent_G", "biggan", **(found.arguments | {"ngf": 4}))  # attention needs eight channels
    without = {key: value for key, value in wide.state_dict().items() if "attention" not in key}
    state, remarks = fitted(dataclasses.replace(found, state=without), wide)
    assert state["attention.weight"].item() == 0 and "begins with weight 0, which adds nothing" in remarks[0]


def test_heads_that_one_side_lacks_are_told():
    found = identify_latent(recorded("latent_studiogan_D_2c")[2])
    trunk = define("latent_D", "biggan", size=32, channels=3, ndf=4)
    D = spectral_norm(Discriminator(trunk, {"logit": ProjectionHead(trunk.features, 3)}))
    state, remarks = fitted(found, D)
    assert remarks == [
        "left out, for --model has no such head of D: embedding, proxy",
        "it lacks heads of D that start afresh: projection",
    ]
    own = D.state_dict()
    kept = {key for key in own if torch.equal(own[key], state[key])}
    assert {key for key in own if ".logit.embedding." in key} <= kept


def test_odd_tensors_under_their_names_are_a_line():
    _, _, state = recorded("latent_mimicry_cgan_pd_G")
    odd = {key: torch.tensor(1.0) if key.endswith("embed.weight") else value for key, value in state.items()}
    with pytest.raises(ValueError, match="the names of mimicry's networks, but tensors of other shapes"):
        identify_latent(odd)
    with pytest.raises(ValueError, match="it holds 20,000 tensors, and no such network has over 10,000"):
        identify_latent({f"blocks.{i}.0.conv1.weight": torch.zeros(1) for i in range(20_000)})
