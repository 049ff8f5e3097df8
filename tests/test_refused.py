"""A start that is refused is a line and a code, and leaves the disk as it was."""

import contextlib
import shutil
from pathlib import Path

import pytest

import compare as compare_script
import evaluate as evaluate_script
import runs as runs_script
import test as test_script
import train as train_script
import translate as translate_script
from tests.conftest import small_argv
from tests.test_claims import tree
from util.cli import run

RUN = "checkpoints/run"
SEEN = ("--eval_freq", "2", "--eval_metrics", "self_similarity")
# Of a new run: words, exit code, and what is said.
NEW = [
    ("--nce_layers=", 2, "--nce_layers '': names nothing"),
    ("--nce_layers ,", 2, "--nce_layers ',': names nothing"),
    ("--nce_layers 77", 2, "--nce_layers"),
    ("--nce_layers 0,0", 2, "--nce_layers"),
    ("--pretrained_name=", 2, "--pretrained_name '': names nothing"),
    ("--dataroot=", 2, "--dataroot '': names nothing"),
    ("--lr inf", 2, "--lr inf: not a finite number"),
    ("--lr -inf", 2, "--lr -inf: not a finite number"),
    ("--lr nan", 2, "--lr nan: not a number"),
    ("--lr 1e999", 2, "--lr 1e999: not a finite number"),
    ("--lr -1", 2, "--lr -1: must be at least 0"),
    ("--lambda_NCE inf", 2, "--lambda_NCE inf: not a finite number"),
    ("--n_epochs 0 --n_epochs_decay 0", 2, "--n_epochs and --n_epochs_decay are both 0"),
    ("--pretrained_name nosuch", 4, "no checkpoint"),
    ("--continue_train", 4, "there is no run in"),
    ("--continue_train auto --overwrite", 2, "contradict each other"),
    ("--batch_size 100", 2, "--batch_size 100"),
    ("--dataroot nowhere", 2, "nowhere"),
    ("--eval_freq 2 --eval_metrics fids", 2, "fids"),
    (" ".join([*SEEN, "--best_metric nosuch"]), 2, "--best_metric nosuch: there is no such value"),
    ("--lr_policy plateau", 2, "--plateau_metric"),
    ("--netG unet_256", 2, "--netG unet_256"),
    ("--model cutt", 2, "did you mean cut?"),
]
# Beside a run that is there.
THERE = [
    ("", 2, "holds a run already"),
    ("--continue_train --epoch 9", 4, "'9'"),
    ("--continue_train --ngf 8", 4, "does not fit the options"),
    ("--continue_train --lr inf", 2, "--lr inf"),
    ("--continue_train auto --n_epochs 0 --n_epochs_decay 0", 2, "both 0"),
    ("--continue_train --direction BtoA", 2, "--direction BtoA"),
    (" ".join(["--continue_train --n_epochs 3", *SEEN, "--best_metric nosuch"]), 2, "--best_metric nosuch"),
    ("--overwrite --nce_layers 77", 2, "--nce_layers"),
    ("--overwrite --pretrained_name nosuch", 4, "no checkpoint"),
    (" ".join(["--overwrite", *SEEN, "--best_metric nosuch"]), 2, "--best_metric nosuch"),
]
OTHERS = [
    (test_script, "--name nosuch", 4, "there is no run in"),
    (test_script, "--name nosuch --num_samples 5", 4, "there is no run in"),  # whose method might have that flag
    (test_script, "--name nosuch --model cut --num_samples 5", 2, "no option --num_samples"),
    (test_script, "--epoch 9", 4, "no checkpoint"),
    (test_script, "--metrics fids", 2, "fids"),
    (test_script, "--metrics=", 2, "--metrics '': names nothing"),
    (test_script, "--num_test 0", 2, "--num_test 0"),
    (test_script, "--scale inf", 2, "--scale inf"),
    (test_script, "--phase nosuch", 2, "nosuch"),
    (test_script, "--results_dir a_file", 5, "a_file/run: cannot be written (Not a directory)"),
    (translate_script, "--checkpoint nosuch --input {data}/testA --output out", 4, "nosuch"),
    (translate_script, "--checkpoint {run} --input nosuch --output out", 2, "--input nosuch"),
    (translate_script, "--checkpoint {run} --input {data}/testA --output a_file", 2, "a_file: is a file"),
    (translate_script, "--checkpoint {run} --input {data}/testA --output a_file/out", 5, "Not a directory"),
    (translate_script, "--checkpoint {run} --input {data}/testA --output out --tile 4 --overlap 9", 2, "--overlap 9"),
    (translate_script, "--checkpoint {run} --input {data}/testA --output out --epoch 9", 4, "9"),
    (evaluate_script, "--real {data}/testA --fake {data}/testB --metrics=", 2, "--metrics '': names nothing"),
    (evaluate_script, "--real {data}/testA --fake {data}/testB --metrics ssim --output out", 2, "lacks"),
    (evaluate_script, "--real {data}/testA --fake {data}/testA --metrics ssim --output .", 2, "is a folder"),
    (evaluate_script, "--real {data}/testA --fake {data}/testA --metrics ssim --output a_file/x", 5, "a_file: cannot"),
    (compare_script, "nosuch.yaml", 2, "nosuch.yaml"),
    (compare_script, "recipe.yaml --budget 0steps", 2, "0steps"),
    (compare_script, "recipe.yaml --set lr=inf", 2, "--lr inf: not a finite number"),
    (compare_script, "recipe.yaml --set nce_layers=", 2, "--nce_layers '': names nothing"),
    (compare_script, "recipe.yaml --models nosuch", 2, "nosuch"),
    (compare_script, "recipe.yaml --seeds=", 2, "--seeds '': names nothing"),
    (compare_script, "recipe.yaml --experiments_dir a_file", 5, "Not a directory"),
    (compare_script, "nosuch other", 2, "nosuch"),
    (runs_script, "--checkpoints_dir nosuch", 2, "--checkpoints_dir nosuch"),
    (runs_script, "--checkpoints_dir {run} --sort nosuch", 2, "--sort nosuch"),
    (runs_script, "--checkpoints_dir {run} --output a_file", 2, "a_file: something else is there"),
]


def sample(table):
    """Every third row; the others are tried exhaustively."""
    return [pytest.param(*row, marks=() if i % 3 == 0 else pytest.mark.exhaustive) for i, row in enumerate(table)]


@pytest.fixture(scope="module")
def place(whole, tmp_path_factory):
    """A folder to stand in, with a run, a file where a folder is wanted, and a recipe."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(whole / RUN, folder / RUN)
    (folder / "a_file").write_text("mine")
    (folder / "recipe.yaml").write_text("models: {cut: {}}\nbudget: 5 steps\n")
    return folder


def refuse(script, argv, place, monkeypatch, capsys):
    """The exit code and the only line on stderr of a command; the disk is as it was."""
    monkeypatch.chdir(place)
    before = tree(place)
    monkeypatch.setattr("sys.argv", [f"{script.__name__}.py", *argv])
    with contextlib.suppress(SystemExit):
        code = run(lambda: script.main(argv))
    error = capsys.readouterr().err.strip().splitlines()
    after = tree(place)
    assert set(after) == set(before) and after == before, set(after) ^ set(before)
    return code, error


def check(script, argv, place, monkeypatch, capsys, code, said):
    found, error = refuse(script, argv, place, monkeypatch, capsys)
    assert (found, error[-1:] and said in error[-1]) == (code, True), error
    assert error[-1].startswith(f"{script.__name__}.py: ") and "Traceback" not in "\n".join(error)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "code", "said"), sample(NEW))
def test_a_new_run_that_is_refused(place, dataroot, monkeypatch, capsys, words, code, said):
    argv = [*small_argv(dataroot, Path(), "--name", "new"), *words.split()]
    check(train_script, argv, place, monkeypatch, capsys, code, said)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "code", "said"), sample(THERE))
def test_a_start_beside_a_run_that_is_there(place, dataroot, monkeypatch, capsys, words, code, said):
    argv = [*small_argv(dataroot, Path()), *words.split()]
    check(train_script, argv, place, monkeypatch, capsys, code, said)


@pytest.mark.slow
@pytest.mark.parametrize(("script", "words", "code", "said"), sample(OTHERS))
def test_other_scripts_that_are_refused(place, dataroot, monkeypatch, capsys, script, words, code, said):
    argv = [word.format(data=dataroot, run=RUN) for word in words.split()]
    if script is test_script:
        argv = ["--dataroot", str(dataroot), "--name", "run", "--gpu_ids", "-1", "--num_threads", "0", *argv]
    check(script, argv, place, monkeypatch, capsys, code, said)


@pytest.mark.slow
def test_a_start_that_cannot_write_is_refused(place, dataroot, tmp_path, monkeypatch, capsys):
    (tmp_path / "a_file").write_text("mine")
    argv = small_argv(dataroot, tmp_path / "a_file")
    check(train_script, argv, place, monkeypatch, capsys, 5, "cannot be written (Not a directory)")
    assert [p.name for p in tmp_path.iterdir()] == ["a_file"]
