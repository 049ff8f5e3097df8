"""A claim is one process's: by the kernel's lock on one host, by a lease between hosts, by both where they must."""

import contextlib
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from options import UserError
from util import claim as module
from util import process as processes
from util.claim import Claim, Taken, Watch, holder
from util.process import this_host

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from util import claim, process

{before}
held = claim.Claim(Path(sys.argv[1]))
{after}
print("held", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def held(file, before="", after=""):
    """Another process that holds a claim, and is killed in the end."""
    code = HOLD.format(before=before, after=after)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(file)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n", process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


ELSEWHERE = "process.this_host = lambda: 'another boot'; claim.BEAT = 0.1"
# A disk where the time of a file is that of the machine that wrote it, of a host whose clock is so many seconds off.
CLOCK = f"""
import os, time
{ELSEWHERE}
write = claim.Claim._write
def stamped(held):
    write(held)
    os.utime(held.file, (time.time() + {{off}},) * 2)
claim.Claim._write = stamped
"""
NO_LOCKS = f"""
import fcntl, errno
def no_locks(*_):
    raise OSError({errno.ENOLCK}, 'no locks')
fcntl.lockf = no_locks
"""


def hold(folder):
    """A claim in a folder, as a process of another machine renews it."""
    facts = {"host": "elsewhere", "name": "there", "space": "", "pid": 7, "start": ""}
    (folder / ".lock").write_text(json.dumps(facts))


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(module.fcntl, "lockf", refuse)


@pytest.mark.slow
def test_on_one_host_the_lock_decides_and_a_kill_frees_it_at_once(tmp_path):
    file = tmp_path / ".lock"
    with held(file) as other:
        with pytest.raises(Taken, match=f"process {other.pid} on "):
            Claim(file)
        assert holder(file).startswith(f"process {other.pid} on ")
        os.utime(file, (0, 0))  # what a lease says does not count
        with pytest.raises(Taken):
            Claim(file)
        killed(other)
        assert holder(file) == ""
        with Claim(file):
            assert json.loads(file.read_bytes())["pid"] == os.getpid()
    assert not file.exists()


@pytest.mark.slow
def test_who_holds_a_claim_may_ask_who_does_and_keeps_it(tmp_path):
    file = tmp_path / ".lock"
    ask = "said = claim.holder(Path(sys.argv[1]))\nassert said.startswith('process '), said"
    with held(file, after=ask) as other:
        assert holder(file).startswith(f"process {other.pid} on ")
        with pytest.raises(Taken):
            Claim(file)


@pytest.mark.slow
def test_a_child_that_was_forked_has_no_part_in_the_claim(tmp_path):
    """Workers that load data outlive the process that was killed, for a while."""
    file = tmp_path / ".lock"
    orphan = "import os\nchild = os.fork()\nif child == 0:\n    time.sleep(60)\nprint(child, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD.format(before="", after=orphan), str(file)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        child = int(other.stdout.readline())
        killed(other)
        try:
            os.kill(child, 0)
            with Claim(file):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_between_hosts_a_lease_counts_and_ends(tmp_path, monkeypatch, capsys):
    file = tmp_path / ".lock"
    monkeypatch.setattr(module, "LEASE", 1.0)
    monkeypatch.setattr(module, "LOOK", 0.05)
    monkeypatch.setattr(module, "_lock", lambda *_, **__: True)  # locks that do not reach from host to host
    with held(file, ELSEWHERE) as other:
        with pytest.raises(Taken, match=r"process .* on "):
            Claim(file)
        assert "waiting up to 1 s for a sign of it" in capsys.readouterr().err
        with pytest.raises(Taken):
            Claim(file, patient=False)
        assert holder(file)
        killed(other)
        began = time.monotonic()
        with Claim(file):
            assert 0.3 < time.monotonic() - began < 5
        assert holder(file) == ""


@pytest.mark.slow
@pytest.mark.parametrize("off", [-3600, pytest.param(3600, marks=pytest.mark.exhaustive)])
def test_clocks_of_hosts_may_differ(tmp_path, monkeypatch, off):
    """Who is at work is not taken for gone, however old its claim seems; who is gone not for at work."""
    file = tmp_path / ".lock"
    monkeypatch.setattr(module, "LEASE", 1.5)
    monkeypatch.setattr(module, "LOOK", 0.05)
    monkeypatch.setattr(module, "SETTLE", 0.05)
    monkeypatch.setattr(module, "_lock", lambda *_, **__: True)
    watch = Watch(file)
    with held(file, CLOCK.format(off=off)) as other:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert not watch()
            with pytest.raises(Taken) as taken:
                Claim(file, watch=watch)
            time.sleep(0.1)
        for patient in (True, False):
            with pytest.raises(Taken, match=f"process {other.pid} on "):
                Claim(file, patient=patient)
        assert taken.value.until == ", until 2 s after the last sign of it"
        killed(other)
        began = time.monotonic()
        while not watch():
            assert time.monotonic() < began + 5
            time.sleep(0.02)
        assert time.monotonic() - began > 0.3
        with Claim(file, watch=watch) as mine:
            assert mine.is_mine


@pytest.mark.slow
def test_a_lease_that_ended_counts_for_nothing_even_where_a_lock_is_left(tmp_path, monkeypatch):
    """A server may keep the lock of a host that was switched off."""
    file = tmp_path / ".lock"
    monkeypatch.setattr(module, "LEASE", 2.0)
    monkeypatch.setattr(module, "SETTLE", 0.05)
    with held(file, ELSEWHERE.replace("0.1", "1000")):
        with pytest.raises(Taken):
            Claim(file, patient=False)
        old = time.time() - module.LEASE - 1
        os.utime(file, (old, old))
        with Claim(file, patient=False) as mine:
            assert mine.is_mine


@pytest.mark.slow
def test_without_locks_the_process_decides_on_one_host(tmp_path, no_locks, capsys):
    file = tmp_path / ".lock"
    with held(file, NO_LOCKS) as other:
        with pytest.raises(Taken, match=f"process {other.pid} on "):
            Claim(file)
        assert "this file system has no locks; a lease of 90 s counts instead" in capsys.readouterr().err
        facts = json.loads(file.read_bytes())
        file.write_text(json.dumps(facts | {"start": "12"}))  # its number is another process's by now
        with Claim(file):
            pass
    file.write_text(json.dumps(facts))
    with Claim(file):  # it is gone
        pass


def test_what_another_container_holds_without_locks_is_a_lease(tmp_path, no_locks, monkeypatch):
    file = tmp_path / ".lock"
    facts = {"host": this_host(), "name": "box", "space": "pid:[1]", "pid": 2**22 + 1, "start": ""}
    file.write_text(json.dumps(facts))
    with pytest.raises(Taken, match="on box"):
        Claim(file, patient=False)
    monkeypatch.setattr(module, "LEASE", 1.0)
    os.utime(file, (0, 0))
    with Claim(file):
        pass


def test_who_was_taken_over_notices(tmp_path, monkeypatch):
    file = tmp_path / ".lock"
    monkeypatch.setattr(module, "BEAT", 0.02)
    with Claim(file) as mine:
        assert mine.is_mine
        content = json.loads(file.read_bytes()) | {"token": "other"}
        descriptor = os.open(file, os.O_WRONLY)  # closing it would free the lock, which is what a lease has not
        os.pwrite(descriptor, json.dumps(content).encode().ljust(module.SIZE), 0)
        deadline = time.monotonic() + 5
        while mine.is_mine and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not mine.is_mine
        os.close(descriptor)
    assert file.exists()  # it is not this process's to remove


def test_a_file_that_was_replaced_is_not_ones_own(tmp_path):
    file = tmp_path / ".lock"
    with Claim(file) as mine:
        file.unlink()
        assert mine.is_mine  # somebody tidied up
        file.write_text("")
        assert not mine.is_mine
    assert file.exists()


@pytest.mark.parametrize(
    "text", ["", "process 12 on somewhere\n", "{", "[" * 3000, '{"pid": -1}', '{"pid": "x"}', '{"pid": 1}', "null"]
)
def test_what_a_claim_says_may_be_anything(tmp_path, monkeypatch, text):
    monkeypatch.setattr(module, "SETTLE", 0.05)
    file = tmp_path / ".lock"
    file.write_text(text)
    assert holder(file) == ""
    with Claim(file) as mine:
        assert mine.is_mine


def test_names_reach_the_terminal_harmless(tmp_path, no_locks):
    facts = {"host": "h", "name": "a\x1b[2J\u202eb", "space": "", "pid": 7, "start": ""}
    (tmp_path / ".lock").write_text(json.dumps(facts))
    assert holder(tmp_path / ".lock") == "process 7 on a?[2J?b"


def test_who_looks_need_not_be_allowed_to_write(tmp_path, monkeypatch):
    """At runs of others, of another host, whose folder is theirs alone."""
    hold(tmp_path)
    monkeypatch.setattr(module.secrets, "token_hex", lambda _: "x" * 300)
    assert holder(tmp_path / ".lock") == "process 7 on there"
    os.utime(tmp_path / ".lock", (0, 0))
    assert holder(tmp_path / ".lock") == ""


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="is a link"):
        Claim(tmp_path / ".lock")
    (tmp_path / ".lock").unlink()
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(UserError, match="no plain file"):
        Claim(tmp_path / ".lock")
    (tmp_path / ".lock").unlink()
    os.link(tmp_path / "precious", tmp_path / ".lock")
    with pytest.raises(UserError, match="other names too, which would say the same; remove it"):
        Claim(tmp_path / ".lock")
    assert (tmp_path / "precious").read_text() == "mine" and holder(tmp_path / ".lock") == ""


@pytest.mark.slow
def test_of_many_that_start_at_once_one_has_it(tmp_path):
    file, context = tmp_path / ".lock", multiprocessing.get_context("fork")
    won, go, over = context.Value("i", 0), context.Event(), context.Event()

    def start():
        go.wait()
        with contextlib.suppress(Taken), Claim(file):
            with won.get_lock():
                won.value += 1
            over.wait()

    processes = [context.Process(target=start) for _ in range(8)]
    for process in processes:
        process.start()
    go.set()
    deadline = time.monotonic() + 30
    while sum(p.is_alive() for p in processes) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert won.value == 1
    over.set()
    for process in processes:
        process.join()


@pytest.mark.slow
@pytest.mark.parametrize("left", [False, True])
def test_of_many_hosts_that_start_at_once_one_has_it(tmp_path, monkeypatch, left):
    """Where no lock reaches from one to another: a new claim, and one that a host has left which is gone."""
    file, context = tmp_path / ".lock", multiprocessing.get_context("fork")
    if left:
        hold(tmp_path)
        os.utime(file, (0, 0))
    for name, seconds in {"LEASE": 3.0, "LOOK": 0.01, "BEAT": 0.1, "SETTLE": 0.7}.items():
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(module, "_lock", lambda *_, **__: True)
    won, go, over = context.Value("i", 0), context.Event(), context.Event()

    def start(number):
        processes.this_host = lambda: f"boot {number}"
        go.wait()
        with contextlib.suppress(Taken), Claim(file):
            with won.get_lock():
                won.value += 1
            over.wait()

    hosts = [context.Process(target=start, args=(number,)) for number in range(6)]
    for host in hosts:
        host.start()
    go.set()
    deadline = time.monotonic() + 30
    while (sum(host.is_alive() for host in hosts) > 1 or not won.value) and time.monotonic() < deadline:
        time.sleep(0.02)
    over.set()
    for host in hosts:
        host.join()
    assert won.value == 1


@pytest.mark.slow
def test_a_claim_tells_of_the_process_that_it_started(tmp_path):
    file = tmp_path / ".lock"
    child = subprocess.Popen(["sleep", "60"])
    with held(file, after=f"held.note_child({child.pid})") as other:
        killed(other)
        with Claim(file) as mine:
            assert mine.orphan.pid == child.pid and not mine.orphan.has_ended
            child.kill()
            child.wait()
            assert mine.orphan.has_ended
    with Claim(file) as mine:
        assert mine.orphan is None


def test_a_claim_in_a_folder_that_is_closed_to_its_owner_is_nobody_else_s(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    with Claim(tmp_path / ".lock") as claim:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", denied)
            assert claim.is_mine
        claim.lost = True
        assert not claim.is_mine
        claim.lost = False
