"""The order of copies, batches and errors; what the GPU is asked to do is written down by fakes."""

import pytest
import torch

from data import Loader
from data.loading import ahead
from data.loading.ahead import SideStream, one_ahead
from options import UserError
from tests.data.helpers import dataset, images


class Pretended:
    """A side stream that moves nothing and writes down what it is asked."""

    def __init__(self):
        self.log = []

    def start(self, batch):
        self.log.append(("start", batch["A_paths"][0][-5]))
        return batch

    def finish(self, batch):
        self.log.append(("finish", batch["A_paths"][0][-5]))
        return batch


@pytest.fixture
def root(tmp_path):
    for side in "AB":
        images(tmp_path / f"train{side}", *(f"{i}.png" for i in range(4)), size=(16, 16))
    return tmp_path


def data_of(root, *argv):
    return dataset("unaligned", "--dataroot", root, "--preprocess", "none", "--serial_batches", *argv)


def test_the_next_batch_is_started_before_this_one_is_handed_out():
    log = []
    for n in one_ahead([1, 2, 3], lambda n: log.append(f"start {n}") or n, lambda n: log.append(f"finish {n}") or n):
        log.append(f"use {n}")
    assert log == [
        *("start 1", "start 2", "finish 1", "use 1"),
        *("start 3", "finish 2", "use 2", "finish 3", "use 3"),
    ]
    assert list(one_ahead([], None, None)) == []


def test_an_error_comes_after_the_batches_before_it():
    def batches():
        yield 1
        yield 2
        raise UserError("the third")

    seen = []
    with pytest.raises(UserError, match="the third"):
        for batch in one_ahead(batches(), lambda b: b, lambda b: b):
            seen.append(batch)
    assert seen == [1, 2]


@pytest.mark.parametrize("workers", (0, 1))
def test_a_loader_that_is_one_ahead_hands_out_the_same_batches(root, workers):
    def loader():
        data = data_of(root)
        object.__setattr__(data.opt, "num_threads", workers)
        return Loader(data, data.opt)

    plain, ahead_of = loader(), loader()
    ahead_of._side = Pretended()
    for number, start in ((1, 0), (2, 3), (3, 0)):
        expected = list(plain.epoch(number, start))
        found = list(ahead_of.epoch(number, start))
        assert len(found) == len(expected) == 4 - start
        assert all(
            torch.equal(x["A"], y["A"]) and x["B_paths"] == y["B_paths"] for x, y in zip(found, expected, strict=True)
        )
    one = next(iter(ahead_of.epoch(4)))  # left in the middle of an epoch, another can begin
    assert torch.equal(next(iter(ahead_of.epoch(4)))["A"], one["A"])
    plain.close(), ahead_of.close()
    starts = [n for what, n in ahead_of._side.log[:8] if what == "start"]
    assert starts == ["0", "1", "2", "3"]  # of the first epoch, and nothing of the second


def test_a_bad_image_stops_a_loader_that_is_one_ahead_at_its_own_batch(root):
    (root / "trainA" / "2.png").write_bytes(b"no image")
    data = data_of(root)
    loader, seen = Loader(data, data.opt), []
    loader._side = Pretended()
    with pytest.raises(UserError, match=r"2\.png"):
        for batch in loader.epoch():
            seen.append(batch["A_paths"][0][-5])
    assert seen == ["0", "1"]


def test_epochs_are_begun_when_they_are_read(root):
    data = data_of(root)
    loader = Loader(data, data.opt)
    first, second = loader.epoch(1), loader.epoch(2, start=2)
    assert len(list(first)) == 4 and len(list(second)) == 2


def test_what_a_side_stream_asks_of_the_gpu(monkeypatch):
    """Copies in the side stream, then an event; the computing stream waits for it and keeps the memory."""
    log = []

    class Stream:
        def __init__(self, name):
            self.name = name

        def record_event(self):
            log.append(f"event on {self.name}")
            return "event"

        def wait_event(self, event):
            log.append(f"{self.name} waits")

        def __enter__(self):
            log.append(f"enter {self.name}")

        def __exit__(self, *_):
            log.append(f"leave {self.name}")

    monkeypatch.setattr(ahead.torch.cuda, "Stream", lambda device: Stream("side"))
    monkeypatch.setattr(ahead.torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(ahead.torch.cuda, "current_stream", lambda device: Stream("computing"))
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: log.append(f"kept for {stream.name}"))
    side = SideStream(lambda x: log.append("copy") or x, torch.device("cuda"))
    batch = {"A": torch.zeros(1), "A_paths": ["a"], "B": torch.ones(1)}
    assert side.finish(side.start(batch)) == batch
    assert log == [
        *("enter side", "copy", "copy", "leave side", "event on side"),
        *("computing waits", "kept for computing", "kept for computing"),
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_reach_a_gpu_unharmed(root):
    data = data_of(root)
    expected = [batch for number in range(1, 20) for batch in Loader(data, data.opt).epoch(number)]
    loader = Loader(data, data.opt, lambda x: x.to("cuda", non_blocking=True))
    found = [batch["A"].clone() for number in range(1, 20) for batch in loader.epoch(number)]
    assert loader._side is not None and all(torch.equal(x.cpu(), y["A"]) for x, y in zip(found, expected, strict=True))
