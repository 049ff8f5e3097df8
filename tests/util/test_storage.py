"""A disk that is full, unwritable or gone is a line with exit code 5, before work that would be lost."""

import contextlib
import errno
import os
import resource

import pytest

import evaluate as evaluate_script
import test as test_script
import train as train_script
import translate as translate_script
from options import UserError
from tests.conftest import EVERY_STEP, records, small_argv
from tests.test_claims import tree
from util import cli, storage
from util.pages import results as results_page
from util.picture_files import save_levels
from util.training.run_record import read_record

HERE = ("--gpu_ids", "-1")


@contextlib.contextmanager
def disk_of(size):
    """Inside, no file of more bytes than that can be written: the kernel refuses, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file")


def test_what_is_asked_of_a_disk_leaves_nothing(tmp_path):
    storage.check_writable(tmp_path / "a/b/c", "--output")
    with disk_of(storage.PROBE - 1), pytest.raises(UserError, match=r"c: cannot be written .File too large.") as error:
        storage.check_writable(tmp_path / "a/b/c", "--output")
    assert error.value.code == 5 and not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"needs .* MB, and .* MB are free") as error:
        storage.check_room(tmp_path, 10**18, "a run of such networks")
    assert error.value.code == 5


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a"), 5, "x.py: /a: No space left on device"),
        (OSError(errno.EROFS, "", "/a"), 5, "x.py: /a: Read-only file system"),
        (FileNotFoundError(errno.ENOENT, "", "/a"), 5, "x.py: /a: No such file or directory"),
        (OSError(errno.ENOSPC, ""), 5, "x.py: a file or the output: No space left on device"),
        (OSError(errno.ENOTCONN, ""), 5, "Transport endpoint is not connected"),
        (OSError(errno.EINVAL, ""), None, ""),
        (FileNotFoundError(errno.ENOENT, ""), None, ""),
        (OSError("of a library"), None, ""),
    ],
)
def test_what_nobody_expected_of_a_disk_is_a_line(monkeypatch, capsys, error, code, said):
    monkeypatch.setattr("sys.argv", ["x.py"])
    monkeypatch.setattr(os, "dup2", lambda *_: None)

    def main():
        raise error

    if code is None:
        with pytest.raises(OSError):
            cli.run(main)
    else:
        assert cli.run(main) == code and said in capsys.readouterr().err


@pytest.mark.slow
def test_a_save_that_finds_no_room_ends_the_run_which_goes_on_later(dataroot, tmp_path, capsys):
    argv = small_argv(dataroot, tmp_path, "--n_epochs", 1, "--n_epochs_decay", 0, *EVERY_STEP, "--no_html")
    with disk_of(30_000), pytest.raises(UserError, match="the checkpoint cannot be written") as error:
        train_script.main(argv)
    assert error.value.code == 5
    record = read_record(tmp_path / "checkpoints/run")
    assert record["state"] == "stopped" and "cannot be written" in record["error"]  # no failure of the run
    assert train_script.main([*argv, "--continue_train", "auto"]) == 0 and len(records(tmp_path)) == 7


def test_a_run_without_room_for_its_checkpoints_does_not_begin(dataroot, tmp_path, monkeypatch):
    class Small:
        free = 100_000

    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: Small)
    with pytest.raises(UserError, match=r"a run of such networks needs .* MB, and 0.1 MB are free") as error:
        train_script.main(small_argv(dataroot, tmp_path))
    assert error.value.code == 5 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_test_begins_by_asking_and_keeps_what_it_wrote(whole, dataroot, tmp_path, monkeypatch, capsys):
    where = ("--name", "run", "--checkpoints_dir", whole / "checkpoints", "--results_dir", tmp_path)
    argv = [str(a) for a in (*where, "--dataroot", dataroot, *HERE)]
    with disk_of(1000), pytest.raises(UserError, match="choose another --results_dir"):
        test_script.main(argv)
    assert not list(tmp_path.iterdir())
    made, save = [], results_page.save_image

    def fills(image, path, root):
        if len(made) == 4:
            full()
        made.append(path)
        save(image, path, root)

    monkeypatch.setattr(results_page, "save_image", fills)
    monkeypatch.setattr("sys.argv", ["test.py"])
    assert cli.run(lambda: test_script.main(argv)) == 5
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert len(made) == 4 and all(path.is_file() for path in made)


@pytest.mark.slow
def test_values_are_printed_though_their_file_cannot_be_written(dataroot, tmp_path, monkeypatch, capsys):
    argv = ["--real", str(dataroot / "testA"), "--fake", str(dataroot / "testA"), "--metrics", "ssim"]
    argv += ["--output", str(tmp_path / "values.json"), *HERE]
    with disk_of(1000), pytest.raises(UserError, match="choose another --output"):
        evaluate_script.main(argv)
    assert "SSIM" not in capsys.readouterr().out
    monkeypatch.setattr(evaluate_script, "write_metrics", full)
    with pytest.raises(UserError, match="the values are those above") as error:
        evaluate_script.main(argv)
    assert error.value.code == 5 and "SSIM" in capsys.readouterr().out


@pytest.mark.slow
def test_a_translation_begins_by_asking_and_keeps_what_it_wrote(whole, dataroot, tmp_path, monkeypatch):
    argv = ["--checkpoint", str(whole / "checkpoints/run"), "--input", str(dataroot / "testA")]
    argv += ["--output", str(tmp_path / "out"), *HERE]
    with disk_of(1000), pytest.raises(UserError, match="choose another --output"):
        translate_script.main(argv)
    assert not list(tmp_path.iterdir())
    made = []

    def fills(pixels, path, root):
        if len(made) == 2:
            full()
        made.append(path)
        save_levels(pixels, path, root)

    monkeypatch.setattr("util.picture_files.save_levels", fills)
    with pytest.raises(UserError, match="cannot be written") as error:
        translate_script.main(argv)
    assert error.value.code == 5 and len(tree(tmp_path / "out")) == 2
