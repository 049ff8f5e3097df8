"""What each of two processes keeps to itself is saved, and a run that goes on has it: bit for bit."""

import pytest
import torch
from torch import nn

from models.base_model import BaseModel
from options import UserError
from tests.conftest import train_options
from tests.util.test_distributed import in_processes
from util import distributed
from util.finite import tensors_of
from util.image_pool import ImagePool
from util.training import checkpoint
from util.training.engine import Engine
from util.training.manifest import problem, read_manifest
from util.training.own_state import is_of_process, name_of, own_state
from util.training.sync_norm import SyncedBatchNorm

WORDS = ("--ema_decay", "0.9", "--lr_policy", "plateau", "--plateau_metric", "D", "--n_epochs", "9")


class Own(BaseModel):
    """A pool, and statistics of batch norm in a network that is averaged."""

    ema_names = ("G",)

    def __init__(self, opt):
        super().__init__(opt)
        torch.manual_seed(opt.seed)
        self.netG, self.netD = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), nn.Linear(3, 1)
        self.pool = ImagePool(3)
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", self.netG)

    def optimize_parameters(self):
        y = self.netG(torch.randn(4, 3))
        seen = self.pool.query(y.detach()[:, :, None, None])[:, :, 0, 0]
        self.update("D", lambda: {"D": (self.netD(seen) ** 2).mean()})
        self.update("G", lambda: {"G": (self.netD(y) ** 2).mean()})


def build(*more):
    opt = train_options(*WORDS, *more)
    engine = Engine(opt)
    return engine.prepare(Own(opt)), engine


def train(model, engine, steps):
    for _ in range(steps):
        with engine.step(model):
            model.optimize_parameters()


def everything(model, engine):
    held = own_state(model, engine), list(model.state_dict().values()), engine.sums, model.losses
    return [tensor.tolist() for tensor in tensors_of(held)]


def whole_and_in_parts(folder):
    def work(rank):
        (whole, engine), (first, first_engine), (second, second_engine) = build(), build(), build("--seed", "9")
        train(whole, engine, 7)
        train(first, first_engine, 2)
        lacked = first_engine.own.lack(first, first_engine)
        checkpoint.save(folder, "latest", first, first_engine)
        lacked = lacked, first_engine.own.lack(first, first_engine)
        train(first, first_engine, 1)
        checkpoint.save(folder, "latest", first, first_engine)
        distributed.barrier()
        checkpoint.restore(folder, "latest", second, second_engine)
        second_engine.opt = engine.opt
        train(second, second_engine, 4)
        return everything(whole, engine), everything(second, second_engine), lacked

    return work


@pytest.mark.slow
def test_each_process_goes_on_from_what_it_kept(tmp_path, capsys):
    train(*build(), 1)  # what torch imports at its first step it does once, before the processes are forked
    found = in_processes(whole_and_in_parts(tmp_path), tmp_path)
    for whole, parts, lacked in found:
        assert whole == parts and lacked == (True, False)
    assert found[0][0] != found[1][0]  # or the main one's would have done
    for label in ("latest", "previous"):
        assert problem(tmp_path, label) is None and name_of(label, 1) in read_manifest(tmp_path, label)["files"]
    model, engine = build()
    assert checkpoint.restore(tmp_path, "latest", model, engine) == "latest"
    told = "checkpoint latest is of 2 processes, and there is 1 now: data come in another order"
    assert told in capsys.readouterr().err
    train(model, engine, 1)
    checkpoint.save(tmp_path, "latest", model, engine)
    assert not (tmp_path / name_of("latest", 1)).exists() and not engine.own.lack(model, engine)
    checkpoint.remove(tmp_path, "previous")
    assert not list(tmp_path.glob("*_process_*"))


def test_which_modules_are_of_their_process():
    own = nn.BatchNorm2d(2), ImagePool(1)
    synced = nn.BatchNorm2d(2)
    synced.__class__ = SyncedBatchNorm
    shared = synced, ImagePool(0), nn.BatchNorm2d(2, track_running_stats=False), nn.BatchNorm2d(2).eval()
    assert all(map(is_of_process, own)) and not any(map(is_of_process, shared))


def test_processes_that_find_unlike_checkpoints_all_say_so(tmp_path):
    def work(rank):
        try:
            distributed.refuse_unlike(f"step {rank}", lambda main, other, there: f"main {main}, {other} {there}")
        except UserError as error:
            return str(error), distributed.is_shared(error)

    assert in_processes(work, tmp_path) == [("main step 0, 1 step 1", True)] * 2
