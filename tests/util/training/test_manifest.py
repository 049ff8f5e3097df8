"""Whoever reads a run while it saves sees one checkpoint, and no half of two."""

import multiprocessing
import time

import pytest
import torch

from options import UserError
from tests.kills import Deaths, Killed
from tests.util.training.test_checkpoint import build, saved, train  # noqa: F401
from util.commit import RECORD
from util.training import checkpoint
from util.training.manifest import by_age, is_empty, is_published, problem, steady, usable

LOADS, DIFFERENT = 15, 4  # read at least so often, and until so many checkpoints were seen


def save_on(run, stop):
    """Checkpoints whose every weight is the number of its step."""
    model, engine = build()
    while not stop.is_set():
        engine.progress.step += 1
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(engine.progress.step)
        checkpoint.save(run, "latest", model, engine)


@pytest.mark.slow
def test_a_reader_sees_one_checkpoint_while_a_run_saves(tmp_path):
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(target=save_on, args=(tmp_path, stop))
    writer.start()
    try:
        model, _ = build()
        seen, loads, end = set(), 0, time.monotonic() + 120
        while is_empty(tmp_path):
            time.sleep(0.01)
        while loads < LOADS or len(seen) < DIFFERENT:
            assert writer.is_alive() and time.monotonic() < end
            loads += 1
            assert checkpoint.load_networks(tmp_path, "latest", model) == "latest"
            values = {value for parameter in model.parameters() for value in parameter.flatten().tolist()}
            assert len(values) == 1
            seen |= values
    finally:
        stop.set()
        writer.join(60)
    assert writer.exitcode == 0


def test_a_checkpoint_that_is_replaced_again_and_again_is_an_error(saved):  # noqa: F811
    (saved / "latest.manifest.json").unlink()

    def read():
        (saved / "latest.manifest.json").write_text(str(time.monotonic_ns()))

    with pytest.raises(UserError, match="checkpoint latest is replaced while it is read") as error:
        steady(saved, "latest", read)
    assert error.value.code == 4


def test_a_commit_that_is_still_to_be_carried_out_is_read_and_not_written(saved):  # noqa: F811
    model, engine = build()
    checkpoint.restore(saved, "latest", model, engine)
    train(model, engine, 3)
    with Deaths(saved) as counted:
        checkpoint.save(saved, "7", model, engine)
    record = counted.done.index(f"os.rename {RECORD}") + 1
    train(model, engine, 1)
    for after in (1, 3, 6):
        with Deaths(saved, record + after), pytest.raises(Killed):
            checkpoint.save(saved, "8", model, engine)
        before = {path.name: path.read_bytes() for path in saved.iterdir()}
        other, other_engine = build("--seed", "9")
        assert by_age(saved)[0] == "8" == usable(saved, "8") and problem(saved, "8") is None
        assert checkpoint.load_networks(saved, "8", other) == "8"
        assert torch.equal(other.netG.weight, model.netG.weight)
        assert checkpoint.restore(saved, "8", other, other_engine) == "8" and other_engine.progress.step == 8
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
        for path in [*saved.glob("8*"), *saved.glob(".*")]:
            path.unlink()


def test_weights_with_traces_of_a_run_but_no_manifest_are_no_state(saved, capsys):  # noqa: F811
    """As a version before this one left them where it was killed in its first save: whose they are cannot be known."""
    for path in [*saved.glob("previous*"), saved / "latest.manifest.json"]:
        path.unlink()
    assert not is_published(saved, "latest") and not is_empty(saved)
    model, engine = build()
    with pytest.raises(UserError, match=r"no usable checkpoint 'latest' .* --overwrite starts it anew") as error:
        checkpoint.restore(saved, "latest", model, engine)
    assert error.value.code == 4 and "latest is not used: it has no manifest" in capsys.readouterr().err
    (saved / "latest_state.pt").unlink()
    assert is_published(saved, "latest")


def test_files_that_cannot_be_read_are_no_damaged_manifest(saved, monkeypatch):  # noqa: F811
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("util.training.manifest.sha256", denied)
    assert problem(saved, "latest").endswith(" cannot be read (Permission denied)")
