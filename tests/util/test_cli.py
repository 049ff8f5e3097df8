"""How a script ends: no memory left, and signals to those that train nothing."""

import os
import signal
import sys

import pytest
import torch

import compare
import evaluate
import test as test_script
import translate
from options import Exit
from util.cli import run
from util.pages.results import Results


@pytest.mark.parametrize("kind", ["gpu", "cpu", "python"])
def test_out_of_memory_is_one_line(kind, monkeypatch, capsys):
    def main():
        if kind == "gpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB.\nMore.")
        if kind == "python":
            raise MemoryError
        torch.empty(1 << 50)

    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(main) == Exit.MEMORY == 6
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train.py: out of memory (") and "use a smaller --batch_size" in line
    assert kind != "gpu" or "(CUDA out of memory. Tried to allocate 2.00 GiB)" in line


def test_evaluate_without_memory_names_its_own_ways_out(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evaluate.py"])
    assert run(lambda: torch.empty(1 << 50)) == Exit.MEMORY
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("): use --gpu_ids -1, or fewer or smaller pictures") and "--batch_size" not in line


def test_other_errors_keep_their_traceback():
    with pytest.raises(RuntimeError, match="shapes"):
        run(lambda: (_ for _ in ()).throw(RuntimeError("shapes")))


def signalled(owner, name, monkeypatch, call=2, number=signal.SIGTERM):
    """A signal comes after this call of a function."""
    function, calls = getattr(owner, name), []

    def sending(*args, **kwargs):
        made = function(*args, **kwargs)
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return made

    monkeypatch.setattr(owner, name, sending)


def ended(script, argv, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{script.__name__}.py"])
    assert run(lambda: script.main([str(word) for word in argv])) == Exit.INTERRUPTED
    assert (
        capsys.readouterr().err.strip().splitlines()[-1] == f"{script.__name__}.py: interrupted by signal 15 (SIGTERM)"
    )


@pytest.mark.slow
def test_a_test_that_a_signal_ends_has_a_page_of_what_it_made(whole, dataroot, tmp_path, monkeypatch, capsys):
    argv = ["--dataroot", dataroot, "--checkpoints_dir", whole / "checkpoints", "--name", "run", "--gpu_ids", -1]
    argv += ["--results_dir", tmp_path, "--num_threads", 0]
    with monkeypatch.context() as patch:
        signalled(Results, "add", patch)
        ended(test_script, argv, patch, capsys)
    folder = tmp_path / "run/test_latest"
    assert "This test ended early, after 2 of 3 rows." in (folder / "index.html").read_text()
    assert len(list(folder.glob("images/fake_B/*.png"))) == 2 and not (folder / "metrics.json").exists()
    assert not list(tmp_path.rglob("*.tmp"))
    assert test_script.main([str(word) for word in argv]) == 0
    assert "ended early" not in (folder / "index.html").read_text()


@pytest.mark.slow
def test_scripts_that_train_nothing_end_in_a_line(whole, dataroot, tmp_path, monkeypatch, capsys):
    argv = ["--checkpoint", whole / "checkpoints/run", "--input", dataroot / "testA", "--gpu_ids", -1]
    with monkeypatch.context() as patch:
        signalled(translate, "write_picture", patch)
        ended(translate, [*argv, "--output", tmp_path], patch, capsys)
    assert len(list(tmp_path.iterdir())) == 2
    folders = ["--real", dataroot / "testA", "--fake", dataroot / "trainA", "--metrics", "ssim"]
    with monkeypatch.context() as patch:
        signalled(evaluate, "open_side", patch)
        ended(evaluate, folders, patch, capsys)
    with monkeypatch.context() as patch:
        signalled(compare, "chosen_runs", patch, call=1)
        words = [whole / "checkpoints/run", "--output", tmp_path / "page"]
        ended(compare, words, patch, capsys)
    assert not (tmp_path / "page").exists()
