"""A run of other classes begins with the rows of those it shares: in every network that has a row for a class."""

import json
from types import SimpleNamespace

import pytest
import torch

import train as train_script
from models import MODELS
from options import UserError
from tests.conftest import train_options
from tests.test_latent import TINY, run, state
from util.class_rows import axes_of
from util.training.checkpoint import load_networks

BEFORE, NOW = ("cat", "dog", "fox"), ("ant", "dog", "cat", "emu")
METHODS = {  # words -> weights that have a row for each class, and parts of a spectral norm
    ("contragan", "--netG", "small"): 7,
    ("contragan", "--netG", "dcgan", "--contra_form", "supcon"): 1,
    ("reacgan", "--netG", "biggan", "--netD", "biggan", "--z_dim", 16): 3,
    ("biggan", "--netG", "sngan", "--netD", "sngan"): 8,
    ("acgan", "--netG", "small", "--sn_D", "false"): 7,
}


def built(words, classes, seed):
    torch.manual_seed(seed)
    opt = train_options("--model", words[0], *TINY[:-2], *words[1:])
    model = MODELS.find(words[0])(opt)
    model.see_data(SimpleNamespace(classes=classes, channels=1, mirrors=False))
    return model


def saved(model, folder, classes=BEFORE):
    folder.mkdir(exist_ok=True)
    for name, network in model.networks.items():
        torch.save(network.state_dict(), folder / f"latest_net_{name}.pth")
    if classes is not None:
        (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("words", METHODS, ids=lambda words: "-".join(str(w).strip("-") for w in words))
def test_rows_go_by_the_names_of_their_classes(words, tmp_path, capsys):
    source, model = built(words, BEFORE, 1), built(words, NOW, 2)
    load_networks(saved(source, tmp_path / "run"), "latest", model, partly=True)
    assert capsys.readouterr().err == (
        f"{tmp_path / 'run'}: classes kept: dog, cat; new, from the mean of the others: ant, emu; dropped: fox\n"
    )
    moved = 0
    for name, network in model.networks.items():
        theirs, ours, axes = source.networks[name].state_dict(), network.state_dict(), axes_of(network)
        for key, value in ours.items():
            if key not in axes:
                assert torch.equal(value, theirs[key]), key
                continue
            moved += 1
            if key.endswith("_u"):
                assert value.norm().item() == pytest.approx(1) and len(value) == 4
                continue
            axis, start = axes[key]
            before, now = (x.transpose(0, axis)[start:] for x in (theirs[key], value))
            assert torch.equal(value.narrow(axis, 0, start), theirs[key].narrow(axis, 0, start))
            assert len(before) == 3 and len(now) == 4
            assert torch.equal(now[1], before[1]) and torch.equal(now[2], before[0])
            torch.testing.assert_close(now[0], before.mean(0))
            torch.testing.assert_close(now[3], before.mean(0))
    assert moved == METHODS[words]


@pytest.mark.parametrize("words", [("acgan", "--adc"), ("reacgan", "--adc")])
def test_both_rows_of_a_class_go_by_its_name(words, tmp_path, capsys):
    """With --adc the discriminator has one of real and one of generated images of each class."""
    source, model = built(words, BEFORE, 1), built(words, NOW, 2)
    load_networks(saved(source, tmp_path / "run"), "latest", model, partly=True)
    there = source.netD.state_dict()
    key = next(key for key in axes_of(model.netD) if key.endswith("original") and key in there)
    before, now = there[key].unflatten(0, (3, 2)), model.netD.state_dict()[key].unflatten(0, (4, 2))
    assert torch.equal(now[1], before[1]) and torch.equal(now[2], before[0])
    torch.testing.assert_close(now[0], before.mean(0))
    with pytest.raises(UserError, match="another architecture") as error:
        (tmp_path / "run/train_opt.yaml").write_text(f"model: {words[0]}\nadc: true\n")
        load_networks(tmp_path / "run", "latest", built((words[0],), BEFORE, 2), partly=True)
    assert "it is of --adc" in str(error.value) and "classes, and these data" not in str(error.value)


def test_images_of_a_class_that_is_kept_are_what_they_were(tmp_path):
    words = ("biggan", "--netG", "small")
    source, model = built(words, BEFORE, 1), built(words, ("fox", "cat"), 2)
    load_networks(saved(source, tmp_path / "run"), "latest", model, partly=True)
    z = torch.randn(4, 8)
    for name in ("cat", "fox"):
        y = [torch.full((4,), names.index(name)) for names in (BEFORE, ("fox", "cat"))]
        with torch.no_grad():
            one, two = source.netG.eval()(z, y[0]), model.netG.eval()(z, y[1])
            real, fake = source.netD.eval()(one, ("logit",), y[0]), model.netD.eval()(one, ("logit",), y[1])
        torch.testing.assert_close(one, two)
        assert real["logit"].shape == fake["logit"].shape


def test_equal_classes_in_another_order_go_by_name_too(tmp_path):
    words = ("acgan", "--netG", "dcgan")
    source, model = built(words, ("a", "b"), 1), built(words, ("b", "a"), 2)
    load_networks(saved(source, tmp_path / "run", ("a", "b")), "latest", model, partly=True)
    assert torch.equal(source.netG.label.weight.flip(1), model.netG.label.weight)


def test_classes_that_nobody_tells_are_named_by_their_number(tmp_path):
    words = ("biggan", "--netG", "small")
    folder = saved(built(words, BEFORE, 1), tmp_path / "run", None)
    for partly in (True, False):
        with pytest.raises(UserError, match=r"of 3 classes, and these data have 4; .*classes\.json") as error:
            load_networks(folder, "latest", built(words, NOW, 2), partly=partly)
        assert "no_antialias" not in str(error.value) and error.value.code == 4
    load_networks(folder, "latest", built(words, NOW[:3], 2), partly=True)  # as many: in their order, as ever
    with pytest.raises(UserError, match="another architecture"):
        load_networks(folder, "latest", built((*words, "--ngf", 24), NOW, 2), partly=True)


@pytest.mark.slow
def test_a_run_begins_with_a_run_of_other_classes(tmp_path, capsys):
    """Averages begin with what was loaded; a judge of labels is of its new classes."""
    digits = ("--dataroot", "digits", "--max_dataset_size", 32, "--batch_size", 16, "--n_epochs", 1, "--lr", 0)
    tiny = ("--ngf", 16, "--ndf", 8, "--z_dim", 8, "--lr_D", 0, "--ema_decay", 0.9)
    for model, more in (("contragan", tiny), ("label_judge", ())):
        given = (*digits, "--model", model, *more)
        assert run(train_script, tmp_path, *given, "--classes_used", "3,5,8") == 0
        first = state(tmp_path)
        (tmp_path / "checkpoints/run").rename(tmp_path / f"checkpoints/{model}")
        assert run(train_script, tmp_path, *given, "--classes_used", "1,3,8,9", "--pretrained_name", model) == 0
        assert "classes kept: 3, 8; new, from the mean of the others: 1, 9; dropped: 5" in capsys.readouterr().err
        second = state(tmp_path)
        (tmp_path / "checkpoints/run").rename(tmp_path / f"checkpoints/tuned_{model}")
        key = "netG.linear.weight" if model == "contragan" else "netC.answer.weight"
        if model == "contragan":
            old, new = first["model"][key][:, 8:].T, second["averages"]["G"]["module.linear.weight"][:, 8:].T
        else:
            old, new = first["model"][key], second["model"][key]
        torch.testing.assert_close(new[[1, 2]], old[[0, 2]])
        torch.testing.assert_close(new[0], old.mean(0))
