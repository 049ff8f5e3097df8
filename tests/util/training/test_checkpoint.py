"""A checkpoint that loads is whole; whatever happens to one, there is another."""

import errno
import json
import multiprocessing
import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from models.base_model import BaseModel
from options import UserError
from tests.conftest import train_options, weights
from util.image_pool import ImagePool
from util.reading.weights import load_weights
from util.training import checkpoint
from util.training.engine import Engine
from util.training.run_folder import RunFolder
from util.training.schedule import Progress


class Small(BaseModel):
    ema_names = ("G",)

    def __init__(self, opt):
        super().__init__(opt)
        torch.manual_seed(opt.seed)
        self.netG, self.netD, self.pool = nn.Linear(3, 3), nn.Linear(3, 1), ImagePool(5)
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", self.netG)

    def optimize_parameters(self):
        y = self.netG(torch.randn(2, 3))
        seen = self.pool.query(y.detach()[:, :, None, None])[:, :, 0, 0]
        self.update("D", lambda: {"D": self.netD(seen).mean()})
        self.update("G", lambda: {"G": self.netD(y).mean()})


def build(*argv):
    opt = train_options("--ema_decay", "0.9", *argv)
    engine = Engine(opt)
    return engine.prepare(Small(opt)), engine


def train(model, engine, steps):
    for _ in range(steps):
        with engine.step(model):
            model.optimize_parameters()


@pytest.fixture
def saved(tmp_path):
    """A run with ``latest`` at step 4 and ``previous`` at step 2."""
    model, engine = build()
    for _ in range(2):
        train(model, engine, 2)
        checkpoint.save(tmp_path, "latest", model, engine)
    return tmp_path


def resumed_at(run, label="latest"):
    model, engine = build("--seed", "9")
    used = checkpoint.restore(run, label, model, engine)
    return used, engine.progress.step


def test_a_restored_run_goes_on_as_if_nothing_had_happened(tmp_path):
    (whole, engine), (first, first_engine), (second, second_engine) = build(), build(), build("--seed", "9")
    train(whole, engine, 7)
    train(first, first_engine, 3)
    checkpoint.save(tmp_path, "latest", first, first_engine)
    second_engine.opt = engine.opt
    assert checkpoint.restore(tmp_path, "latest", second, second_engine) == "latest"
    for optimizer in second.optimizers.values():
        for group in optimizer.param_groups:
            assert group["initial_lr"] == engine.opt.lr
    train(second, second_engine, 4)
    assert torch.equal(weights(whole), weights(second))
    assert torch.equal(engine.averages["G"].module.weight, second_engine.averages["G"].module.weight)
    assert [i.tolist() for i in whole.pool.images] == [i.tolist() for i in second.pool.images]
    assert engine.progress == second_engine.progress


def test_what_is_restored_is_what_is_saved_though_no_step_is_made(tmp_path):
    """As at the end of an epoch: a rate that has fallen is not that of the options, of which the next step makes it."""
    model, engine = build("--n_epochs", "1", "--n_epochs_decay", "3")
    engine.progress.epoch = 2
    train(model, engine, 1)
    checkpoint.save(tmp_path, "latest", model, engine)
    model, engine = build("--n_epochs", "1", "--n_epochs_decay", "3", "--seed", "9")
    checkpoint.restore(tmp_path, "latest", model, engine)
    checkpoint.save(tmp_path, "3", model, engine)
    one, other = (torch.load(tmp_path / f"{label}_state.pt", weights_only=True) for label in ("latest", "3"))
    rates = [state["optimizers"]["G"]["param_groups"][0]["lr"] for state in (one, other)]
    assert rates[0] == rates[1] == engine.opt.lr * 0.5


def test_moments_saved_in_another_memory_order_belong_to_the_same_weights(tmp_path):
    """Such as those of a run before channels were innermost on every device."""

    class Conv(BaseModel):
        def __init__(self, opt):
            super().__init__(opt)
            self.netG = nn.Conv2d(3, 4, 3)
            self.add_optimizer("G", self.netG)

        def set_input(self, batch):
            self.x = batch

        def optimize_parameters(self):
            self.update("G", lambda: {"G": self.netG(self.x).square().mean()})

    def start(channels_last):
        opt = train_options("--lr", "0.01")
        engine = Engine(opt)
        engine.channels_last = channels_last
        return engine.prepare(Conv(opt)), engine

    def steps(model, engine, seed):
        for i in range(3):
            with engine.step(model):
                model.set_input(torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed + i)))
                model.optimize_parameters()

    model, engine = start(False)
    steps(model, engine, 0)
    checkpoint.save(tmp_path, "latest", model, engine)
    steps(model, engine, 3)
    other, engine = start(True)
    checkpoint.restore(tmp_path, "latest", other, engine)
    assert not other.netG.weight.is_contiguous()
    steps(other, engine, 3)
    torch.testing.assert_close(weights(other), weights(model), rtol=1e-5, atol=1e-6)


def test_weight_files_are_plain_and_under_published_names(saved):
    state = torch.load(saved / "latest_net_G.pth", weights_only=True)
    assert list(state) == ["weight", "bias"]
    assert {p.name for p in saved.iterdir()} == {
        f"{label}{rest}"
        for label in ("latest", "previous")
        for rest in ("_net_G.pth", "_net_D.pth", "_net_G_ema.pth", "_state.pt", ".manifest.json")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["latest_state.pt", "latest_net_G.pth", "latest.manifest.json"])
@pytest.mark.parametrize("damage", ["empty", "short", "half", "one bit", "missing"])
def test_damage_is_noticed_and_the_previous_checkpoint_is_used(saved, name, damage, capsys):
    path, data = saved / name, bytearray((saved / name).read_bytes())
    if damage == "one bit":
        data[len(data) // 2] ^= 1
        if name.endswith(".json"):
            data[data.index(b'"sha256"') + 14] ^= 1
    cut = {"empty": 0, "short": len(data) - 1, "half": len(data) // 2}.get(damage, len(data))
    path.unlink()  # the file may be shared with another checkpoint
    if damage != "missing":
        path.write_bytes(data[:cut])
    if (
        name.endswith(".json") and damage == "short"
    ):  # the last bracket: no number is lost, but it is not what was written
        assert resumed_at(saved)[0] in ("latest", "previous")
        return
    assert resumed_at(saved) == ("previous", 2)
    assert "checkpoint latest is not used" in capsys.readouterr().err
    model, _ = build()
    assert checkpoint.load_networks(saved, "latest", model) == (
        "latest" if damage == "missing" and name.endswith(".json") else "previous"
    )


def test_with_nothing_left_it_says_so(saved):
    for path in saved.glob("*_state.pt"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="no usable checkpoint") as error:
        resumed_at(saved)
    assert error.value.code == 4
    with pytest.raises(UserError, match="no usable checkpoint '7'"):
        resumed_at(saved, "7")


def test_a_folder_of_weights_alone_gives_its_weights(saved, capsys):
    model, engine = build()
    checkpoint.restore(saved, "latest", model, engine)
    for path in [*saved.glob("*.json"), *saved.glob("*.pt"), *saved.glob("previous*.pth")]:
        path.unlink()
    other, other_engine = build("--seed", "9", "--epoch_count", "46")
    assert checkpoint.restore(saved, "latest", other, other_engine) == "latest"
    assert torch.equal(weights(other), weights(model)) and other_engine.progress.epoch == 45
    said = capsys.readouterr().err
    assert "weights alone" in said and "not used" not in said
    for path in saved.glob("latest_*"):
        path.rename(path.with_name(path.name.replace("latest", "200")))
    with pytest.raises(UserError, match=r"no usable checkpoint 'latest'.*; it has 200. --epoch 200 goes on from"):
        checkpoint.restore(saved, "latest", other, other_engine)
    assert "not used" not in capsys.readouterr().err  # what is not there is not called unused


def test_kept_checkpoints_outlive_latest(saved):
    model, engine = build()
    checkpoint.restore(saved, "latest", model, engine)
    checkpoint.save(saved, "latest", model, engine, also=["1"])
    train(model, engine, 3)
    checkpoint.save(saved, "latest", model, engine)
    assert resumed_at(saved, "1") == ("1", 4) and resumed_at(saved) == ("latest", 7)


def test_a_start_from_another_run_may_lack_networks(saved, capsys):
    (trained, engine), (model, _) = build(), build("--seed", "9")
    checkpoint.restore(saved, "latest", trained, engine)
    model.netF, fresh = nn.Linear(2, 2), nn.Linear(2, 2)
    model.netF.load_state_dict(fresh.state_dict())
    with pytest.raises(UserError, match=r"no checkpoint .*latest_net_F"):
        checkpoint.load_networks(saved, "latest", model)
    capsys.readouterr()
    assert checkpoint.load_networks(saved, "latest", model, partly=True) == "latest"
    assert capsys.readouterr().err == f"{saved}: checkpoint latest lacks networks that start afresh: F\n"
    assert torch.equal(model.netF.weight, fresh.weight)
    for name in "GD":
        assert torch.equal(model.networks[name].weight, trained.networks[name].weight)


def test_a_start_from_another_run_needs_one_network_and_those_that_fit(saved, tmp_path, capsys):
    model, _ = build()
    capsys.readouterr()
    checkpoint.load_networks(saved, "latest", model, partly=True)
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"no checkpoint .*; it has no checkpoints") as error:
        checkpoint.load_networks(tmp_path / "nowhere", "latest", model, partly=True)
    assert error.value.code == 4
    model.netD = nn.Linear(5, 1)
    with pytest.raises(UserError, match="another architecture"):
        checkpoint.load_networks(saved, "latest", model, partly=True)


def test_nothing_in_a_file_is_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "PWNED",))

    (tmp_path / "latest_net_G.pth").write_bytes(pickle.dumps(Bomb()))
    torch.save({"weight": Bomb()}, tmp_path / "latest_net_D.pth")
    for name in "GD":
        with pytest.raises(UserError, match="damaged, or not a file of weights"):
            load_weights(nn.Linear(3, 3), tmp_path / f"latest_net_{name}.pth")
    assert not (tmp_path / "PWNED").exists()


def test_a_file_of_another_architecture_is_described(tmp_path):
    torch.save(nn.Linear(4, 3).state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"weight is \(3, 4\) instead of \(3, 3\)"):
        load_weights(nn.Linear(3, 3), tmp_path / "a.pth")
    torch.save({f"module.{k}": v for k, v in nn.Linear(3, 3).state_dict().items()}, tmp_path / "b.pth")
    load_weights(nn.Linear(3, 3), tmp_path / "b.pth")
    with pytest.raises(UserError, match=r"and their like; it is of --ngf 4$"):
        load_weights(nn.Linear(3, 3), tmp_path / "a.pth", otherwise=lambda: "--ngf 4")
    torch.save([1, 2], tmp_path / "c.pth")
    with pytest.raises(UserError, match="no state dict"):
        load_weights(nn.Linear(3, 3), tmp_path / "c.pth")


def test_a_full_disk_leaves_the_earlier_checkpoint(saved, monkeypatch):
    model, engine = build()
    checkpoint.restore(saved, "latest", model, engine)
    train(model, engine, 1)

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device") as error:
        checkpoint.save(saved, "latest", model, engine)
    monkeypatch.undo()
    assert error.value.code == 5 and not list(saved.glob(".*.tmp"))
    assert resumed_at(saved) == ("latest", 4)


def test_losses_that_are_not_finite_never_reach_a_checkpoint(saved):
    model, engine = build()
    checkpoint.restore(saved, "latest", model, engine)
    engine.finite &= False
    with pytest.raises(UserError, match="not finite"):
        checkpoint.save(saved, "latest", model, engine)
    assert resumed_at(saved) == ("latest", 4)


def second_run(path):
    try:
        RunFolder(path, continued=False, overwrite=False)
    except UserError as error:
        os._exit(7 if "another run is training here" in str(error) else 8)


def test_one_run_at_a_time(tmp_path):
    with RunFolder(tmp_path / "run", continued=False, overwrite=False):
        process = multiprocessing.get_context("fork").Process(target=second_run, args=(tmp_path / "run",))
        process.start()
        process.join(60)
        assert process.exitcode == 7
    with RunFolder(tmp_path / "run", continued=False, overwrite=False):
        pass


def test_an_earlier_run_is_not_overwritten_by_accident(saved):
    with pytest.raises(UserError, match="--continue_train to go on with it, --overwrite"):
        RunFolder(saved, continued=False, overwrite=False)
    (saved / "notes.txt").write_text("mine")
    with RunFolder(saved, continued=False, overwrite=True) as folder:
        assert (saved / "latest_net_G.pth").exists()  # until the new run is known to start
        progress = Progress(epoch=0)
        folder.begin(progress)
        assert {p.name for p in saved.iterdir()} == {"notes.txt", ".lock", ".overwritten"}  # until a step is done
        progress.step += 1
        folder.check()
        assert [p.name for p in saved.iterdir() if p.name != ".lock"] == ["notes.txt"]
    with pytest.raises(UserError, match="there is no run in"):
        RunFolder(saved, continued=True, overwrite=False)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as error:
        RunFolder(tmp_path / "file" / "run", continued=False, overwrite=False)
    assert error.value.code == 5


def test_a_manifest_cannot_point_outside_its_run(saved):
    manifest = json.loads((saved / "latest.manifest.json").read_text())
    manifest["files"]["../x"] = {"bytes": 1, "sha256": ""}
    (saved / "latest.manifest.json").write_text(json.dumps(manifest))
    assert resumed_at(saved)[0] == "previous"
