"""zi2zi: what each step trains, what each term is made of, presets, fine-tuning."""

import re

import pytest
import torch
import torch.nn.functional as F

import train as train_script
from data import DATASETS, Loader
from models import MODELS
from models.losses import balance, related, total_variation
from options import UserError
from tests.conftest import train_options
from util.training.engine import Engine

FONTS = ("DejaVuSerif", "DejaVuSansMono", "STIXGeneral")
SMALL = (
    *("--model", "zi2zi", "--target_font", *FONTS, "--charset", "ascii", "--crop_size", 16, "--ngf", 4, "--widest", 8),
    *("--ndf", 4, "--embedding_num", 6, "--embedding_dim", 4, "--batch_size", 12, "--styles_per_batch", 3),
    *("--gpu_ids", -1, "--num_threads", 0, "--GAN_from", 0, "--bottom", 1),
)
EVERYTHING = (
    *("--contrastive", "supcon", "--label_shuffling", "--lambda_const", 1, "--lambda_align", 1, "--lambda_tv", 0.1),
    *("--self_attention", "--lambda_r1", 1),
)


def made(tmp_path, *more):
    """Options, dataset, model with an engine, and one batch."""
    opt = train_options(*SMALL, "--checkpoints_dir", tmp_path, *more)
    dataset = DATASETS.find(opt.dataset_mode)(opt)
    engine, model = Engine(opt), MODELS.find(opt.model)(opt)
    model.see_data(dataset)
    engine.prepare(model)
    batch = next(iter(Loader(dataset, opt, engine.place).epoch()))
    return opt, dataset, model, batch


def step(model, batch):
    with model.engine.step(model):
        model.set_input(batch)
        model.optimize_parameters()


def changed(model, before):
    return {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def snapshot(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_term_is_computed_and_every_network_learns(tmp_path, precision):
    _, _, model, batch = made(tmp_path, *EVERYTHING, "--precision", precision)
    before = snapshot(model)
    step(model, batch)
    terms = {"D_real", "D_fake", "D_category", "D_r1", "content_F", "style_F", "G_GAN", "L1", "category", "const"}
    assert terms | {"align", "tv", "dice", "content", "style", "D", "F", "G"} == set(model.loss_names)
    assert all(value == value and abs(value) < 1e4 for value in model.get_current_losses().values())
    assert changed(model, before) == {"netG", "netD", "netF"}


@pytest.mark.parametrize("mode", ["lsgan", "vanilla", "nonsaturating", "hinge", "hinge_paper", "wgangp"])
def test_every_adversarial_loss(tmp_path, mode):
    _, _, model, batch = made(tmp_path, "--gan_mode", mode)
    step(model, batch)
    assert ("D_gp" in model.losses) == (mode == "wgangp")


def test_contrastive_terms_train_whom_they_should(tmp_path):
    _, _, model, batch = made(tmp_path, "--contrastive", "supcon")
    with model.engine.step(model):
        model.set_input(batch)
        model.forward()
        before = snapshot(model)
        model.update("F", model.extractor_losses)
        assert changed(model, before) == {"netF"}
        keys = model.netF(torch.cat([model.source, model.real_B]))  # contrast() lets no gradient into them
        before = snapshot(model)
        model.update("G", lambda: model.contrasts(*model.netF(model.fake_B), keys))
        assert changed(model, before) == {"netG"}


def test_pairs_are_found_where_the_batch_is_put_together(tmp_path):
    """They are those of masks of its labels, and a batch without them gets the same."""
    _, _, model, batch = made(tmp_path, "--contrastive", "supcon")
    character, label = batch["character"], batch["label"]
    once = character[::3]
    keys, styles = torch.cat([once, character]), torch.cat([torch.full_like(once, -1), label])
    model.set_input(batch)
    assert model.pairs.keys() == {(branch, who) for branch in ("content", "style") for who in "FG"}
    for (branch, who), pairs in model.pairs.items():
        of, of_style = (keys, styles) if who == "F" else (character, label)
        masks = related(of, keys) if branch == "content" else related(of_style, styles, (of, keys))
        expected = (*torch.where(masks[0]), *torch.where(masks[1]))
        assert all(map(torch.equal, pairs, expected))
    bare = {key: value for key, value in batch.items() if not key.startswith("pairs")}
    travelled = model.pairs
    assert len(bare) == len(batch) - 16
    model.set_input(bare)
    assert all(all(map(torch.equal, model.pairs[key], travelled[key])) for key in travelled)


@pytest.mark.slow
def test_pairs_come_from_workers_too(tmp_path):
    batches = [made(tmp_path, "--contrastive_style", "supcon", "--num_threads", threads)[3] for threads in (0, 1)]
    assert batches[0].keys() == batches[1].keys() and sum(key.startswith("pairs") for key in batches[0]) == 8
    for key, value in batches[0].items():
        assert torch.equal(value, batches[1][key]) if isinstance(value, torch.Tensor) else value == batches[1][key]


def test_keys_and_generated_glyphs_are_seen_by_the_same_extractor(tmp_path):
    _, _, model, batch = made(tmp_path, "--contrastive", "supcon")
    step(model, batch)
    with torch.no_grad():  # F as it stands after its step, which nothing has changed since
        content, style = model.netF(torch.cat([model.source, model.real_B]))
    assert torch.equal(model.keys[0], content) and torch.equal(model.keys[1], style)
    assert not any(key.requires_grad for key in model.keys)


def test_a_term_of_the_pair_leaves_the_source_half_of_the_penalty_alone(tmp_path):
    _, _, model, batch = made(tmp_path, "--gan_mode", "wgangp", "--lambda_gp", 1, "--sn_D", "false")
    model.set_input(batch)
    model.forward()
    torch.manual_seed(5)
    found = model.discriminator_losses()["D_gp"]
    torch.manual_seed(5)
    alpha = torch.rand(len(model.real_B), 1, 1, 1)
    mixed = (alpha * model.real_B + (1 - alpha) * model.fake_B).detach().requires_grad_()
    score = model.netD(torch.cat([model.real_A, mixed], 1))[0]
    (gradient,) = torch.autograd.grad(score.sum(), mixed)
    assert gradient.shape == model.real_B.shape
    expected = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_constancy_compares_the_generated_glyph_and_alignment_the_true_one(tmp_path):
    _, _, model, batch = made(tmp_path, "--lambda_const", 15, "--lambda_align", 15, "--augment", 0, "--elastic", 0)
    model.set_input(batch)
    model.forward()
    losses = model.generator_losses()
    code = model.code.repeat_interleave(3, 0)
    assert losses["const"].item() == pytest.approx(15 * F.mse_loss(model.netG(model.fake_B), code).item(), rel=1e-4)
    assert losses["align"].item() == pytest.approx(15 * F.l1_loss(model.netG(model.real_B), code).item(), rel=1e-4)
    up = list(model.netG.up.parameters())
    reached = torch.autograd.grad(losses["const"], up, retain_graph=True, allow_unused=True)
    assert all(g is not None for g in reached)  # it trains what draws the glyph
    assert all(g is None for g in torch.autograd.grad(losses["align"], up, allow_unused=True))


def test_category_as_published_is_a_mean_over_yes_and_no(tmp_path):
    model = made(tmp_path, "--category", "bce")[2]
    guess, label = torch.randn(5, 6), torch.tensor([0, 1, 2, 0, 1])
    total = 0.0
    for i in range(5):
        for c in range(6):
            p = guess[i, c].sigmoid()
            total -= (p if c == label[i] else 1 - p).log().item()
    assert model.style_error(guess, label).item() == pytest.approx(total / 30, rel=1e-5)


def test_total_variation_is_tians():
    x = torch.randn(2, 1, 5, 4, dtype=torch.float64)
    expected = sum(
        0.5 * (x[b, 0, h + 1, w] - x[b, 0, h, w]) ** 2 for b in range(2) for h in range(4) for w in range(4)
    ) + sum(0.5 * (x[b, 0, h, w + 1] - x[b, 0, h, w]) ** 2 for b in range(2) for h in range(5) for w in range(3))
    assert total_variation(x).item() == pytest.approx(expected.item() / 4 / 2)


def test_the_ports_weights_of_the_adversarial_term():
    values = {0.01: 0.20, 0.05: 0.35, 0.1: 0.50, 1.0: 0.60, 5.5: 0.05}
    assert [round(balance(torch.tensor(d)).item(), 3) for d in values] == list(values.values())


def test_deformation_is_one_for_a_character_in_all_its_styles(tmp_path):
    fonts = ("--source_font", "DejaVuSerif", "--target_font", "DejaVuSerif", "DejaVuSerif")
    _, dataset, model, batch = made(tmp_path, *fonts, "--styles_per_batch", 2)
    assert dataset.styles == ["DejaVuSerif", "DejaVuSerif-2"]
    model.set_input(batch)
    assert torch.equal(model.real_A, model.real_B) and not torch.allclose(model.real_A, batch["A"], atol=0.1)
    assert torch.equal(model.source.repeat_interleave(2, 0), model.real_A)


def test_label_shuffling_averages_what_needs_no_target(tmp_path):
    _, _, model, batch = made(tmp_path, "--label_shuffling", "--gan_mode", "lsgan")
    model.set_input(batch)
    torch.manual_seed(0)
    model.forward()
    (one, label), (other, shuffled) = model.fakes
    assert sorted(label.tolist()) == sorted(shuffled.tolist()) and not torch.equal(label, shuffled)
    losses = model.generator_losses()
    expected = [(model.judge(fake)[0] - 1).square().mean() for fake in (one, other)]
    assert losses["G_GAN"].item() == pytest.approx((sum(expected) / 2).item(), rel=1e-4)
    assert losses["L1"].item() == pytest.approx(100 * (one - model.real_B).abs().mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    "preset, expected",
    [
        ("zi2zi", dict(lambda_L1=100, lambda_const=15, lambda_category=1, g_steps=2, fixed_styles=True, kernel=5)),
        ("zi2zi-pytorch", dict(lambda_L1=97, lambda_align=15, lambda_const=0, skip="add", up="shuffle", g_steps=1)),
    ],
)
def test_presets(tmp_path, preset, expected):
    opt, _, model, batch = made(tmp_path, "--preset", preset)
    assert {key: getattr(opt, key) for key in expected} == expected
    assert not any("parametrizations" in name for name, _ in model.netD.named_parameters())
    step(model, batch)
    assert model.optimizers["G"].param_groups[0]["lr"] == 1e-3
    if preset == "zi2zi":
        assert model.netG.styles.weight.std() < 0.02
        assert train_options("--model", "zi2zi", "--preset", preset).crop_size == 256


@pytest.mark.parametrize(
    "words, trained",
    [
        (("--tune", "embedding"), {"styles.weight"}),
        (("--tune", "norms"), {"styles.weight", "scale.weight", "shift.weight"}),
        (("--freeze_encoder",), None),
    ],
)
def test_what_fine_tuning_leaves_alone(tmp_path, words, trained):
    _, _, model, batch = made(tmp_path, *words, "--blocks", 1)
    before = snapshot(model.netG)
    buffers = {name: b.clone() for name, b in model.netG.down.named_buffers()}
    step(model, batch)
    assert buffers and all(torch.equal(b, buffers[name]) for name, b in model.netG.down.named_buffers())
    moved = [name for name, p in model.netG.named_parameters() if not torch.equal(p, before[name])]
    if trained is None:
        assert moved and not [name for name in moved if name.startswith("down.")]
        assert any(name.startswith("up.") for name in moved)
    else:
        assert moved and all(name.split(".", 1)[-1].endswith(tuple(trained)) or name in trained for name in moved)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--embedding_num", 2), "--embedding_num 2: the styles go up to number 2; give 3"),
        (("--crop_size", 24), "--crop_size 24: 24 pixels: a power of two"),
        (("--paired", "false"), "leave out --paired false"),
        (("--contrastive_style", "supcon", "--batch_size", 3), "--contrastive_style needs two characters"),
        (("--contrastive_content", "margin", "--styles_per_batch", 0), "--contrastive_content needs two characters"),
        (("--direction", "BtoA"), "swap --source_font and --target_font"),
        (("--input_nc", 3, "--lambda_const", 1), "--lambda_const 1.0 compares both fonts' glyphs by one network"),
        (("--fixed_styles", "--tune", "norms"), "--tune norms trains the table of styles, which --fixed_styles keeps"),
        (("--styles", "DejaVuSerff"), "--styles DejaVuSerff: no such style; did you mean DejaVuSerif?"),
        (("--held_out", "0,1,2"), "leaves no style"),
        (("--gan_mode", "wgangp", "--normD", "batch"), "--normD batch"),
    ],
)
def test_what_cannot_be_trained_is_told(tmp_path, words, message):
    with pytest.raises(UserError, match=re.escape(message)):
        made(tmp_path, *words)


def test_a_kind_of_data_without_styles_is_refused(tmp_path, dataroot):
    opt = train_options("--model", "zi2zi", "--dataset_mode", "unaligned", "--dataroot", dataroot, "--crop_size", 32)
    with pytest.raises(UserError, match="use --dataset_mode font, not unaligned"):
        MODELS.find("zi2zi")(opt).see_data(DATASETS.find("unaligned")(opt))


@pytest.mark.slow
def test_a_new_font_begins_as_the_nearest_style_of_the_run_it_continues(tmp_path, capsys):
    run = ("--checkpoints_dir", str(tmp_path), *map(str, SMALL), "--n_epochs", "1", "--max_dataset_size", "12")
    assert train_script.main([*run, "--name", "base", "--held_out", "STIXGeneral"]) == 0
    more = ("--name", "tuned", "--pretrained_name", "base", "--styles", "STIXGeneral", "--freeze_encoder")
    assert train_script.main([*run, *more, "--batch_size", "4"]) == 0
    assert "style STIXGeneral begins as style number" in capsys.readouterr().out
    base, tuned = (torch.load(tmp_path / name / "latest_net_G.pth") for name in ("base", "tuned"))
    assert all(torch.equal(base[key], tuned[key]) for key in base if re.match(r"down\.\d+\.conv", key))
    assert torch.equal(base["styles.weight"][5], tuned["styles.weight"][5])
    assert not torch.equal(base["styles.weight"][2], tuned["styles.weight"][2])


@pytest.mark.slow
def test_a_run_that_was_cut_off_goes_on_bit_for_bit(tmp_path):
    words = [*map(str, SMALL), "--contrastive", "supcon", "--splice", "0.5", "--GAN_from", "0.4", "--ema_decay", "0.9"]
    words += [
        "--max_dataset_size",
        "9",
        "--n_epochs",
        "4",
        "--save_epoch_freq",
        "1",
        "--checkpoints_dir",
        str(tmp_path),
    ]
    assert train_script.main([*words, "--name", "run"]) == 0
    names = [f"latest_net_{network}.pth" for network in ("G", "D", "F", "G_ema")]
    whole = {name: torch.load(tmp_path / "run" / name) for name in names}
    assert train_script.main([*words, "--name", "run", "--continue_train", "--epoch", "2"]) == 0
    for name in names:
        again = torch.load(tmp_path / "run" / name)
        assert all(torch.equal(again[key], value) for key, value in whole[name].items()), name
