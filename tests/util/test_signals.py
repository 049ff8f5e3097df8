"""When a signal is answered: at once, when the process is ready, or never."""

import os
import signal

import pytest

from util import signals
from util.signals import ASKING, Interrupted, Signals, raising


@pytest.fixture
def restored():
    """Handlers are those from before at the end, and the system's at the start: CI may run under nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ASKING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", sorted(ASKING))
def test_nothing_to_save_ends_where_it_is_and_once(number, restored):
    with raising():
        with pytest.raises(Interrupted, match=signal.Signals(number).name):
            send(number)
        send(signal.SIGTERM)  # does not break what the first began
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_nohup_is_respected(restored):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with raising():
        send(signal.SIGHUP)
    Signals().catch()
    send(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_signal_is_noted_and_ends_a_wait_at_once(restored):
    asked = Signals()
    asked.catch()
    with asked.leaving(at_once=False):
        send(signal.SIGUSR1)
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGTERM):
        send(number)
    assert asked.number == signal.SIGUSR1  # of the first, and nothing was raised
    with pytest.raises(Interrupted, match="SIGUSR1"), asked.leaving():
        raise AssertionError("the wait was begun")
    other = Signals()
    other.catch()
    with pytest.raises(Interrupted, match="SIGHUP"), other.leaving():
        send(signal.SIGHUP)


def test_ctrl_c_once_more_ends_a_step_but_never_what_is_saved(restored, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: now[0])
    asked = Signals()
    asked.catch()
    for number in (signal.SIGINT, signal.SIGINT):  # of the terminal, and of the program that started this one
        send(number)
        now[0] += 4
    send(signal.SIGTERM)
    with pytest.raises(Interrupted):
        send(signal.SIGINT)
    asked.ignore()
    send(signal.SIGINT)
