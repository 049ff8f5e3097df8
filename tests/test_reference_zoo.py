"""The numbers of the code of later methods: every recording of tests/golden_zoo, or of DIPTYCH_GOLDEN_ZOO's folder.

Left out by name: methods from noise, which tests/test_reference_latent.py takes, and
``*_published_scrambled``, which record a defect.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import networks
from models.enco_model import EnCoModel
from models.losses import (
    bridge_cost,
    decoupled,
    diversity,
    hard_weights,
    hdce,
    joint_entropy,
    monce,
    nce_against,
    patch_nce,
    semantic_relation,
    similarity_maps,
    spatial_contrast,
    spatial_loss,
)
from networks import bridge
from networks.density import Density
from networks.enco_head import PairHead
from networks.heads import PatchSampler
from networks.lsesim_head import SimilarityHead
from networks.query_attention import attention, entropy
from networks.vgg import VGG16Features
from tests import safetensors
from tests.reference import Steps, close, counted, first_places, load
from tests.reference_zoo import REPLAYS

FOLDER = Path(os.environ.get("DIPTYCH_GOLDEN_ZOO") or Path(__file__).parent / "golden_zoo")
LATENT = {"r3gan", "adc", "bcr", "icr", "cr", "zcr"}
INDEX = {
    name: entry
    for name, entry in json.loads((FOLDER / "index.json").read_text()).items()
    if entry["method"] not in LATENT and not name.endswith("published_scrambled")
}
TIGHT = 1e-6


def of_kind(kind, method=None):
    names = [n for n, e in INDEX.items() if e["kind"] == kind and method in (None, e["method"])]
    return pytest.mark.parametrize("entry,tensors", [(INDEX[n], n) for n in names], ids=names, indirect=["tensors"])


@pytest.fixture
def tensors(request):
    return safetensors.load(FOLDER / f"{request.param}.safetensors")


def doubles(tensors, *names, grad=True):
    return [tensors[name].double().requires_grad_(grad) for name in names]


def gradients(value, inputs, tensors, *names):
    """The gradient of the mean of ``value`` is the recorded one; none recorded, or zeros, is none."""
    got = torch.autograd.grad(value.mean(), inputs, allow_unused=True, retain_graph=True)
    for gradient, name in zip(got, names, strict=True):
        if tensors[name].abs().max() < 1e-12:  # none, or rounding
            assert gradient is None or gradient.abs().max() < 1e-12, name
        else:
            close(gradient, tensors[name], TIGHT)


def test_every_recording_has_a_test():
    known = {"contrast", "feature_head", "train_steps", "generator", "discriminator", "flow", "schedule"}
    assert {e["kind"] for e in INDEX.values()} <= known
    assert {e["method"] for e in INDEX.values()} <= REPLAYS.keys()


# ---- one layer's contrast --------------------------------------------------------------------------------------------


@of_kind("contrast", "monce")
def test_monce(entry, tensors):
    for name, v in entry["variants"].items():
        if v.get("num_patches", entry["places"]) != entry["places"]:
            continue  # the published count of places where a layer has fewer: a defect
        q, k = doubles(tensors, "in.q", "in.k")
        settings = dict(tau=v["nce_T"], eps=v["eps"], cost=v["cost_type"], weight=v["neg_term_weight"])
        settings |= dict(exact_mask=v.get("exact_mask", False), constant_weights=v.get("weights_constant", False))
        values = monce(q, k, **settings, reduction="none")
        close(values, tensors[f"out.{name}.loss"], TIGHT)
        gradients(values, [q, k], tensors, f"out.{name}.grad_q", f"out.{name}.grad_k")


@of_kind("contrast", "hneg_src")
def test_hneg_src(entry, tensors):
    for name, v in entry["variants"].items():
        q, k = doubles(tensors, "in.q", "in.k")
        gamma = v.get("gamma")
        values = hdce(q, k, entry["nce_T"], gamma, reduction="none")
        close(values, tensors[f"out.{name}.ce"], TIGHT)
        gradients(values, [q], tensors, f"out.{name}.grad_q")
        if f"out.{name}.decoupled" in tensors:
            close(decoupled(q, k, entry["nce_T"], gamma), tensors[f"out.{name}.decoupled"], TIGHT)
        if f"out.{name}.weights" in tensors:
            apart = ~torch.eye(q.shape[1], dtype=torch.bool).expand(len(q), -1, -1)
            close(hard_weights(k, gamma)[apart], tensors[f"out.{name}.weights"][apart], TIGHT)
    q, k = doubles(tensors, "in.q", "in.k")
    value = semantic_relation(q, k)
    close(value, tensors["out.src"].squeeze(), TIGHT)
    gradients(value, [q], tensors, "out.src_grad_q")


@of_kind("contrast", "negcut")
def test_negcut(entry, tensors):
    q, k, n = doubles(tensors, "in.q", "in.k", "in.n")
    values = nce_against(q, k, n, entry["nce_T"], reduction="none")
    close(values, tensors["out.loss"], TIGHT)
    gradients(values, [q, k, n], tensors, "out.grad_q", "out.grad_k", "out.grad_n")
    assert diversity(n).item() == pytest.approx(entry["diversity"], rel=TIGHT)
    gradients(diversity(n), [n], tensors, "out.diversity_grad_n")


@of_kind("contrast", "f_lsesim")
def test_lsesim(entry, tensors):
    for name, v in entry["variants"].items():
        sides = doubles(tensors, "in.source", "in.output", "in.other")
        source, output, _ = sides
        head = torch.nn.Identity()
        if v.get("learned_attn"):
            head = load(SimilarityHead([entry["channels"]]), tensors).double()
        maps = []
        for feature in sides:
            x = head([feature])[0] if v.get("learned_attn") else feature
            ids = torch.arange(min(v["patch_nums"], x[0, 0].numel()))
            maps.append(similarity_maps(x - x.mean((2, 3), keepdim=True), ids, v["patch_size"], v["use_norm"]))
        out, places = f"out.{name}.", ["grad_source", "grad_output"]
        if not v.get("learned_attn"):
            close(maps[0], tensors[f"{out}map_source"], TIGHT)
            close(maps[1], tensors[f"{out}map_output"], TIGHT)
            value = spatial_loss(*maps[:2], v["loss_mode"], v["use_norm"])
            close(value, tensors[f"{out}value"].squeeze(), TIGHT)
            gradients(value, [source, output], tensors, *(out + place for place in places))
            continue
        value = spatial_loss(*maps[:2], "cos", v["use_norm"])
        close(value, tensors[f"{out}spatial"].squeeze(), TIGHT)
        gradients(value, [source, output], tensors, *(f"{out}spatial_{place}" for place in places))
        value = spatial_contrast(*maps, v["T"])
        close(value, tensors[f"{out}contrast"].squeeze(), TIGHT)
        names, parameters = zip(*head.named_parameters(), strict=True)
        wanted = [*places, "grad_other", *(f"grad.{parameter}" for parameter in names)]
        gradients(value, [*sides, *parameters], tensors, *(f"{out}contrast_{place}" for place in wanted))


@of_kind("contrast", "unsb")
def test_unsb_losses(entry, tensors):
    for i, published in entry["by_time_index"].items():
        names = [f"in.{i}.{name}" for name in ("joint", "crossed", "x", "f")]
        joint, crossed, x, f = doubles(tensors, *names)
        value = joint_entropy(joint, crossed)
        assert value.item() == pytest.approx(published["E"], rel=TIGHT)
        gradients(value, [joint, crossed], tensors, f"out.{i}.E_grad_joint", f"out.{i}.E_grad_crossed")
        T = entry["T"]
        value = bridge_cost(joint, crossed, x, f, (T - int(i)) / T, entry["tau"])
        assert value.item() == pytest.approx(published["SB"], rel=TIGHT)
        places = [f"out.{i}.SB_grad_{name}" for name in ("joint", "crossed", "f")]
        gradients(value, [joint, crossed, f], tensors, *places)


@of_kind("schedule", "unsb")
def test_unsb_schedule(entry, tensors):
    for name, published in entry["schedules"].items():
        times, mix, variance = bridge.schedule(int(name.removeprefix("T")))
        assert times == pytest.approx(published["times"], rel=TIGHT)
        assert mix == pytest.approx(published["mix"], rel=TIGHT)
        assert variance == pytest.approx(published["variance"], rel=TIGHT)


@of_kind("feature_head", "qs_attn")
def test_qs_attn(entry, tensors):
    mode, count = entry["QS_mode"], entry["num_patches"]
    sides = [[tensors[f"in.{s}.{i}"].double() for i in counted(tensors, "out.keys.")] for s in ("source", "output")]
    source, output = ([x.requires_grad_() for x in side] for side in sides)
    F = PatchSampler([x.shape[1] for x in source], entry["netF_nc"]).double()
    load(F, tensors)
    first = 0 if "attending_taps" in entry else 3
    ids = first_places(F, source[:first], count)
    for i, x in enumerate(source[first:], start=first):
        vectors, width = x.flatten(2).transpose(1, 2), x.shape[3]
        local = 7 if mode != "global" else None
        entropies = entropy(vectors, width, local)
        close(entropies, tensors[f"out.entropy.{i}"], TIGHT)
        rows = entropies.topk(count, largest=False).indices
        assert torch.equal(rows, tensors[f"out.places.{i}"])
        routes = attention(vectors, rows, width, local if mode == "local" else None)
        ids.append(routes)
    queries, keys = F(output, ids), F(source, ids)
    values = []
    for i, (q, k) in enumerate(zip(queries, keys, strict=True)):
        close(q, tensors[f"out.queries.{i}"], TIGHT)
        close(k, tensors[f"out.keys.{i}"], TIGHT)
        values.append(patch_nce(q, k, entry["nce_T"]))
    value = torch.stack(values).mean()
    assert value.item() == pytest.approx(entry["value"], rel=TIGHT)
    heads, names = zip(*((p, f"out.grad.{name}") for name, p in F.named_parameters()), strict=True)
    inputs = [*output, *source, *heads]
    places = [f"out.grad_{side}.{i}" for side in ("output", "source") for i in range(len(output))]
    gradients(value, inputs, tensors, *places, *names)


@of_kind("feature_head", "enco")
def test_enco(entry, tensors, monkeypatch):
    layers = counted(tensors, "in.encoder.")
    encoder, decoder = (doubles(tensors, *(f"in.{way}.{i}" for i in layers)) for way in ("encoder", "decoder"))
    F = load(PairHead([x.shape[1] for x in encoder], entry["netF_nc"]), tensors).double()
    asked = SimpleNamespace(**{name: entry[name] for name in ("num_patches", "random_ratio", "oversample_ratio")})
    model = SimpleNamespace(
        opt=asked, draw=lambda i, *rest: (tensors[f"in.oversampled.{i}"], tensors[f"in.random.{i}"])
    )
    ids = [EnCoModel.places(model, i, x, tensors["in.logits"].double()) for i, x in enumerate(encoder)]
    queries, keys = F(decoder, encoder, ids)
    values = []
    for i in layers:
        assert torch.equal(ids[i], tensors[f"out.ids.{i}"])
        close(queries[i], tensors[f"out.queries.{i}"], TIGHT)
        close(keys[i], tensors[f"out.keys.{i}"], TIGHT)
        values.append(2 - 2 * (queries[i] * keys[i]).sum(2))
        close(values[-1], tensors[f"out.distance.{i}"], TIGHT)
    value = torch.stack([v.mean() for v in values]).mean()
    assert value.item() == pytest.approx(entry["value"], rel=TIGHT)
    names, heads = zip(*F.named_parameters(), strict=True)
    places = [f"out.grad_decoder.{i}" for i in layers]
    gradients(value, [*decoder, *heads], tensors, *places, *(f"out.grad.{name}" for name in names))
    for name, published in safetensors.under(tensors, "out.after.").items():
        torch.testing.assert_close(F.state_dict()[name], published, rtol=TIGHT, atol=1e-12)


# ---- networks --------------------------------------------------------------------------------------------------------


@of_kind("generator", "santa")
def test_santa_generator(entry, tensors):
    G = load(networks.define("path_G", entry["netG"], **entry), tensors).double()
    h = G.encode(tensors["in.x"].double())
    close(h, tensors["out.latent"], TIGHT)
    taps = entry["path_layers"]
    for i in counted(tensors, "in.d."):
        image, features = G.decode(h, tensors[f"in.d.{i}"].double(), taps)
        close(image, tensors[f"out.y.{i}"], TIGHT)
    for layer, feature in zip(taps, features, strict=True):
        close(feature, tensors[f"out.feat.{layer}"], TIGHT)


@of_kind("flow", "decent")
def test_decent_density(entry, tensors):
    density = load(Density(entry["dim"], entry["hidden_per_dim"], flows=entry["blocks"]), tensors).double()
    (x,) = doubles(tensors, "in.x")
    y, log_p = density(x)
    close(y, tensors["out.y"], TIGHT)
    close(log_p, tensors["out.log_prob"], TIGHT)
    names, parameters = zip(*density.named_parameters(), strict=True)
    gradients(-log_p, [x, *parameters], tensors, "out.grad_x", *(f"out.grad.{name}" for name in names))


@of_kind("generator", "f_lsesim")
def test_vgg_features(entry, tensors):
    network = VGG16Features(safetensors.under(tensors, "state."), entry["attn_layers"]).double()
    for tap, feature in zip(entry["attn_layers"], network(tensors["in.x"].double()), strict=True):
        close(feature, tensors[f"out.feat.{tap}"], TIGHT)


@of_kind("generator", "unsb")
def test_unsb_generator(entry, tensors):
    settings = dict(block=entry["unsb_block"], timesteps=max(entry["time_index"]) + 1)
    G = load(networks.define("bridge_G", entry["netG"], **entry | settings), tensors).double()
    x, z = tensors["in.x"].double(), tensors["in.z"].double()
    for index in entry["time_index"]:
        close(G.predict(x, index, z), tensors["out.y"], TIGHT)
    for layer, feature in zip(entry["nce_layers"], G.features(x, entry["nce_layers"], z), strict=True):
        close(feature, tensors[f"out.feat.{layer}"], TIGHT)


@of_kind("discriminator", "unsb")
def test_unsb_discriminators(entry, tensors):
    settings = {"n_layers": entry["n_layers_D"], "timesteps": max(entry["time_index"]) + 1}
    D = load(networks.define("bridge_D", entry["netD"], **entry | settings), tensors).double()
    x = torch.cat([tensors[name].double() for name in ("in.x", "in.x2") if name in tensors], 1)
    for index in entry["time_index"]:
        close(D(x, index), tensors[f"out.y.{index}"], TIGHT)


# ---- whole training steps --------------------------------------------------------------------------------------------


def runs():
    """(name of a recording, None or one of its alternatives), of those whose change has a flag here."""
    entries = {name: entry for name, entry in INDEX.items() if entry["kind"] == "train_steps"}
    return [(n, a) for n, e in entries.items() for a in (None, *e.get("alternatives", {}))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tensors", "alternative"), runs(), ids=["-".join(filter(None, run)) for run in runs()], indirect=["tensors"]
)
def test_training_steps(tensors, alternative, request, monkeypatch, tmp_path):
    name = request.node.callspec.params["tensors"]
    entry = INDEX[name]
    expected = entry["alternatives"][alternative] if alternative else entry
    replay = REPLAYS[entry["method"]](entry, tensors, monkeypatch, tmp_path)
    monkeypatch.setattr(PatchSampler, "sample_ids", first_places)
    steps = Steps(replay.command(alternative), tensors, replay.own)
    replay.begin(steps)
    for step in range(entry["steps"]):
        replay.before(step)
        losses = replay.published(steps.step(**replay.images(step)), alternative)
        assert {k: losses.get(k) for k in expected["losses"][step]} == pytest.approx(
            expected["losses"][step], rel=TIGHT
        )
        recorded = {k: v for k, v in expected["grad_norms"][step].items() if k not in replay.frozen}
        assert {k: steps.norms.get(k) for k in recorded} == pytest.approx(recorded, rel=TIGHT)
    if not alternative:
        close(steps.model.fake_B, tensors["out.fake_B"])
    moved = {k: steps.moved().get(k, 0.0) for k in expected["param_change"]}
    assert moved == pytest.approx(expected["param_change"], rel=1e-3)
    replay.end()
