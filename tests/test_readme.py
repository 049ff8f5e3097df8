"""The README's commands are executed, at tiny sizes, in a folder that has nothing but pictures and fonts."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
import yaml

import compare
import runs as runs_script
import test as test_script
import train as train_script
import translate as translate_script
from tests.conftest import SMALL
from tests.test_docs import FENCE, TEXT

ROOT = Path(__file__).parents[1]
FONTS = Path(matplotlib.get_data_path(), "fonts/ttf")
SHORT = ["--n_epochs", "1", "--n_epochs_decay", "0", "--max_dataset_size", "2"]
ON_CPU = ["--gpu_ids", "-1", "--num_threads", "0"]
# Of these the README's readers change their machine, or start what runs until it is stopped; tests/test_docs.py checks
# that targets, flags and files exist, tests/util/training/test_visdom.py starts the server.
CHECKED = ("make test", "make setup", "make demo SOURCE=", "source ", "uv pip", "pip ", "PIP_CONSTRAINT=")


def commands():
    """The lines of the README's bash blocks."""
    blocks = [block for language, block in FENCE.findall(TEXT["README.md"]) if language == "bash"]
    return [line for block in blocks for line in block.splitlines()]


def words_of(start):
    """The words of the one command of the README that starts so, after the name of the script."""
    (line,) = [line for line in commands() if line.startswith(start)]
    words = shlex.split(line)
    return words[next(i for i, word in enumerate(words) if word.endswith(".py")) + 1 :]


@pytest.fixture
def folder(tmp_path, dataroot, monkeypatch):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/grumpifycat").symlink_to(dataroot)
    (tmp_path / "photos").symlink_to(dataroot / "testA")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def pictures(path):
    return sorted(p.name for p in path.rglob("*.png"))


def test_every_command_is_executed_or_named_as_checked():
    executed = [
        *("make demo", "python train.py --model cut", "python test.py --dataroot datasets"),
        *("python translate.py", "torchrun", "python train.py --model contragan", "python test.py --dataroot digits"),
        *("python compare.py", "python runs.py"),
    ]
    for line in commands():
        assert (line in executed) or line.startswith((*executed[1:], *CHECKED)), line


@pytest.mark.slow
def test_pictures_of_ones_own_are_trained_on_tested_and_translated(folder, capsys):
    train = words_of("python train.py --model cut")
    assert train_script.main([*train, *SMALL, *SHORT]) == 0
    assert test_script.main([*words_of("python test.py --dataroot datasets"), *ON_CPU]) == 0
    results = folder / "results/grumpycat_cut/test_latest"
    assert (results / "index.html").is_file()
    assert [len(pictures(results / "images" / visual)) for visual in ("real_A", "fake_B")] == [3, 3]
    assert translate_script.main([*words_of("python translate.py"), "--gpu_ids", "-1"]) == 0
    assert pictures(folder / "translated") == pictures(folder / "photos")
    assert runs_script.main(words_of("python runs.py")) == 0 and (folder / "checkpoints/runs.html").is_file()

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(ROOT / "train.py")]
    done = subprocess.run(
        [*torchrun, *words_of("torchrun --nproc_per_node 2"), *SMALL, *SHORT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "checkpoints/grumpycat_2/latest_net_G.pth").is_file()

    with pytest.raises(SystemExit) as end:
        train_script.main(["--model", "fastcut", "--help"])
    assert end.value.code == 0 and "--flip_equivariance" in capsys.readouterr().out


@pytest.mark.slow
def test_digits_from_noise(folder):
    small = ["--ngf", "4", "--ndf", "4", "--batch_size", "8", "--max_dataset_size", "64", "--n_epochs", "1"]
    assert train_script.main([*words_of("python train.py --model contragan"), *small, *ON_CPU]) == 0
    assert test_script.main([*words_of("python test.py --dataroot digits"), "--num_samples", "4", *ON_CPU]) == 0
    assert (folder / "results/digits/test_latest/index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("fonts", [(), ("SOURCE=mine.ttf", "TARGET=yours.ttf theirs.ttf")])
def test_the_demo(folder, fonts):
    """What ``make demo`` starts, with the fonts of the package and with others."""
    for name, font in (("mine", "DejaVuSans"), ("yours", "DejaVuSerif"), ("theirs", "DejaVuSansMono")):
        shutil.copy(FONTS / f"{font}.ttf", folder / f"{name}.ttf")
    shown = subprocess.run(["make", "-n", "demo", *fonts], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    train, test = (shlex.split(line)[2:] for line in shown.splitlines() if line.startswith(".venv/bin/python t"))
    small = ["--ngf", "2", "--ndf", "2", "--n_epochs", "1", "--max_dataset_size", "24", "--charset", "latin"]
    assert train_script.main([*train, *small, *ON_CPU]) == 0
    assert test_script.main([*test, "--num_test", "2", *ON_CPU]) == 0
    results = folder / "results/demo/test_latest"
    assert (results / "index.html").is_file() and len(list(results.glob("*/sheet.png"))) == (2 if fonts else 3)


@pytest.mark.slow
def test_a_grid(folder):
    """One of the six methods, one seed, two steps, and a network of the domain that has seen eight glyphs."""
    words = words_of("python compare.py")
    recipe = yaml.safe_load((ROOT / words[0]).read_text())
    recipe["prepare"]["eyes"] |= {"n_epochs": 1, "max_dataset_size": 8, "batch_size": 4}
    recipe["during"] = {"evaluations": 1}
    (folder / "recipes").mkdir()
    (folder / words[0]).write_text(yaml.safe_dump(recipe))
    small = ["max_dataset_size=4", "ngf=2", "ndf=2", "batch_size=2", "device=cpu", "crop_size=32"]
    grid = ["--models", "zi2zi", "--seeds", "0", "--budget", "2steps", "--set", *small]
    assert compare.main([*words, *grid, "--evaluate", "num_test=4", "batch_size=4"]) == 0
    page = (folder / "experiments/glyphs/index.html").read_text()
    assert (folder / "experiments/glyphs/checkpoints/zi2zi-s0/latest_net_G.pth").is_file()
    assert "zi2zi" in page and "IoU" in page
