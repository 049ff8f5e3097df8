"""XMC-GAN: who learns when and from what, which pairs are negatives, what is logged, what grids are made of."""

import itertools
import json
from types import SimpleNamespace

import pytest
import torch

import train as train_script
from models.losses import cosine_scores, matching_loss, word_scores
from models.xmcgan_model import XMCGANModel, agree
from networks.text import Text
from options import UserError
from tests.conftest import train_options, weights
from tests.models.captions.test_encoders import SPELLER, speller
from tests.test_latent import run, same, state
from tests.util.test_distributed import in_processes
from util import distributed
from util.attributes import holds
from util.training.engine import Engine

TINY = (
    *("--ngf", 8, "--ndf", 8, "--z_dim", 8, "--batch_size", 8, "--gpu_ids", -1),
    *("--text_dim", 16, "--text_layers", 1, "--text_heads", 2, "--max_words", 9),
    *("--n_epochs_decay", 0),
)
SIZES, PLACES = ("thin", "wide"), ("left", "middle", "right")
FULL = tuple(f"a {size} bar in the {place}" for size in SIZES for place in PLACES)
SHORT = tuple(f"a bar, {place}" for place in PLACES)  # true of either size
DATA = SimpleNamespace(captions=(*FULL, *SHORT), channels=1, mirrors=False)


def batch(step=0, count=8, kinds=None, short=()):
    """Bars, each of a size and a place; of those in ``short`` the caption says the place alone.

    Args:
        kinds: size * 3 + place of each; drawn where they are not given.
    """
    random = torch.Generator().manual_seed(step)
    kinds = torch.randint(6, (count,), generator=random).tolist() if kinds is None else kinds
    images = -torch.ones(len(kinds), 1, 32, 32)
    for i, kind in enumerate(kinds):
        size, place = divmod(kind, 3)
        images[i, :, :, 2 + 10 * place : 6 + 10 * place + 4 * size] = 1
    shown = torch.tensor([divmod(kind, 3) for kind in kinds])
    said = shown.clone()
    for i in short:
        said[i, 0] = -1
    return {
        "image": images + 0.1 * torch.randn(images.shape, generator=random),
        "caption": [SHORT[k % 3] if i in short else FULL[k] for i, k in enumerate(kinds)],
        **{"said": said, "shown": shown, "image_paths": [str(i) for i in range(len(kinds))]},
    }


def prepared(*flags, steps=0):
    opt = train_options("--model", "xmcgan", *TINY, *flags)
    engine = Engine(opt)
    model = XMCGANModel(opt)
    model.see_data(DATA)
    engine.prepare(model)
    for step in range(steps):
        take(model, engine, step)
    return model, engine


def take(model, engine, step):
    with engine.step(model):
        model.set_input(batch(step))
        model.optimize_parameters()


def followed(model, items, then):
    """Let a step call ``then(player, losses)`` where it would update the player."""
    model.update = lambda which, compute: then(which, compute())
    model.set_input(items)
    model.optimize_parameters()
    del model.update


def terms(model, items):
    """The losses of both players, of the weights as they are."""
    found = {}
    followed(model, items, lambda _, losses: found.update(losses))
    return found


def pupils(model, which):
    return [p for group in model.optimizers[which].param_groups for p in group["params"]]


def learn(model, which, losses):
    """A player's gradients; nobody steps."""
    parameters = pupils(model, which)
    for p, g in zip(parameters, torch.autograd.grad(sum(losses.values()), parameters, allow_unused=True), strict=True):
        p.grad = g


def moved(model, start):
    """Which networks are not what they were."""
    return {name for name, net in model.networks.items() if not torch.equal(weights(net), start[name])}


def now(model):
    return {name: weights(net) for name, net in model.networks.items()}


# -- who learns ------------------------------------------------------------------------------------


@pytest.mark.parametrize("updates, order", [("simultaneous", ["G", "D"]), ("alternating", ["D", "G"])])
def test_each_network_learns_in_its_own_step_alone(updates, order):
    """D's step moves D and the text encoder, G's step moves G; no other has so much as a gradient."""
    model, engine = prepared("--updates", updates)
    seen, update = [], engine.update

    def watched(model, which, compute):
        start = now(model)
        terms = update(model, which, compute)
        touched = {name for name, net in model.networks.items() if any(p.grad is not None for p in net.parameters())}
        seen.append((which, moved(model, start), touched))
        return terms

    engine.update = watched
    take(model, engine, 0)
    learners = {"D": {"D", "T"}, "G": {"G"}}
    assert seen == [(which, learners[which], set()) for which in order]


@pytest.mark.slow
@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_both_learn_from_the_same_weights_or_the_generator_from_a_newer_discriminator(updates):
    model, engine = prepared("--updates", updates)
    take(model, engine, 0)
    other, its = prepared("--updates", updates)
    with its.step(other):
        followed(other, batch(0), lambda which, losses: learn(other, which, losses))
        for optimizer in other.optimizers.values():
            optimizer.step()  # both at once
    # Adam's first step is the sign of a gradient, which changes for few weights
    assert moved(model, now(other)) == (set() if updates == "simultaneous" else {"G"})
    other, its = prepared("--updates", updates)
    with its.step(other):
        followed(other, batch(0), lambda which, losses: learn(other, which, losses) or other.optimizers[which].step())
    assert moved(model, now(other)) == set()


def test_the_generator_is_reached_through_every_term_and_the_encoder_is_not():
    model, _ = prepared()
    losses = {name: value for name, value in terms(model, batch()).items() if name.startswith("G")}
    assert set(losses) == {"G_GAN", "G_sent", "G_word", "G_img"}
    for term, value in losses.items():
        found = torch.autograd.grad(value, list(model.netG.parameters()), retain_graph=True, allow_unused=True)
        assert sum(g.abs().sum().item() for g in found if g is not None) > 0, term
        of_text = torch.autograd.grad(value, list(model.netT.parameters()), retain_graph=True, allow_unused=True)
        assert all(g is None for g in of_text), term


@pytest.mark.parametrize("sent, word", list(itertools.product((0, 1), repeat=2)))
def test_the_encoder_learns_from_contrasts_of_reals_alone(sent, word):
    """With neither it stays as it was drawn: the logit teaches it nothing."""
    model, engine = prepared("--lambda_sent", sent, "--lambda_word", word)
    start = now(model)
    take(model, engine, 0)
    assert moved(model, start) == {"D", "G"} | ({"T"} if sent or word else set())
    for term, value in terms(model, batch()).items():
        found = torch.autograd.grad(value, list(model.netT.parameters()), retain_graph=True, allow_unused=True)
        assert any(g is not None and g.any() for g in found) == (term in ("D_sent", "D_word")), term


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_the_generator_waits_for_n_dis_steps(updates):
    model, engine = prepared("--n_dis", 2, "--updates", updates)
    seen = []
    for step in range(4):
        start = now(model)
        take(model, engine, step)
        counts = [engine.averages[name].n_averaged.item() for name in "GT"]
        seen.append(("".join(sorted(moved(model, start))), counts))
    assert seen == [("DT", [0, 1]), ("DGT", [1, 2]), ("DT", [1, 3]), ("DGT", [2, 4])]


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_captions_stay_where_noise_is_moved(updates):
    flags = ("--lambda_CR", 10, "--lambda_CR_fake", 10, "--lambda_zCR", 20, "--lambda_zCR_G", 0.5)
    model, engine = prepared(*flags, "--updates", updates)
    told = []
    model.netG.register_forward_pre_hook(lambda _, args: told.append(args))
    take(model, engine, 0)
    (z, text), (moved, same) = told
    assert same is text and 0 < (moved - z).abs().max() < 0.3
    values = {term: model.losses[term].item() for term in ("D_CR", "D_CR_fake", "D_zCR", "G_zCR")}
    assert min(values[term] for term in ("D_CR", "D_CR_fake", "D_zCR")) > 0 > values["G_zCR"]


def test_fakes_of_the_two_players_are_the_same_or_drawn_anew():
    for flags, alike in (((), True), (("--updates", "alternating", "--fresh_fakes"), False)):
        model, engine = prepared(*flags)
        seen, ask = [], model.ask
        model.ask = lambda images, *rest: seen.append(images.detach().clone()) or ask(images, *rest)  # noqa: B023
        take(model, engine, 0)
        different = {tuple(x.flatten()[:50].tolist()) for x in seen}
        assert len(different) == (2 if alike else 3)  # reals and one or two batches of fakes


def test_the_encoder_may_have_a_learning_rate_of_its_own():
    for flags, rate in (((), 8e-4), (("--lr_text", 1e-5), 1e-5)):
        model, _ = prepared(*flags)
        rates = {id(p): group["lr"] for group in model.optimizers["D"].param_groups for p in group["params"]}
        assert {rates[id(p)] for p in model.netT.parameters()} == {rate}
        assert {rates[id(p)] for p in model.netD.parameters()} == {8e-4}


def test_a_step_in_low_precision_is_finite():
    model, _ = prepared("--precision", "bf16", steps=2)
    assert all(value.isfinite() for value in model.losses.values())
    assert all(p.isfinite().all() for p in model.parameters())


# -- negatives -------------------------------------------------------------------------------------


def test_who_is_true_of_whom():
    """Image i shows what caption j says; two captions agree where one image could show what both say."""
    items = batch(kinds=[0, 3, 4, 0, 1], short=(1,))
    said, shown = items["said"].tolist(), items["shown"].tolist()
    for i, j in itertools.product(range(5), repeat=2):
        true = all(s in (-1, x) for s, x in zip(said[j], shown[i], strict=True))
        could = all(-1 in (a, b) or a == b for a, b in zip(said[i], said[j], strict=True))
        assert holds(items["said"], items["shown"]).T[i, j].item() == true
        assert agree(items["said"])[i, j].item() == could
    assert holds(items["said"], items["shown"]).T[0, 1] and not holds(items["said"], items["shown"]).T[2, 1]
    assert agree(items["said"])[0, 1] and not agree(items["said"])[1, 2]


def test_a_batch_of_one_caption_has_no_negatives():
    model, _ = prepared()
    losses = terms(model, batch(kinds=[4] * 8))
    assert {losses[name].item() for name in ("D_sent", "D_word", "G_sent", "G_word", "G_img")} == {0.0}


@pytest.mark.parametrize("form", ["symmetric", "one-way"])
def test_contrasts_leave_out_what_a_caption_is_true_of(form):
    """Of reals, image i with caption j is no negative where j is true of it; of fakes, where captions i and j agree."""
    flags = ("--tau", 0.2, "--tau_word", 0.1, "--rho1", 3, "--rho2", 4, "--lambda_sent", 2, "--lambda_word", 3)
    model, _ = prepared("--nce_form", form, *flags, "--lambda_img", 5)
    items = batch(kinds=[0, 3, 4, 0, 1, 5, 2, 2], short=(1, 5))
    model.netD.eval()  # power iteration would move D's answers by itself
    losses = terms(model, items)
    true, could = holds(items["said"], items["shown"]).T, agree(items["said"])
    for who, images, text, mates in (
        ("D", model.real, model.encoder.encode(items["caption"]), true),
        ("G", model.fake, model.fake_y, could),
    ):
        answers = model.netD(images, ("pooled", "sentence", "regions"), text)
        scores = {
            "sent": 2
            * matching_loss(cosine_scores(answers["pooled"], answers["sentence"], 0.2), mates, form == "symmetric"),
            "word": 3
            * matching_loss(
                word_scores(answers["regions"], text.words, text.mask, 0.1, 3, 4), mates, form == "symmetric"
            ),
        }
        for name, value in scores.items():
            assert losses[f"{who}_{name}"].item() == pytest.approx(value.item(), rel=1e-5)
    pooled = [model.netD(x, ("pooled",))["pooled"] for x in (model.fake, model.real)]
    value = 5 * matching_loss(cosine_scores(*pooled, 0.2), true.T, form == "symmetric")
    assert losses["G_img"].item() == pytest.approx(value.item(), rel=1e-5)
    assert not torch.equal(true, true.T)  # or the test could not tell


def test_reals_are_constants_in_the_generators_contrast():
    """Real images may be anything: they have no part in its gradient, and D's weights get none by them."""
    model, _ = prepared()
    items = batch()
    items["image"].requires_grad_()
    losses = terms(model, items)
    for name, reached in (("G_img", False), ("D_sent", True)):
        found = torch.autograd.grad(losses[name], items["image"], retain_graph=True, allow_unused=True)[0]
        assert (found is not None) == reached


def test_length_norm_is_handed_on():
    values = []
    for flags in ((), ("--word_len_norm",)):
        model, _ = prepared(*flags)
        values.append(terms(model, batch(kinds=[0, 1, 2, 3, 4, 5], short=(1, 2)))["D_word"].item())
    assert values[0] != values[1]


@pytest.mark.slow
def test_contrasts_of_two_processes_have_the_gradients_of_one(tmp_path):
    """Captions of the halves have different numbers of words; equal ones are in both halves."""
    items = batch(kinds=[0, 3, 4, 1, 1, 5, 2, 2], short=(0, 1, 2, 3))
    z = torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def found(part):
        model, _ = prepared()
        model.double().eval()  # statistics of a batch are of a half's
        model.noise = lambda count: z[part]
        mine = {name: value[part] for name, value in items.items()}
        followed(model, mine | {"image": mine["image"].double()}, lambda *words: learn(model, *words))
        values = []
        for which in "DG":
            distributed.average_gradients(pupils(model, which))
            values.append(torch.cat([p.grad.flatten() for p in pupils(model, which)]).tolist())
        return values

    expected = found(slice(None))
    for values in in_processes(lambda rank: found(slice(4 * rank, 4 * rank + 4)), tmp_path):
        for mine, one in zip(values, expected, strict=True):
            torch.testing.assert_close(torch.tensor(mine), torch.tensor(one), rtol=1e-6, atol=1e-9)


# -- what is logged --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, gone",
    [("sent", {"D_sent", "G_sent"}), ("word", {"D_word", "G_word"}), ("img", {"G_img"})],
)
def test_a_weight_of_nought_drops_its_terms(name, gone):
    everything = {"D_real", "D_fake", "D_sent", "D_word", "G_GAN", "G_sent", "G_word", "G_img", "D", "G"}
    model, _ = prepared(steps=1)
    assert set(model.losses) == everything
    model, _ = prepared(f"--lambda_{name}", 0, steps=1)
    assert set(model.losses) == everything - gone
    assert set(model.loss_levels) == {"D_sent", "D_word", "G_sent", "G_word", "G_img"} - gone


@pytest.mark.parametrize("form", ["symmetric", "one-way"])
def test_levels_are_what_is_logged_where_all_looks_alike(form):
    flags = ("--lambda_sent", 0.5, "--lambda_word", 2, "--lambda_img", 3, "--batch_size", 6)
    model, _ = prepared("--nce_form", form, *flags)
    some = model.encoder.encode(FULL)
    alike = Text(torch.ones_like(some.words), some.mask, torch.ones_like(some.sentence))
    model.encoder.encode = lambda captions: alike
    shapes = {"logit": (6,), "regions": (6, 64, 16)}
    model.netD.forward = lambda images, want, *_: {name: torch.ones(shapes.get(name, (6, 32))) for name in want}
    losses = terms(model, batch(kinds=[0, 1, 2, 3, 4, 5]))  # no two are alike
    levels = model.loss_levels
    assert set(levels) == {"D_sent", "D_word", "G_sent", "G_word", "G_img"}
    for name, level in levels.items():
        assert losses[name].item() == pytest.approx(level["chance"], rel=1e-5) and level["floor"] == 0


# -- looking ---------------------------------------------------------------------------------------


def test_fixed_captions_are_of_the_data_and_kept_with_the_run(tmp_path):
    model, _ = prepared()
    assert model.fixed_captions == list(DATA.captions) and model.fixed_z.shape == (90, 8)
    assert torch.equal(model.fixed_z[:10], model.fixed_z[10:20])  # the same noise for every caption
    other, _ = prepared("--seed", 1)
    assert not torch.equal(model.fixed_z, other.fixed_z)
    (tmp_path / "run").mkdir()
    other.fixed_captions = other.fixed_captions[:2]
    other.fixed_z = other.fixed_z[:20]
    other.save_files(tmp_path / "run")
    continued, _ = prepared("--checkpoints_dir", tmp_path, "--name", "run", "--continue_train")
    assert torch.equal(continued.fixed_z, other.fixed_z) and continued.fixed_captions == other.fixed_captions
    assert continued.encoder.vocabulary.known == other.encoder.vocabulary.known


def test_ten_captions_of_many_are_spread_over_the_data():
    opt = train_options("--model", "xmcgan", *TINY)
    many = [f"bar {i}" for i in range(100)]
    model = XMCGANModel(opt)
    model.see_data(SimpleNamespace(captions=tuple(many), channels=1, mirrors=False))
    assert model.fixed_captions == many[::11]


@pytest.mark.slow
def test_looking_changes_nothing():
    (one, engine), (other, its) = prepared(steps=2), prepared(steps=2)
    visuals = one.get_current_visuals()
    assert visuals["samples"].shape[2:] == (9 * 33 + 1, 10 * 33 + 1)  # a row for each caption
    take(one, engine, 2)
    take(other, its, 2)
    assert torch.equal(weights(one), weights(other))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))
    for name in "GT":
        assert same(engine.averages[name].state_dict(), its.averages[name].state_dict())


@pytest.mark.slow
def test_images_and_attention_are_drawn_for_any_captions():
    model, _ = prepared(steps=2)
    captions = ["a thin bar in the left", "bar"] * 60
    z, text = model.noise(120, torch.Generator().manual_seed(0)), model.encode(captions)
    images, shares = model.attention(z, text)
    assert images.shape == (120, 1, 32, 32) and shares.shape == (120, 6, 8, 8)
    assert images.device.type == shares.device.type == "cpu" and images.abs().max() <= 1
    torch.testing.assert_close(shares.sum(1), torch.ones(120, 8, 8))
    assert (shares[1::2, 0] == 1).all()
    assert torch.equal(model.draw(z, text), images)
    torch.testing.assert_close(model.draw(z[7:8], text[7:8]), images[7:8], atol=1e-5, rtol=0)  # alone as in company


def test_captions_are_read_with_averaged_weights():
    model, engine = prepared(steps=2)
    trained = model.encoder.encode(["a wide bar"]).sentence
    averaged = model.encode(["a wide bar"]).sentence
    assert not torch.equal(trained, averaged)
    with torch.no_grad():
        for p in engine.averages["T"].parameters():
            p.zero_()
    assert not model.encode(["a wide bar"]).words.any() and model.encoder.encode(["a wide bar"]).words.any()


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags, word",
    [
        (("--fresh_fakes",), "--fresh_fakes"),
        (("--text_dim", 10, "--text_heads", 4), "--text_dim 10"),
        (("--text_encoder", "bert"), "--text_encoder bert"),
        (("--pool_size", 5), "--pool_size 5"),
        (("--frozen_network", "resnet18"), "--frozen_network resnet18: needs --frozen_weights"),
        (("--normD", "batch"), "--normD batch"),
        (("--drop_marks",), "--drop_marks"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags, word):
    with pytest.raises(UserError, match=word):
        train_options("--model", "xmcgan", *flags)


def test_a_size_that_no_ladder_has_is_refused_with_the_flag():
    opt = train_options("--model", "xmcgan", *TINY, "--crop_size", 48)
    with pytest.raises(UserError, match=r"--crop_size 48: .* choose from \[32, 64, 128, 256\]"):
        XMCGANModel(opt).see_data(DATA)


@pytest.mark.parametrize(
    "flags, captions, word", [(("--batch_size", 1), FULL, "--batch_size 1"), ((), FULL[:1], "one caption")]
)
def test_contrasts_without_negatives_are_refused(flags, captions, word):
    with pytest.raises(UserError, match=word):
        XMCGANModel(train_options("--model", "xmcgan", *TINY, *flags)).see_data(
            SimpleNamespace(**vars(DATA) | {"captions": captions})
        )


# -- through the script ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_continued_run_is_the_whole_run(tmp_path):
    """Bit for bit, averages of generator and encoder among it; the words keep their numbers."""
    words = ("--model", "xmcgan", "--dataroot", "digits", *TINY, "--n_dis", 2, "--max_dataset_size", 24, "--no_html")
    assert run(train_script, tmp_path / "whole", *words, "--n_epochs", 3) == 0
    assert run(train_script, tmp_path / "cut", *words, "--n_epochs", 1) == 0
    folders = [tmp_path / name / "checkpoints/run" for name in ("whole", "cut")]
    cut, vocabulary = state(tmp_path / "cut"), (folders[1] / "vocabulary.json").read_bytes()
    assert run(train_script, tmp_path / "cut", "--continue_train", "--n_epochs", 3) == 0
    whole, continued = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert same(whole, continued) and not same(whole, cut)
    assert set(whole["averages"]) == {"G", "T"} and whole["progress"]["step"] == 9
    for name in ("G", "G_ema", "D", "T", "T_ema"):
        one, other = (torch.load(folder / f"latest_net_{name}.pth", weights_only=True) for folder in folders)
        assert same(one, other)
    assert {(folder / "vocabulary.json").read_bytes() for folder in folders} == {vocabulary}
    assert len(json.loads(vocabulary)["words"]) > 5


@pytest.mark.slow
def test_words_keep_their_numbers_where_weights_of_another_run_are_taken(tmp_path):
    words = ("--model", "xmcgan", "--dataroot", "digits", *TINY, "--max_dataset_size", 16, "--no_html", "--n_epochs", 1)
    assert run(train_script, tmp_path, *words, "--split_seed", 1) == 0
    vocabulary = (tmp_path / "checkpoints/run/vocabulary.json").read_bytes()
    other = ("--checkpoints_dir", tmp_path / "checkpoints", "--name", "other")
    assert train_script.main([str(word) for word in (*words, *other)]) == 0
    assert (tmp_path / "checkpoints/other/vocabulary.json").read_bytes() != vocabulary
    taken = (*words, *other, "--pretrained_name", "run", "--overwrite")
    assert train_script.main([str(word) for word in taken]) == 0
    assert (tmp_path / "checkpoints/other/vocabulary.json").read_bytes() == vocabulary


@pytest.mark.slow
def test_a_run_that_is_overwritten_leaves_nothing_of_its_encoder(tmp_path):
    words = ("--model", "xmcgan", "--dataroot", "digits", *TINY, "--max_dataset_size", 8, "--no_html", "--n_epochs", 1)
    assert run(train_script, tmp_path, *words) == 0
    noted = tmp_path / "checkpoints/run/pretrained.json"
    noted.write_text('{"--text_encoder": {"name": "bert", "sha256": "0"}}')
    assert run(train_script, tmp_path, *words, "--overwrite") == 0
    assert not noted.exists()


@pytest.mark.slow
@pytest.mark.extra
def test_a_pretrained_encoder_teaches_and_is_not_taught(tmp_path):
    encoder = speller(tmp_path / "speller")
    words = ("--model", "xmcgan", "--dataroot", "glyphs", *TINY, "--max_dataset_size", 16, "--no_html")
    words += ("--text_encoder", f"hf:{encoder}", "--max_words", 16, "--n_epochs", 1, "--print_freq", 8)
    assert run(train_script, tmp_path, *words) == 0
    folder = tmp_path / "checkpoints/run"
    kept = state(tmp_path)
    assert kept["progress"]["step"] == 2 and set(kept["averages"]) == {"G"}
    assert not any(name.startswith(("netT", "encoder")) for name in kept["model"])
    assert not (folder / "vocabulary.json").exists() and not list(folder.glob("*_net_T*"))
    assert kept["model"]["netG.sentence.weight"].shape == (128, SPELLER)
    logged = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"D_sent", "D_word", "G_sent", "G_word", "G_img"} <= set(logged)
    noted = folder / "pretrained.json"
    noted.write_text(noted.read_text().replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(UserError, match="--text_encoder: the run learnt with"):
        run(train_script, tmp_path, *words, "--continue_train", "--n_epochs", 2)
