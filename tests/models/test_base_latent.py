"""Methods that make images from noise: who learns in which step, what is logged, what grids are made of."""

from types import SimpleNamespace

import pytest
import torch

from models import MODELS
from options import UserError
from tests.conftest import train_options, weights
from util.training.engine import Engine

METHODS = ("sngan", "infomaxgan", "dualcontrast", "contrad", "biggan", "acgan", "contragan", "reacgan", "r3gan")
WITH_CLASSES = METHODS[4:]
TINY = ("--ngf", 16, "--ndf", 8, "--z_dim", 8, "--batch_size", 12, "--gpu_ids", -1)
DATA = SimpleNamespace(classes=("nought", "one", "two"), channels=1, mirrors=False)


def batch(step, count=12):
    """Blank images with a bar, whose place is the class."""
    random = torch.Generator().manual_seed(step)
    label = torch.randint(3, (count,), generator=random)
    images = -torch.ones(count, 1, 32, 32)
    for i, k in enumerate(label.tolist()):
        images[i, :, :, 4 + 10 * k : 8 + 10 * k] = 1
    noise = 0.1 * torch.randn(images.shape, generator=random)
    return {"image": images + noise, "label": label, "image_paths": [str(i) for i in range(count)]}


def prepared(name, *flags, steps=0):
    small = {"contragan": ("--embed_dim", 8), "reacgan": ("--embed_dim", 8), "infomaxgan": ("--nce_dim", 16)}
    small["contrad"] = ("--view_dim", 8, "--head_dim", 16)
    opt = train_options("--model", name, *TINY, *small.get(name, ()), *flags)
    engine = Engine(opt)
    model = MODELS.find(name)(opt)
    model.see_data(DATA)
    engine.prepare(model)
    for step in range(steps):
        take(model, engine, step)
    return model, engine


def take(model, engine, step):
    with engine.step(model):
        model.set_input(batch(step))
        model.optimize_parameters()


@pytest.mark.parametrize("name", METHODS)
def test_each_network_learns_in_its_own_step_alone(name):
    """D's step moves D and no number of G; G's step moves G, and leaves D's weights and gradients as they are."""
    model, engine = prepared(name)
    seen = {}
    update = engine.update

    def watched(model, which, compute):
        nets = {"D": model.netD, "G": model.netG}
        before = {n: [p.clone() for p in net.parameters()] for n, net in nets.items()}
        terms = update(model, which, compute)
        moved = {
            n: any(not torch.equal(p, q) for p, q in zip(net.parameters(), before[n], strict=True))
            for n, net in nets.items()
        }
        gradients = {n: any(p.grad is not None for p in net.parameters()) for n, net in nets.items()}
        seen[which] = moved, gradients
        return terms

    engine.update = watched
    take(model, engine, 0)
    nothing = {"D": False, "G": False}
    assert seen == {"D": ({"D": True, "G": False}, nothing), "G": ({"D": False, "G": True}, nothing)}


@pytest.mark.parametrize("name", METHODS)
def test_the_generator_is_reached_through_every_term_of_its_loss(name):
    model, _ = prepared(name)
    model.set_input(batch(0))
    model.forward()
    for term, value in model.generator_losses().items():
        gradients = torch.autograd.grad(value, list(model.netG.parameters()), retain_graph=True, allow_unused=True)
        assert sum(g.abs().sum().item() for g in gradients if g is not None) > 0, term


@pytest.mark.parametrize("name", METHODS)
def test_levels_are_of_terms_that_are_logged_and_a_term_is_above_its_floor(name):
    model, _ = prepared(name)
    model.set_input(batch(0, 96))
    model.forward()
    losses = model.discriminator_losses() | model.generator_losses()
    levels = model.loss_levels
    assert set(levels) <= set(losses)
    for term, level in levels.items():
        assert level["floor"] < level["chance"]
        assert losses[term].item() > level["floor"]
    assert bool(levels) == (name not in ("sngan", "biggan"))


def test_the_generator_waits_for_n_dis_steps():
    model, engine = prepared("sngan", "--n_dis", 3)
    start, average = weights(model.netG), engine.averages["G"]
    moved = []
    for step in range(4):
        take(model, engine, step)
        moved.append((not torch.equal(weights(model.netG), start), average.n_averaged.item()))
    assert moved == [(False, 0), (False, 0), (True, 1), (True, 1)]  # the average counts its own network's steps


def test_a_watched_loss_of_the_generator_may_wait_for_its_turn():
    model, engine = prepared("sngan", "--n_dis", 2, "--lr_policy", "plateau", "--plateau_metric", "G_GAN", steps=3)
    assert engine.sums["count"] == 2
    model, engine = prepared("sngan", "--n_dis", 2, "--lr_policy", "plateau", "--plateau_metric", "FID", steps=1)
    with pytest.raises(UserError, match="--plateau_metric FID"):
        take(model, engine, 1)


@pytest.mark.parametrize("fresh", [True, False])
def test_fakes_of_the_two_players_are_the_same_or_drawn_anew(fresh):
    model, engine = prepared("sngan", *(("--fresh_fakes",) if fresh else ()))
    seen = []
    ask = model.ask
    model.ask = lambda images, *rest: seen.append(images.detach().clone()) or ask(images, *rest)
    take(model, engine, 0)
    _, of_D, of_G = seen
    assert torch.equal(of_D, of_G) != fresh


@pytest.mark.parametrize("netD, kind", [("biggan", "orthogonal"), ("sngan", "xavier")])
def test_heads_are_drawn_as_their_trunk(netD, kind):
    model, _ = prepared("contragan", "--netD", netD, "--sn_D", "false")
    heads = model.netD.heads
    W = heads["embedding"].layers[0].weight
    assert heads["logit"].linear.bias.item() == 0
    if kind == "orthogonal":
        gram = W @ W.T if len(W) <= W.shape[1] else W.T @ W
        torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
    else:  # uniform within sqrt(6 / (in + out)) of Glorot and Bengio (2010)
        bound = (6 / sum(W.shape)) ** 0.5
        assert 0.8 * bound < W.abs().max() <= bound


def test_fixed_noise_is_of_the_seed_and_kept_with_the_run(tmp_path):
    model, _ = prepared("contragan")
    again, _ = prepared("contragan")
    other, _ = prepared("contragan", "--seed", 1)
    assert torch.equal(model.fixed_z, again.fixed_z) and not torch.equal(model.fixed_z, other.fixed_z)
    assert (
        torch.equal(model.fixed_z[:10], model.fixed_z[10:20])
        and model.fixed_y.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    )
    (tmp_path / "run").mkdir()
    other.save_files(tmp_path / "run")
    where = ("--checkpoints_dir", tmp_path, "--name", "run")
    continued, _ = prepared("contragan", *where, "--continue_train")
    assert torch.equal(continued.fixed_z, other.fixed_z)
    assert torch.equal(prepared("contragan", *where)[0].fixed_z, model.fixed_z)  # a new run in its place


@pytest.mark.parametrize("name", ["sngan", "contragan"])
def test_looking_changes_nothing(name):
    """A grid has a row for each class, and a run that was looked at goes on as one that was not."""
    (one, engine), (other, same) = prepared(name, steps=2), prepared(name, steps=2)
    visuals = one.get_current_visuals()
    rows = 3 if one.conditional else 10
    assert visuals["samples"].shape[2:] == (rows * 33 + 1, 10 * 33 + 1)
    take(one, engine, 2)
    take(other, same, 2)
    assert torch.equal(weights(one), weights(other))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))
    averages = [e.averages["G"].state_dict() for e in (engine, same)]
    assert all(torch.equal(averages[0][key], averages[1][key]) for key in averages[0])


def test_grids_are_drawn_with_averaged_weights_and_standing_statistics():
    model, engine = prepared("contragan", steps=3)
    drawn = model.draw(model.fixed_z, model.fixed_y)
    assert torch.equal(drawn, model.draw(model.fixed_z, model.fixed_y))  # no noise, no batch statistics
    alone = model.draw(model.fixed_z[4:5], model.fixed_y[4:5])
    torch.testing.assert_close(alone, drawn[4:5], atol=1e-5, rtol=0)  # of an image alone as in company
    with torch.no_grad():
        for p in engine.averages["G"].parameters():
            p.zero_()
    assert model.sampler()(model.fixed_z, model.fixed_y).abs().max() == 0


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_a_mixture_of_one_class_is_that_class(name):
    model, _ = prepared(name, steps=1)
    z, y = model.fixed_z[:6], torch.tensor([0, 1, 2, 0, 1, 2])
    rows = torch.eye(3)[y]
    torch.testing.assert_close(model.draw(z, rows), model.draw(z, y))
    between = model.draw(z, (rows + rows.roll(1, 1)) / 2)
    assert not torch.allclose(between, model.draw(z, y))


def test_truncated_noise_stays_within_its_limit_and_is_normal_there():
    model, _ = prepared("sngan")
    object.__setattr__(model, "opt", SimpleNamespace(is_train=False, truncation=0.7, z_dim=8))
    z = model.noise(4000, torch.Generator().manual_seed(0))
    assert z.abs().max() <= 0.7
    # the deviation of a normal number between -a and a: 1 - 2 a phi(a) / (2 Phi(a) - 1)
    a = torch.tensor(0.7, dtype=torch.float64)
    inside = 2 * torch.special.ndtr(a) - 1
    wanted = (1 - 2 * a * (-a * a / 2).exp() / (2 * torch.pi) ** 0.5 / inside).sqrt()
    assert abs(z.std().item() - wanted.item()) < 0.005


def test_one_class_is_not_enough_for_a_method_of_classes():
    opt = train_options("--model", "contragan", *TINY)
    with pytest.raises(UserError, match="needs two classes"):
        MODELS.find("contragan")(opt).see_data(SimpleNamespace(classes=("a",), channels=1, mirrors=False))


def test_a_size_that_no_ladder_has_is_refused_with_the_flag():
    opt = train_options("--model", "sngan", *TINY, "--crop_size", 50)
    with pytest.raises(UserError, match=r"--netG small --crop_size 50"):
        MODELS.find("sngan")(opt).see_data(DATA)


def test_the_adversarial_loss_of_dualcontrast_is_not_chosen():
    with pytest.raises(UserError, match="--gan_mode lsgan"):
        train_options("--model", "dualcontrast", "--gan_mode", "lsgan")


def test_the_tutorials_form_warns_and_leaves_the_generator_without_a_class(capsys):
    model, _ = prepared("contragan", "--contra_form", "tutorial", steps=1)
    assert "about a sixth" in capsys.readouterr().err
    assert "D_cond" in model.losses and "G_cond" not in model.losses


def test_a_weight_of_zero_leaves_the_generators_class_term_out():
    model, _ = prepared("contragan", "--lambda_cond_G", 0, steps=1)
    assert "D_cond" in model.losses and "G_cond" not in model.losses and "G_cond" not in model.loss_levels


@pytest.mark.parametrize("pool", ["fakes", "fakes+reals"])
def test_the_reals_in_the_generators_contrast_are_constants(pool):
    """Real images may stand beside the fakes; a change of theirs moves the term, and no gradient comes from them."""
    model, _ = prepared("contragan", "--contra_pool", pool)
    values = []
    for step in (0, 1):
        torch.manual_seed(0)
        model.set_input(batch(step))
        model.forward()
        model.netD.eval()  # power iteration would move D's answers by itself
        values.append(model.terms_G(model.ask(model.fake, model.wants, model.fake_y))["G_cond"].item())
    assert (values[0] != values[1]) == (pool == "fakes+reals")
    assert not model.known_of_reals("embedding")["embedding"].requires_grad


STABILIZERS = {
    "augment": ("--augment_D", "color,translation,cutout"),
    "ada": ("--augment_D", "translation", "--ada_target", 0.6, "--ada_kimg", 0.01),
    "CR": ("--lambda_CR", 10),
    "lecam": ("--lambda_lecam", 0.3, "--lecam_from", 0),
    "r1": ("--lambda_r1", 1, "--r1_every", 2),
    "r2": ("--lambda_r2", 1, "--r1_every", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("which", STABILIZERS)
@pytest.mark.parametrize("name", ["contragan", "dualcontrast"])
def test_stabilisers_have_a_term_or_a_state(name, which):
    if (name, which) == ("dualcontrast", "ada"):  # its logits have no zero
        with pytest.raises(UserError, match="--ada_target"):
            prepared(name, *STABILIZERS[which])
        return
    model, _ = prepared(name, *STABILIZERS[which], steps=6)
    logged = {"CR": "D_CR", "lecam": "D_lecam", "r1": "D_r1", "r2": "D_r2"}.get(which)
    assert logged is None or model.losses[logged].item() > 0
    state = set(model.state_dict())
    assert (which == "ada") == any("ada" in key for key in state)
    assert (which == "lecam") == any("averages" in key for key in state)
    if which == "augment":
        altered = model.stabilizers.augment(model.real)
        assert altered.shape == model.real.shape and not torch.allclose(altered, model.real)
    if which == "ada":  # D is sure of these images at once
        assert model.stabilizers.ada.p > 0
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_ada_without_an_augmentation_is_refused():
    opt = train_options("--model", "sngan", *TINY, "--ada_target", 0.6)
    with pytest.raises(UserError, match="--augment_D"):
        MODELS.find("sngan")(opt).see_data(DATA)


def test_consistency_compares_embeddings_by_direction():
    """The longer an embedding the larger its squared differences, which say nothing about classes."""
    model, _ = prepared("contragan", "--lambda_CR", 1)
    model.set_input(batch(0))
    model.forward()
    model.netD.eval()
    values = []
    for scale in (1.0, 100.0):
        real = dict(model.ask(model.real, model.wants, model.y))
        ask = model.ask
        stretched = lambda *words: {k: v * (scale if k == "embedding" else 1) for k, v in ask(*words).items()}  # noqa: B023, E731
        real["embedding"] = real["embedding"] * scale
        model.ask = stretched
        torch.manual_seed(1)
        fake = model.netD(model.fake, ("logit",))["logit"]
        values.append(model.stabilizers.terms(model, model.real, model.y, real, fake)["D_CR"].item())
        model.ask = ask
    assert values[0] > 0 and values[1] == pytest.approx(values[0], rel=1e-4)


@pytest.mark.parametrize("value", [1, 2.5])
def test_a_target_of_ada_that_is_never_exceeded_is_refused(value):
    opt = train_options("--model", "sngan", *TINY, "--augment_D", "color", "--ada_target", value)
    with pytest.raises(UserError, match="--ada_target"):
        MODELS.find("sngan")(opt).see_data(DATA)


@pytest.mark.parametrize(
    "name, flags, word",
    [
        ("sngan", ("--pool_size", 50), "--pool_size 50"),
        ("sngan", ("--direction", "BtoA"), "--direction BtoA"),
        ("biggan", ("--netD", "biggan", "--normD", "batch"), "--normD batch"),
        ("dualcontrast", ("--batch_size", 1), "--batch_size 1"),
        ("contrad", ("--batch_size", 1), "--batch_size 1"),
        ("contrad", ("--lambda_views", 0, "--lambda_fakes", 0), "--lambda_fakes 0"),
        ("r3gan", ("--gan_mode", "lsgan"), "--gan_mode lsgan"),
        ("r3gan", ("--augment_D", "color", "--ada_target", 0.6), "--ada_target 0.6"),
        ("r3gan", ("--class_told", "false", "--fake_labels", "uniform"), "--fake_labels uniform"),
        ("r3gan", ("--class_told", "false", "--sample_classes", "even"), "--sample_classes even"),
        ("sngan", ("--anneal_r", 0.1), "--anneal_r 0.1"),
        ("sngan", ("--anneal_images", 100), "--anneal_images 100"),
        ("sngan", ("--ema_half_life", 100, "--ema_decay", 0), "--ema_half_life 100"),
        ("contragan", ("--contra_form", "tutorial", "--lambda_cond_G", 1), "--lambda_cond_G 1"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(name, flags, word):
    with pytest.raises(UserError, match=word):
        train_options("--model", name, *flags)


def test_contrast_that_does_not_grow_or_has_no_positives_is_said(capsys):
    prepared("contragan", "--accumulate", 2)
    assert "--accumulate 2" in capsys.readouterr().err
    prepared("sngan", "--accumulate", 2)
    prepared("contragan")
    assert capsys.readouterr().err == ""
    prepared("contragan", "--batch_size", 2)
    assert "0.33 times a batch" in capsys.readouterr().err


@pytest.mark.parametrize("form, has", [("official", True), ("supcon", False), ("tutorial", False)])
def test_only_a_form_with_proxies_has_a_table_of_them(form, has):
    model, _ = prepared("contragan", "--contra_form", form)
    assert ("proxy" in model.netD.heads) == has and model.loss_levels


def test_an_unknown_augmentation_is_named():
    opt = train_options("--model", "sngan", *TINY, "--augment_D", "colour")
    with pytest.raises(UserError, match="--augment_D colour"):
        MODELS.find("sngan")(opt).see_data(DATA)
