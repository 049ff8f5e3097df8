"""The methods since CUT: values in closed form, what a step may change, options, whole runs."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import networks
import test as test_script
import train as train_script
from models import MODELS, base_translation
from models.inference.translator import Translator
from models.inference.weight_folder import run_options
from models.losses import (
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
from models.losses.transport import log_weights
from networks.bridge import schedule
from networks.glyph_judge import GlyphJudge
from networks.momentum import follow, momentum_copy
from networks.query_attention import attention, entropy
from options import UserError
from options.fields import idle
from tests.conftest import EVERY_STEP, train_options
from tests.models.test_cut import batch, step
from tests.test_train import differences, state
from util import distributed
from util.images import read_pixels, to_tensor
from util.training.engine import Engine

TINY = ("--ngf", 4, "--ndf", 4, "--load_size", 36, "--crop_size", 32, "--netD", "n_layers", "--n_layers_D", 2)
RESNET = (*TINY, "--netG", "resnet_4blocks")
PATCHES = (*RESNET, "--netF_nc", 8, "--num_patches", 16)
UNPAIRED = {
    "monce": PATCHES,
    "hneg_src": PATCHES,
    "qsattn": PATCHES,
    "negcut": PATCHES,
    "lsesim": (*RESNET, "--patch_nums", 16, "--learned_attn", "--augment"),
    "santa": (*TINY, "--netG", "adain_resnet_6blocks"),
    "decent": (*RESNET, "--num_patches", 16, "--bnaf_dim", 2),
    "enco": PATCHES,
    "unsb": (*TINY[:8], "--n_layers_D", 2, "--netG", "resnet_6blocks_cond", "--netF_nc", 8, "--num_patches", 16),
}
SAMPLE = ("negcut", "decent", "unsb")  # what they keep besides weights: a slow copy, other moments, a second image


def some(names):
    """Every method; those that no sample is of are for ``make test-all``."""
    return [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.exhaustive) for name in names]


def build(model, *argv):
    opt = train_options(*map(str, ("--model", model, *UNPAIRED[model], "--gpu_ids", -1, *argv)))
    engine = Engine(opt)
    return engine.prepare(MODELS.find(model)(opt)), engine


def items(B=1, size=32, seed=0):
    data = batch(B, size, seed)
    return data | {"A2": batch(B, size, seed + 1)["A"]}


def e4():
    """Queries and keys of four places of three numbers each, as unit vectors."""
    q = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=torch.float64)
    k = torch.tensor([[1.0, 1, 0], [0, 1, 1], [1, 0, 1], [1, 0, 0]], dtype=torch.float64)
    return F.normalize(q, dim=1)[None], F.normalize(k, dim=1)[None]


# ---- values ----------------------------------------------------------------------------------------------------------


def test_monce_of_four_places():
    q, k = e4()
    assert patch_nce(q, k, 0.5).item() == pytest.approx(1.245597, abs=1e-6)
    assert monce(q, k, 0.5, 1.0).item() == pytest.approx(1.351193, abs=1e-6)
    assert monce(q, k, 0.5, 1.0, "easy").item() == pytest.approx(1.129078, abs=1e-6)
    assert monce(q, k, 0.5, 0.1).item() == pytest.approx(1.583631, abs=1e-6)
    itself = torch.eye(4, dtype=torch.bool)
    w = 3 * log_weights(q @ k.transpose(1, 2), itself, 1.0, "hard", 50, True).exp()[0]
    rows = [[0.4908, 1.0928, 1.4164], [1.3931, 0.8169, 0.7900], [0.6901, 1.5162, 0.7937], [0.9167, 0.9930, 1.0902]]
    torch.testing.assert_close(w[~itself].view(4, 3), torch.tensor(rows, dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(w.sum(0) / 3, torch.ones(4, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(w.sum(1) / 3, torch.ones(4, dtype=torch.float64), atol=1e-6, rtol=0)


def test_monce_is_patch_nce_where_all_negatives_weigh_the_same():
    q, k = (F.normalize(torch.randn(2, 6, 5, dtype=torch.float64), dim=2) for _ in range(2))
    assert monce(q, k, eps=1e6).item() == pytest.approx(patch_nce(q, k).item(), rel=1e-5)
    same = q[:, :1].expand(-1, 6, -1)
    assert monce(same, same).item() == pytest.approx(math.log(6), rel=1e-6)
    assert monce(same, same, exact_mask=False).item() == pytest.approx(1.791757, abs=2e-6)
    assert monce(same, same, weight=2).item() == pytest.approx(math.log(11), rel=1e-6)


@pytest.mark.parametrize("cost", ["hard", "easy"])
def test_monce_is_finite_where_an_exponential_is_not(cost):
    q, k = (F.normalize(torch.randn(1, 8, 5), dim=2).requires_grad_() for _ in range(2))
    value = monce(q, k, eps=0.001, cost=cost)
    value.backward()
    assert value.isfinite() and q.grad.isfinite().all() and k.grad is None


def test_hneg_src_of_four_places():
    q, k = e4()
    assert decoupled(q, k, 0.5, None).mean().item() == pytest.approx(0.870274, abs=1e-6)
    for gamma, value in ((50, 0.866915), (10, 0.854110), (1, 0.755903)):
        assert decoupled(q, k, 0.5, gamma).mean().item() == pytest.approx(value, abs=1e-6)
    rows = [[0.8129, 0.8129, 1], [1, 1, 0.6065], [0.8129, 0.8129, 1], [1, 0.4931, 1]]
    W = hard_weights(k, 1)[0][~torch.eye(4, dtype=torch.bool)].view(4, 3)
    torch.testing.assert_close(W, torch.tensor(rows, dtype=torch.float64), atol=1e-4, rtol=0)
    assert semantic_relation(q, k).item() == pytest.approx(0.039298, abs=1e-6)
    equal = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(1, 4, 4)
    assert semantic_relation(equal, torch.eye(4, dtype=torch.float64)[None]).item() == pytest.approx(0.111250, abs=1e-6)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    assert semantic_relation(k @ turn, k).item() == pytest.approx(0, abs=1e-12)


def test_hneg_src_is_of_each_image_alone():
    q, k = (F.normalize(torch.randn(2, 6, 5), dim=2) for _ in range(2))
    each = torch.stack([hdce(q[i : i + 1], k[i : i + 1]) for i in range(2)])
    assert hdce(q, k).item() == pytest.approx(each.mean().item(), rel=1e-6)
    each = torch.stack([semantic_relation(q[i : i + 1], k[i : i + 1]) for i in range(2)])
    assert semantic_relation(q, k).item() == pytest.approx(each.mean().item(), rel=1e-5)


def test_entropy_of_orthogonal_features():
    """Of squared lengths a: H = -p ln p - (1 - p) ln((1 - p) / (N - 1)), p = e^a / (e^a + N - 1)."""
    x = torch.diag(torch.arange(4, dtype=torch.float64).sqrt())[None]
    found = entropy(x, 2)
    wanted = torch.tensor([[1.386294, 1.268301, 0.918284, 0.529061]], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
    order = found.topk(4, largest=False).indices
    assert order.tolist() == [[3, 2, 1, 0]]
    routed = attention(x, order, 2) @ x
    directions = torch.tensor([0, 0.043317, 0.061260, 1.506968], dtype=torch.float64)
    torch.testing.assert_close(routed[0, 0], directions, atol=1e-6, rtol=0)
    torch.testing.assert_close(entropy(torch.zeros(1, 6, 3), 3), torch.full((1, 6), math.log(6)))


def test_a_window_ends_at_the_border_and_holds_places():
    x = torch.randn(2, 30, 4)
    weights = attention(x, torch.tensor([[0, 14], [29, 14]]), width=6, window=3).view(2, 2, 5, 6)
    inside = torch.zeros(2, 2, 5, 6, dtype=torch.bool)
    inside[0, 0, :2, :2] = inside[1, 0, 3:, 4:] = True
    inside[:, 1, 1:4, 1:4] = True
    assert torch.equal(weights > 0, inside)
    whole = attention(x, torch.tensor([[0, 14], [29, 14]]), width=6, window=13)
    torch.testing.assert_close(whole, attention(x, torch.tensor([[0, 14], [29, 14]]), width=6))


def test_negatives_that_are_made():
    same = F.normalize(torch.ones(1, 4, 256), dim=2)
    assert nce_against(same, same, same[:, :1].expand(-1, 256, -1)).item() == pytest.approx(5.549076, abs=1e-5)
    axis = torch.zeros(1, 2, 256)
    axis[0, 0, 0], axis[0, 1, 0] = 1, -1
    assert diversity(axis).item() == pytest.approx(0.0078125)
    torch.manual_seed(0)
    apart = F.normalize(torch.randn(4, 64, 256), dim=2)
    assert diversity(apart).item() == pytest.approx(0.0705, abs=1e-3)


def test_maps_of_similarity():
    x, y = torch.randn(2, 1, 5, 6, 6, dtype=torch.float64)
    ids = torch.arange(36)

    def maps(f, normed=False):
        return similarity_maps(f - f.mean((2, 3), keepdim=True), ids, normed=normed)

    moved = x + torch.randn(1, 5, 1, 1, dtype=torch.float64)
    assert spatial_loss(maps(x), maps(moved)).item() == pytest.approx(0, abs=1e-20)
    assert spatial_loss(maps(x, True), maps(3 * moved, True), normed=True).item() == pytest.approx(0, abs=1e-12)
    mirrored = spatial_loss(maps(x.flip(3)), maps(y.flip(3)))
    assert mirrored.item() == pytest.approx(spatial_loss(maps(x), maps(y)).item(), rel=1e-9)
    same = torch.ones(1, 36, 9)
    assert spatial_contrast(same, same, same).item() == pytest.approx(4.682131, abs=1e-5)
    out = maps(y)
    assert (out >= out.topk(10, dim=2).values[..., -1:]).sum(2).eq(10).all()  # 36 // 4 + 1 survive


def test_the_bridge_of_five_times():
    times, mix, variance = schedule(5)
    assert times == pytest.approx([0, 0.5, 0.74, 0.86, 0.94, 1])
    assert mix[:4] == pytest.approx([0.5, 0.48, 0.461538, 0.571429], abs=1e-6)
    assert [math.sqrt(v * 0.01) for v in variance[:4]] == pytest.approx([0.05, 0.0353, 0.0254, 0.0185], abs=1e-4)
    least = torch.full((1, 1, 30, 30), -math.log(900.0))
    assert joint_entropy(least, least).item() == pytest.approx(6.802395, abs=1e-5)


def test_momentum_is_that_of_every_weight():
    fast = torch.nn.Linear(3, 2)
    slow = momentum_copy(fast)
    before = [p.clone() for p in slow.parameters()]
    torch.nn.init.normal_(fast.weight)
    follow(slow, fast, 0.9)
    for old, mine, theirs in zip(before, slow.parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(mine, 0.9 * old + 0.1 * theirs)
        assert not mine.requires_grad


# ---- networks --------------------------------------------------------------------------------------------------------


def test_time_acts_in_the_paper_block_alone():
    x, z = torch.randn(1, 3, 32, 32), torch.randn(1, 16)
    for block, acts in (("paper", True), ("released", False)):
        torch.manual_seed(0)
        G = networks.define("bridge_G", "resnet_6blocks_cond", input_nc=3, output_nc=3, ngf=4, block=block)
        networks.init_weights(G, "xavier", 1.0)
        change = (G.predict(x, 0, z) - G.predict(x, 4, z)).abs().max().item()
        assert (change > 1e-3) == acts and (acts or change == 0)


def test_a_chain_is_of_each_image_and_ends_where_it_is_told():
    G = networks.define("bridge_G", "resnet_6blocks_cond", input_nc=3, output_nc=3, ngf=4, nfe=3)
    networks.init_weights(G, "xavier", 1.0).double()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        steps = list(G.chain(x))
        assert len(steps) == 3 and torch.equal(G(x), steps[-1])
        torch.testing.assert_close(G(x[1:]), G(x)[1:])


def test_santa_without_d_is_the_other_end():
    G = networks.define("path_G", "adain_resnet_6blocks", input_nc=3, output_nc=3, ngf=4)
    networks.init_weights(G, "xavier", 1.0)
    x = torch.randn(2, 3, 32, 32)
    h = G.encode(x)
    ends = [G.decode(h, torch.full((2,), d))[0] for d in (0.0, 1.0)]
    assert torch.equal(G(x), ends[1]) and not torch.allclose(*ends)


# ---- a step ----------------------------------------------------------------------------------------------------------


def moved(model, before):
    return {
        name
        for name, network in model.networks.items()
        if any(not torch.equal(p, q) for p, q in zip(network.parameters(), before[name], strict=True))
    }


def test_each_player_moves_what_is_its_own():
    model, engine = build("negcut")
    turns = []
    update = Engine.update

    def watched(self, owner, name, losses):
        before = {n: [p.detach().clone() for p in m.parameters()] for n, m in owner.networks.items()}
        terms = update(self, owner, name, losses)
        turns.append((name, moved(owner, before)))
        return terms

    engine.update = watched.__get__(engine)
    step(model, engine, items())
    assert turns == [("D", {"D"}), ("N", {"N"}), ("G", {"G", "F"})]


def test_the_identity_term_of_enco_ends_and_the_distance_counts_whole():
    model, engine = build("enco", "--n_epochs", 1, "--n_epochs_decay", 1)
    step(model, engine, items())
    assert {"idt", "distance"} <= model.losses.keys()
    engine.progress.epoch = 1
    step(model, engine, items())
    assert "idt" not in model.losses and "distance" in model.losses


@pytest.mark.parametrize("name", ["monce", "santa"])
def test_a_judge_keeps_the_class_of_a_translation(name, monkeypatch):
    torch.manual_seed(0)
    judge = GlyphJudge("label", ["cat", "dog", "owl"], channels=1, size=32, width=4).eval()
    monkeypatch.setattr(base_translation, "read_judge", lambda folder, model: judge)
    model, engine = build(name, "--lambda_semantic", 2, "--label_judge", "judges/animals")
    before = [p.clone() for p in judge.parameters()]
    data = items()
    step(model, engine, data)
    real, fake = data["A"].mean(1, keepdim=True), model.fake_B.mean(1, keepdim=True)
    wanted = 2 * F.cross_entropy(judge(fake), judge(real).argmax(1))
    assert model.losses["semantic"].item() == pytest.approx(wanted.item(), rel=1e-4)
    assert not any(name.startswith("class_judge") for name in model.state_dict()) and "semantic" in model.loss_owners
    assert all(torch.equal(p, q) for p, q in zip(judge.parameters(), before, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--precision", "bf16"), ("--batch_size", 2)], ids=["sizes", "bf16", "batch"])
@pytest.mark.parametrize("name", UNPAIRED)
def test_a_step_of_any_kind_is_finite(name, words):
    """Sides of unequal sizes, and a second image of a third; low precision; several images."""
    model, engine = build(name, *words)
    data = items(2 if "--batch_size" in words else 1)
    if not words:
        sizes = {"A": (20, 48), "B": (36, 24), "A2": (32, 32)}
        data |= {side: torch.rand(1, 3, *size) * 2 - 1 for side, size in sizes.items()}
    for _ in range(2):
        step(model, engine, data)
    engine.check_losses(model)
    assert all(math.isfinite(value) for value in model.get_current_losses().values())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--model monce --eps 0", "--eps 0"),
        ("--model monce --nce_T 0", "--nce_T 0"),
        ("--model monce --negatives queue", "--negatives queue"),
        ("--model monce --nce_includes_all_negatives_from_minibatch true", "--nce_includes_all_negatives_from_minib"),
        ("--model hneg_src --lambda_NCE 2", "--lambda_HDCE"),
        ("--model hneg_src --CUT_mode FastCUT", "give --lambda_NCE 1 too"),
        ("--model hneg_src --HDCE_gamma 0", "--HDCE_gamma 0"),
        ("--model hneg_src --netF global_pool", "--netF global_pool"),
        ("--model qsattn --random_taps 5", "--random_taps 5"),
        ("--model qsattn --netF reshape", "--netF reshape"),
        ("--model qsattn --nce_layers 0,4,8,77", "77"),
        ("--model negcut --num_patches 0", "--num_patches 0"),
        ("--model negcut --momentum_F 1", "--momentum_F 1"),
        ("--model lsesim --augment", "--learned_attn"),
        ("--model lsesim --vgg_weights nowhere.pth", "nowhere.pth"),
        ("--model lsesim --attn_layers 4,99", "99"),
        ("--model lsesim --learned_attn --lambda_spatial 0", "--lambda_spatial 0"),
        ("--model lsesim --input_nc 1", "--vgg_weights"),
        ("--model santa --path_layers 0,77", "77"),
        ("--model santa --path_interval_min 0.5", "--path_interval_min 0.5"),
        ("--model santa --netG resnet_9blocks", "adain_resnet_9blocks"),
        ("--model decent --num_patches 1", "--num_patches 1"),
        ("--model decent --var_layers 0,0", "twice"),
        ("--model enco --nce_layers 3,7,13", "--nce_layers"),
        ("--model enco --netG unet_128 --crop_size 128", "--nce_layers"),
        ("--model enco --num_patches 1", "batch norms"),
        ("--model enco --netF_nc 1", "--netF_nc 1"),
        ("--model lsesim --patch_size 1", "--patch_size 1"),
        ("--model enco --netD stylegan2 --crop_size 32", "--netD stylegan2"),
        ("--model unsb --ngf 2", "--ngf 2"),
        ("--model unsb --nfe 6", "--nfe 6"),
        ("--model pix2pix --lambda_L1 0 --lambda_GAN 0", "--lambda_L1 0"),
        ("--model pix2pix --netD multiscale --scales_D 5 --netG resnet_4blocks --crop_size 32", "smaller --scales_D"),
        ("--model cut --lambda_semantic 1", "--label_judge"),
        ("--model cut --lambda_semantic 1 --label_judge nowhere", "--label_judge nowhere"),
    ],
)
def test_options_that_make_no_sense_are_a_line(words, told):
    with pytest.raises(UserError) as error:
        opt = train_options(*words.split(), *(() if "--ngf" in words else ("--ngf", "4")), "--ndf", "4")
        MODELS.find(opt.model)(opt)
    assert told in str(error.value) and "\n" not in str(error.value)


def vgg16(width=2):
    """Weights of a VGG-16 of few channels, as torchvision names them."""
    sizes = [("features.0", 3)] + [(f"features.{i}", width) for i in (2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
    return {f"{k}.weight": torch.randn(width, c, 3, 3) for k, c in sizes} | {
        f"{k}.bias": torch.zeros(width) for k, _ in sizes
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--attn_layers", "4,4"), "4, 4: name each ReLU once"),
        (("--attn_layers", "13"), "no ReLU 13"),
        (("--input_nc", 4, "--output_nc", 4), "--input_nc 4"),
    ],
)
def test_what_vgg_cannot_look_at_is_a_line(words, told, tmp_path):
    torch.save(vgg16(), tmp_path / "vgg16.pth")
    with pytest.raises(UserError) as error:
        build("lsesim", "--vgg_weights", tmp_path / "vgg16.pth", *words)
    assert told in str(error.value) and "--vgg_weights" in str(error.value)


@pytest.mark.parametrize("name", ["cut", "monce", "enco", "santa", "decent", "pix2pix"])
def test_a_flag_that_nothing_reads_is_said(name):
    (line,) = idle(train_options("--model", name, "--pool_size", "5"))
    assert line.startswith("--pool_size 5: nothing reads it")
    assert idle(train_options("--model", name, "--pool_size", "0")) == []


def test_the_published_command_of_enco_trains_at_its_rates():
    words = "--netF mlp_sample_with_DAG --lr_G 3e-5 --lr_F 4e-5 --lr_D 2e-4 --flip_equivariance True --lambda_IDT 10"
    model, engine = build("enco", *words.split())
    rates = {name: [group["initial_lr"] for group in o.param_groups] for name, o in model.optimizers.items()}
    assert rates == {"D": [2e-4], "G": [3e-5, 4e-5]}
    assert [line for line in idle(engine.opt) if line.startswith("--flip_equivariance true: nothing reads it")]


@pytest.mark.parametrize(("name", "told"), [("santa", True), ("unsb", True), ("monce", False)])
def test_what_is_not_compiled_is_said(name, told, capsys):
    distributed.forget_said()
    MODELS.find(name)(train_options(*map(str, ("--model", name, *UNPAIRED[name], "--gpu_ids", -1, "--compile", True))))
    assert ("which are not compiled" in capsys.readouterr().err) == told


def test_enco_looks_where_the_output_is_whatever_d_is_shown(monkeypatch):
    model, engine = build("enco", "--augment_D", "translation")
    distance, asked = model.distance, []
    monkeypatch.setattr(
        model, "distance", lambda logits: asked.append((logits, model.netD.forward(model.fake_B))) or distance(logits)
    )
    step(model, engine, items())
    torch.testing.assert_close(*asked[0])


def test_dclgan_and_lsesim_read_the_pool():
    assert idle(train_options("--model", "dcl", "--preset", "dcl-paper")) == []
    assert idle(train_options("--model", "lsesim", "--pool_size", "5")) == []


def test_unsb_without_a_second_image_is_a_line():
    model, _ = build("unsb", "--second_A", "false")
    with pytest.raises(UserError, match="--second_A false"):
        model.set_input(batch(1, 32))


def test_a_bridge_without_its_run_says_what_chain_it_takes(tmp_path, capsys):
    distributed.forget_said()
    G = networks.define("bridge_G", "resnet_6blocks_cond", input_nc=3, output_nc=3, ngf=4)
    torch.save(G.state_dict(), tmp_path / "latest_net_G.pth")
    assert Translator.from_checkpoint(tmp_path / "latest_net_G.pth").netG.nfe == 5
    assert "--num_timesteps 5 --tau 0.01" in capsys.readouterr().err
    tested = run_options({"checkpoints_dir": str(tmp_path.parent), "name": tmp_path.name, "epoch": "latest"})
    assert tested.values["model"] == "unsb" and "--num_timesteps, --tau and --nfe" in capsys.readouterr().err


@pytest.mark.parametrize("weight", ["0", "100"])
def test_pix2pix_takes_pairs_alone(weight):
    """Its discriminator sees source and image side by side, with a supervised term or without."""
    opt = train_options("--model", "pix2pix", "--lambda_L1", weight, "--ngf", "4", "--ndf", "4")
    model = MODELS.find("pix2pix")(opt)
    for paired, unpaired, told in ((False, 0, "needs pairs"), (True, 3, "--unpaired drop")):
        with pytest.raises(UserError, match=told):
            train_script.check_pairs(opt, SimpleNamespace(paired=paired, unpaired=unpaired), model)
    train_script.check_pairs(opt, SimpleNamespace(paired=True, unpaired=0), model)


# ---- whole runs ------------------------------------------------------------------------------------------------------


def argv(name, dataroot, folder, *more):
    words = ["--model", name, "--dataroot", dataroot, "--checkpoints_dir", folder / "checkpoints", "--name", "run"]
    words += [*UNPAIRED[name], "--gpu_ids", -1, "--num_threads", 0, "--max_dataset_size", 3, *more]
    return [str(word) for word in words]


@pytest.mark.parametrize("netF", ["mlp_sample", "reshape"])
def test_the_page_of_monce_shows_what_pushes_the_middle(netF, dataroot, tmp_path):
    flags = ("--n_epochs", 1, "--n_epochs_decay", 0, "--netF", netF, "--nce_layers", "0,8")
    assert train_script.main(argv("monce", dataroot, tmp_path, *flags)) == 0
    words = ["--dataroot", dataroot, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "run", "--gpu_ids", -1]
    assert test_script.main([*map(str, words), "--results_dir", str(tmp_path / "results"), "--num_test", "1"]) == 0
    shown = list((tmp_path / "results/run/test_latest/images/weights").glob("*.png"))
    assert len(shown) == (netF == "mlp_sample")
    for file in shown:
        levels = to_tensor(read_pixels(file, 1))[0]
        assert levels[16, 16] == -1 and levels.max() == 1  # the middle does not push itself


@pytest.mark.slow
@pytest.mark.parametrize("name", some(UNPAIRED))
def test_a_run_goes_on_to_the_same_bits_and_is_tested(name, dataroot, tmp_path, monkeypatch):
    flags = ("--n_epochs", 1, "--n_epochs_decay", 1, *EVERY_STEP, "--save_latest_freq", 1)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert train_script.main(argv(name, dataroot, whole, *flags)) == 0

    def dying(self, model):
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "end_epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        train_script.main(argv(name, dataroot, cut, *flags))
    monkeypatch.undo()
    assert train_script.main(argv(name, dataroot, cut, "--continue_train")) == 0
    assert differences(state(whole), state(cut)) == []
    tested = ["--dataroot", dataroot, "--checkpoints_dir", whole / "checkpoints", "--name", "run", "--gpu_ids", -1]
    assert test_script.main([*map(str, tested), "--results_dir", str(tmp_path / "results")]) == 0
    shown = tmp_path / "results/run/test_latest/images"
    assert len(list(shown.glob("fake_B/*.png"))) == 3
