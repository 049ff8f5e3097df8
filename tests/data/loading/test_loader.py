"""What reaches workers that are started afresh and inherit nothing: every kind of data, whole."""

import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from data import DATASETS
from data.base_dataset import BaseDataset
from data.loading.loader import Loader
from data.loading.workers import start_worker
from options import UserError
from tests.data.helpers import dataset, images
from util.fonts.characters import character_name

ROOT = Path(__file__).parents[3]
SMALL = ("--load_size", 20, "--crop_size", 16)
FONTS = ("--target_font", "DejaVuSerif", "DejaVuSansMono", "--charset", "ascii")
READ = """
import pickle, sys
lot = pickle.load(sys.stdin.buffer)
read = {name: [[data[i] for i in range(2)] for data.epoch in (1, 2)] for name, data in lot.items()}
sys.stdout.buffer.write(pickle.dumps(read))
"""


def make(root):
    """{what it is: a dataset}, of every kind and of what kinds read in different ways."""
    images(root / "photos", *(f"{phase}{side}/{n}.png" for phase in ("train", "test") for side in "AB" for n in "xyz"))
    images(root / "pairs/train", "a.png", "b.png", size=(80, 40))
    images(root / "classes", *(f"{name}/{n}.png" for name in ("cat", "dog") for n in range(4)), size=(16, 16))
    images(root / "told", *(f"{n}.png" for n in range(4)), size=(16, 16))
    (root / "told/captions.csv").write_text("\n".join(f"{n}.png,picture {n}" for n in range(4)))
    images(root / "one", "trainA/a.png", "trainB/b.png", size=(90, 70))
    for label in range(2):
        images(root / "glyphs", *(f"{label}_{character_name(ord(c))}.png" for c in "abc"), size=(32, 16), seed=label)
    photos = ("--dataroot", root / "photos", *SMALL)
    captions = ("--source", "glyphs", *FONTS, "--crop_size", 16)
    return {
        "unaligned": dataset("unaligned", *photos),
        "aligned": dataset("aligned", "--dataroot", root / "pairs", *SMALL),
        "template": dataset("template", *photos),
        "single": dataset("single", *photos, train=False),
        "singleimage": dataset("singleimage", "--dataroot", root / "one", "--crop_size", 16),
        "font": dataset("font", *FONTS, "--crop_size", 16),
        "font of pairs": dataset("font", "--pairs", root / "glyphs", "--crop_size", 16, "--phase", "all"),
        "labeled": dataset("labeled", "--dataroot", root / "classes", "--crop_size", 8),
        "labeled digits": dataset("labeled", "--dataroot", "digits", "--crop_size", 8),
        "labeled glyphs": dataset("labeled", "--source", "glyphs", *FONTS, "--crop_size", 16),
        "caption": dataset("caption", "--dataroot", root / "told", "--crop_size", 8),
        "caption digits": dataset("caption", "--source", "digits", "--crop_size", 8),
        "caption glyphs": dataset("caption", *captions),
    }


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key]) if isinstance(one[key], torch.Tensor) else one[key] == other[key]
        for key in one
    )


@pytest.mark.slow
def test_every_kind_of_data_reads_the_same_items_in_a_process_of_its_own(tmp_path):
    kinds = make(tmp_path)
    assert {name.split()[0] for name in kinds} == set(DATASETS.names())
    here = {name: [[data[i] for i in range(2)] for data.epoch in (1, 2)] for name, data in kinds.items()}
    done = subprocess.run([sys.executable, "-c", READ], cwd=ROOT, input=pickle.dumps(kinds), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    there = pickle.loads(done.stdout)
    for name, epochs in here.items():
        for mine, others in zip(epochs, there[name], strict=True):
            assert all(map(same, mine, others)), name


def test_what_a_process_drew_does_not_travel():
    """Glyphs are kept by the identity of their font, which in another process may be that of another font."""
    data = dataset("font", *FONTS, "--crop_size", 16)
    first = data[0]
    sent = pickle.loads(pickle.dumps(data))
    assert data._drawn and not sent._drawn and sent.opt == data.opt and same(sent[0], first)


class Numbers(BaseDataset):
    """Numbers, and something that no process can give to another."""

    def __init__(self, opt):
        super().__init__(opt)
        self.file = Path(__file__).open("rb")  # noqa: SIM115

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"number": index}


class MindfulNumbers(Numbers):
    def __getstate__(self):
        return self.__dict__ | {"file": None}


@pytest.fixture(params=["spawn", "forkserver"])
def method(request):
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


def test_data_that_cannot_be_sent_are_named_in_a_line(method, recwarn):
    opt = dataset("font", *FONTS, "--num_threads", 2).opt
    loader = Loader(Numbers(opt), opt)
    line = "test_loader.py: Numbers.file cannot be sent to a data-loading worker (cannot pickle '_io.BufferedReader'"
    with pytest.raises(UserError, match=re.escape(line)):
        next(loader.epoch())
    loader.close()
    assert not [warning for warning in recwarn if "pickle" in str(warning.message)]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGTERM}


@pytest.mark.slow
def test_a_signal_does_not_end_workers_that_are_not_ready(method):
    """The main process answers it; what a dataset leaves out of its state does not keep it from workers."""
    opt = dataset("font", *FONTS, "--num_threads", 1, "--batch_size", 2).opt
    loader = Loader(MindfulNumbers(opt), opt)
    batches = loader.epoch()
    loader._keys[:] = [(1, 0)] * 4
    (worker,) = loader._read()._workers
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's, who was asked in the main thread, raises where that is
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    assert sorted(n for batch in batches for n in batch["number"].tolist()) == [0, 1, 2, 3]
    loader.close()


@pytest.mark.slow
@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), EOFError()])
def test_what_a_killed_worker_had_not_sent_yet_is_no_bug(monkeypatch, error):
    """The main process may find its connection closed before it finds the worker gone."""
    opt = dataset("font", *FONTS, "--num_threads", 1, "--batch_size", 2).opt
    loader, read = Loader(MindfulNumbers(opt), opt), Loader._read

    def breaking(self, number):
        yield next(read(self))
        if number:
            os.kill(self._workers[0].pid, number)
        raise error

    for number, expected in ((0, type(error)), (signal.SIGKILL, UserError)):
        monkeypatch.setattr(Loader, "_read", lambda self, number=number: breaking(self, number))
        batches = loader.epoch()
        next(batches)
        with pytest.raises(expected, match=r"was killed \(SIGKILL\)" if number else None):
            next(batches)
    loader.close()


@pytest.mark.parametrize("alive", [True, False])
def test_a_worker_whose_parent_was_killed_while_it_began_does_not_stay(alive):
    """torch ends a worker when its parent changes, which it has by then."""

    class Parent:
        def is_alive(self):
            return alive

    def begin():
        multiprocessing.parent_process = Parent
        start_worker(0)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    process.join(20)
    assert process.exitcode == (0 if alive else 1)
