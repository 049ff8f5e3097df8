"""The supervised term beside items that are no pairs: what it is a mean of, and when it is absent."""

import pytest
import torch

import test as test_script
import train as train_script
from data import Loader
from models import MODELS
from options import UserError
from tests.conftest import records, small_argv, train_options
from tests.data.helpers import dataset, images
from tests.models import test_cut, test_two_sided
from tests.models.test_cut import HEADS, TINY, batch, step
from tests.models.test_no_wait import Made, Unasked, on_meta, without_precision  # noqa: F401
from util.training.engine import Engine

METHODS = ("cut", "fastcut", "sincut", "cycle_gan", "dcl", "simdcl", "template")
DEFAULTS = ("--dataset_mode", "aligned", "--lambda_L1", "7")


def build(model, *argv):
    heads = ("--nce_layers", "0,4,8") if model == "sincut" else ()
    if model in ("dcl", "simdcl"):
        return test_two_sided.build(model, *DEFAULTS, *argv)
    if model in ("cycle_gan", "template"):
        opt = train_options("--model", model, *test_two_sided.SMALL, *DEFAULTS, *argv)
        engine = Engine(opt)
        return engine.prepare(MODELS.find(model)(opt)), engine
    return test_cut.build("--model", model, *DEFAULTS, *heads, *argv)


@pytest.fixture
def mixed(tmp_path):
    """Three pairs, three files of A and two of B without a partner; a test of two pairs and one more A."""
    root = tmp_path / "mixed"
    for side, more in (("A", ("a", "b", "c")), ("B", ("y", "z"))):
        images(root / f"train{side}", *(f"{n}.png" for n in (1, 2, 3, *more)), size=(24, 24), seed=ord(side))
        images(root / f"test{side}", "1.png", "2.png", *(["a.png"] * (side == "A")), size=(24, 24), seed=ord(side))
    return root


def with_pairs(data, rows):
    return data | {"pairs": torch.tensor(rows, dtype=torch.long)}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_the_term_is_the_mean_over_the_pairs_of_a_batch(name):
    model, engine = build(name, "--batch_size", "4")
    sides = {"L1": ("fake_B", "real_B")}
    if name in ("cycle_gan", "dcl", "simdcl"):
        sides = {"L1_A": ("fake_B", "real_B"), "L1_B": ("fake_A", "real_A")}
    step(model, engine, with_pairs(batch(4), [1, 3]))
    losses = model.get_current_losses()
    for term, (fake, target) in sides.items():
        made = getattr(model, fake)
        made = made.flip(3) if getattr(model, "flipped", False) else made
        loop = [7 * (made[i] - getattr(model, target)[i]).abs().mean().item() for i in (1, 3)]
        assert losses[term] == pytest.approx(sum(loop) / 2, rel=1e-5)
    step(model, engine, with_pairs(batch(4, seed=1), []))
    losses = model.get_current_losses()
    assert not losses.keys() & sides.keys() and all(value == value for value in losses.values())
    step(model, engine, batch(4, seed=2))
    assert sides.keys() <= model.get_current_losses().keys()


@pytest.mark.parametrize("name", ["cut", "fastcut", "cycle_gan"])
def test_what_is_no_pair_has_no_part_in_the_term(name):
    model, engine = build(name, "--batch_size", "2", "--gan_mode", "lsgan")
    data, other = batch(2), batch(2, seed=1)
    other = {side: torch.cat([data[side][:1], other[side][1:]]) for side in "AB"} | {
        k: data[k] for k in data if "_" in k
    }
    found = []
    for one in (data, other):
        with engine.step(model):
            model.set_input(with_pairs(one, [0]))
            model.forward()
            fake = model.fake_B
            value = model.supervised("L1", fake, model.real_B)["L1"]
            found.append((value.item(), torch.autograd.grad(value, fake)[0]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert found[0][1][0].abs().sum() > 0 and found[0][1][1].abs().sum() == 0


@pytest.mark.parametrize(("batch_size", "accumulate", "world"), [(2, 1, 1), (1, 4, 1), (1, 2, 2), (2, 1, 3)])
def test_however_a_step_is_cut_its_gradient_is_of_the_mean_over_all_its_pairs(mixed, batch_size, accumulate, world):
    flags = ("--batch_size", batch_size, "--accumulate", accumulate)
    data = dataset("aligned", "--dataroot", mixed, "--unpaired", "keep", "--load_size", 16, "--crop_size", 16, *flags)
    model, _ = build("cut", *map(str, flags))
    weights = list(model.double().netG.parameters())

    def gradient(value):
        if value is None:
            return torch.zeros(sum(p.numel() for p in weights))
        found = torch.autograd.grad(value, weights, allow_unused=True)
        return torch.cat(
            [torch.zeros_like(p).flatten() if g is None else g.flatten() for p, g in zip(weights, found, strict=True)]
        )

    seen = set()
    loaders = [Loader(data, data.opt, rank=rank, world=world) for rank in range(world)]
    for epoch in range(1, 4):
        step = [b for loader in loaders for b in list(loader.epoch(epoch))[:accumulate]]
        parts, loop = [], []
        for b in step:
            b |= {side: b[side].double() for side in "AB"}
            model.set_input(b)
            term = model.supervised("L1", model.netG(model.real_A), model.real_B).get("L1")
            parts.append(gradient(term))
            loop += [7 * (model.netG(b["A"][i : i + 1]) - b["B"][i : i + 1]).abs().mean() for i in b["pairs"].tolist()]
            if len(b["pairs"]):
                assert term.item() == pytest.approx(sum(x.item() for x in loop[-len(b["pairs"]) :]) / len(b["pairs"]))
        seen.add(len(loop))
        expected = gradient(torch.stack(loop).mean() if loop else None)
        torch.testing.assert_close(torch.stack(parts).mean(0), expected, rtol=1e-9, atol=1e-12)
    assert max(seen) > 0


def trained(root, folder, *more):
    argv = small_argv(root, folder, *DEFAULTS, "--unpaired", "keep", "--batch_size", 1, "--print_freq", 1)
    assert train_script.main([*argv, "--crop_size", "16", "--load_size", "20", *map(str, more)]) == 0
    return torch.load(folder / "checkpoints/run/latest_net_G.pth", weights_only=True)


@pytest.mark.slow
def test_a_run_on_both_is_resumed_exactly_and_tested_on_pairs_alone(mixed, tmp_path, capsys):
    epochs = ("--n_epochs", 2, "--n_epochs_decay", 0, "--num_threads")
    whole = trained(mixed, tmp_path / "whole", *epochs, 0)
    assert "pairs 3; A without partner 3, B without 2: trained on" in capsys.readouterr().err
    trained(mixed, tmp_path / "parts", *epochs, 1, "--max_steps", 5)
    parts = trained(mixed, tmp_path / "parts", "--continue_train", *epochs, 1, "--max_steps", 16)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    logged = [r for r in records(tmp_path / "whole") if "G_GAN" in r]
    assert len(logged) == 16 and sum("L1" in r for r in logged) == 6
    capsys.readouterr()
    words = ["--dataroot", mixed, "--name", "run", "--checkpoints_dir", tmp_path / "whole/checkpoints"]
    words += ["--results_dir", tmp_path / "results", "--metrics", "l1", "--gpu_ids", -1, "--num_threads", 0]
    assert test_script.main([str(w) for w in words]) == 0
    out = capsys.readouterr().out
    assert "mean of 2 pairs" in out and "translations without a target, not among these pairs: 1" in out
    for path in (mixed / "testB").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"--metrics l1: none of 3 translations has a target"):
        test_script.main([str(w) for w in words])


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 4])
def test_a_step_on_both_asks_the_device_for_nothing(mixed, tmp_path, without_precision, rows):  # noqa: F811
    flags = (*TINY.split(), *DEFAULTS, "--dataroot", mixed, "--unpaired", "keep", "--batch_size", rows)
    model, data = on_meta(tmp_path, "cut", *flags)
    assert isinstance(model.engine, Engine) and data["pairs"].device.type == "meta"
    model.engine.checked = True
    with Made(), Unasked(), model.engine.step(model):
        model.set_input(data)
        model.optimize_parameters()
    assert ("L1" in model.losses) == bool(len(data["pairs"]))


OWN = """
from models.template_model import TemplateModel
class {name}Model(TemplateModel):
    masks_pairs = {masks}
    def generator_losses(self):
        return {{"G_GAN": self.fool(self.netD, self.fake_B), "own": (self.fake_B - self.real_B).abs().mean()}}
"""


@pytest.mark.parametrize(
    ("masks", "line"),
    [(True, r"compares with real_B by itself; .*--unpaired drop"), (False, r"takes each for one; use --unpaired drop")],
)
def test_a_method_that_takes_every_item_for_a_pair_is_refused(mixed, tmp_path, masks, line):
    (tmp_path / f"own{masks}_model.py".lower()).write_text(OWN.format(name=f"Own{masks}", masks=masks))
    flags = [f for f in small_argv(mixed, tmp_path, *DEFAULTS, "--unpaired", "keep") if f not in HEADS]
    with pytest.raises(UserError, match=line):
        train_script.main([*flags, "--model", f"own{masks}".lower(), "--plugin_dir", str(tmp_path), "--max_steps", "1"])


def test_plateau_waits_for_a_term_that_comes_with_pairs(mixed, tmp_path):
    trained(mixed, tmp_path, "--lr_policy", "plateau", "--plateau_metric", "L1", "--n_epochs", 1, "--n_epochs_decay", 0)
