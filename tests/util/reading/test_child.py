"""A child that decodes is asked again and again, killed when it takes too long, and never believed."""

import io
import multiprocessing
import os
import struct
import threading
import time

import numpy as np
import pytest
from PIL import Image

from options import UserError
from util.reading import child
from util.reading.child import in_child

pytestmark = pytest.mark.slow
HERE = "tests.util.reading.test_child"


def echo(path, *values):
    return [path.name, *values]


def arrays(path):
    return {"a": np.arange(6, dtype=">u2").reshape(2, 3), "b": [np.zeros((0, 3), np.float32), None, 1.5]}


def fail(path, kind):
    if kind == "user":
        raise UserError("no such thing")
    if kind == "bomb":
        raise Image.DecompressionBombError("large")
    if kind == "memory":
        return len(bytearray(64 << 30))
    if kind == "crash":
        os.abort()
    if kind == "print":
        print("what is no answer", flush=True)
        return 1
    time.sleep(60)


def test_answers_are_what_was_returned(tmp_path):
    assert in_child(f"{HERE}:echo", tmp_path / "\udcff\n.tif", 1, "\u6c38", None) == ["\udcff\n.tif", 1, "\u6c38", None]
    first = child._child.process.pid
    found = in_child(f"{HERE}:arrays", tmp_path)
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["a"].dtype == ">u2" and found["b"][1:] == [None, 1.5]
    assert found["b"][0].shape == (0, 3) and child._child.process.pid == first
    found["a"][0, 0] = 7  # it can be written to


def test_what_goes_wrong_is_said_and_the_next_call_works(tmp_path):
    for kind, expected, line in (
        ("user", UserError, "no such thing"),
        ("bomb", Image.DecompressionBombError, "large"),
        ("memory", ValueError, "takes more than 4 GiB of memory"),
        ("crash", ValueError, "ended with signal 6"),
    ):
        with pytest.raises(expected, match=line):
            in_child(f"{HERE}:fail", tmp_path, kind)
        assert in_child(f"{HERE}:fail", tmp_path, "print") == 1
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"not decoded within 0\.5 s"):
        in_child(f"{HERE}:fail", tmp_path, "hang", seconds=0.5)
    assert time.monotonic() - begin < 20


def test_threads_and_forks_do_not_get_each_others_answers(tmp_path):
    found = {}

    def ask(n):
        found[n] = in_child(f"{HERE}:echo", tmp_path, n)[1]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: n for n in range(8)}
    with multiprocessing.get_context("fork").Pool(2) as pool:  # daemonic, as workers of a loader are
        assert pool.starmap(in_child, [(f"{HERE}:echo", tmp_path, n) for n in range(6)]) == [
            [tmp_path.name, n] for n in range(6)
        ]
    assert in_child(f"{HERE}:echo", tmp_path, 9)[1] == 9


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack("<Q", 1 << 40),
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 3) + b"[1,",
        struct.pack("<Q", 17) + b'{"array": ["O",1]}'[:17],
        struct.pack("<Q", 19) + b'{"array": ["O", 1]}',
        struct.pack("<Q", 30) + b'{"array": ["<u8", 99999999999]}'[:30],
        struct.pack("<Q", 21) + b'{"array": ["<u8", -1]}'[:21],
    ],
)
def test_an_answer_of_a_child_that_was_taken_over_is_refused(answer):
    with pytest.raises((ValueError, TypeError, EOFError)):
        kind, value = child._receive(io.BytesIO(answer))
        raise AssertionError((kind, value))


def test_an_answer_has_as_much_room_as_its_file(monkeypatch):
    """An array of a large file is no sign of a child that was taken over."""
    answer = b'["value", {"array": ["|u1", 9]}]'
    stream = struct.pack("<Q", len(answer)) + answer + bytes(9)
    monkeypatch.setattr(child, "MEMORY", 4)
    assert child._receive(io.BytesIO(stream), 27)[1].shape == (9,)
    with pytest.raises(ValueError, match="too large"):
        child._receive(io.BytesIO(stream), 8)
