"""Items of another thread: the same ones, and a wait that ends."""

import threading
import time
from contextvars import ContextVar

import pytest
import torch

from util.patience import patiently


def late():
    return TimeoutError("too late")


def test_items_come_one_by_one_as_they_are_asked_for():
    made = []

    def count():
        for n in range(5):
            made.append(n)
            yield n, threading.current_thread()

    items = patiently(count, 10, late)
    first, thread = next(items)
    assert first == 0 and thread is not threading.current_thread() and made == [0]
    assert [n for n, _ in items] == [1, 2, 3, 4]
    thread.join(5)
    assert not thread.is_alive()


def test_what_is_raised_there_is_raised_here():
    def fail():
        yield 1
        raise ZeroDivisionError

    items = patiently(fail, 0, late)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_numbers_are_drawn_as_in_one_thread_and_its_context_is_there():
    context = ContextVar("context", default=0)
    context.set(7)

    def draw():
        for _ in range(3):
            yield torch.rand(1).item(), context.get()

    torch.manual_seed(0)
    expected = [torch.rand(1).item() for _ in range(6)]
    torch.manual_seed(0)
    drawn = []
    for number, seen in patiently(draw, 10, late):
        drawn += [number, torch.rand(1).item()]
        assert seen == 7
    assert drawn == expected


def test_a_wait_ends():
    ended = threading.Event()

    def hang():
        yield 1
        ended.wait(60)

    items, start = patiently(hang, 0.2, late), time.monotonic()
    next(items)
    with pytest.raises(TimeoutError, match="too late"):
        next(items)
    assert time.monotonic() - start < 30
    ended.set()
