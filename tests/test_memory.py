"""Pictures that do not fit in memory: test.py has translate.py's tiles, and its one line where they do not help."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import networks
import test as test_script
import translate as translate_script
from models.inference.memory import check_model, check_tiled
from networks.resnet import ResnetGenerator
from options import Exit, UserError
from tests.conftest import test_options
from util import cli


@pytest.fixture
def photo(tmp_path):
    """A folder of one picture, larger than a tile."""
    (tmp_path / "data/testA").mkdir(parents=True)
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((150, 90), Image.Resampling.BICUBIC).save(tmp_path / "data/testA/a.png")
    return tmp_path


def by_test(whole, folder, *more):
    words = ["--checkpoints_dir", whole / "checkpoints", "--name", "run", "--dataroot", folder / "data"]
    words += ["--results_dir", folder / "results", "--gpu_ids", -1, "--num_threads", 0, "--scale", "native", *more]
    return test_script.main(list(map(str, words)))


def by_translate(whole, folder, *more):
    words = ["--checkpoint", whole / "checkpoints/run", "--input", folder / "data/testA", "--output", folder / "out"]
    words += ["--overwrite", "--gpu_ids", -1, "--scale", "native", *more]
    return translate_script.main(list(map(str, words)))


@pytest.mark.slow
def test_tiles_of_a_test_are_those_of_translate(whole, photo):
    made = []
    for words in (("--tile", 64, "--overlap", 24), ()):
        assert by_test(whole, photo, *words) == by_translate(whole, photo, *words) == 0
        files = photo / "results/run/test_latest/images/fake_B/a.png", photo / "out/a.png"
        made.append([np.asarray(Image.open(file), int) for file in files])
    (tiles, theirs), (at_once, _) = made
    assert np.abs(tiles - theirs).max() <= 1 and tiles.shape == at_once.shape == (90, 150, 3)
    assert (tiles != at_once).any()  # so few pixels overlap that it shows: they were drawn in tiles


def test_what_draws_in_no_tiles_says_so(whole, photo):
    opt = SimpleNamespace(model="some", tile=64)
    unet = networks.define("G", "unet_128", input_nc=3, output_nc=3, ngf=4)
    with pytest.raises(UserError, match="--tile 64: --model some does not translate in tiles; leave it out"):
        check_model(opt, SimpleNamespace(networks={"G": unet}))
    with pytest.raises(UserError, match="--tile 64: a generator that sees the whole image at once, as a U-Net"):
        check_model(opt, SimpleNamespace(networks={"G": unet}, tiled=False))
    check_model(SimpleNamespace(model="some", tile=0), SimpleNamespace(networks={"G": unet}))
    with pytest.raises(UserError, match=r"calls its generator itself; self\.translate"):
        check_tiled(opt, SimpleNamespace(tiled=False), torch.zeros(1, 3, 65, 2))
    with pytest.raises(UserError, match="--overlap 64: must be smaller than --tile 64; give --overlap 32 or less"):
        test_options("--tile", 64, "--overlap", 64)


ERRORS = {
    "python": MemoryError(),
    "torch": RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 9 bytes."),
    "gpu": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
}
LINES = [
    ((), "--tile 512"),
    (("--tile", 64, "--overlap", 9, "--batch_size", 2), "a --tile smaller than 64, or a smaller --batch_size"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_no_memory_is_one_line_of_what_needs_less(whole, photo, monkeypatch, capsys, error):
    def full(self, *args, **kwargs):
        raise ERRORS[error]

    monkeypatch.setattr(ResnetGenerator, "forward", full)
    monkeypatch.setattr(nn.Conv2d, "forward", full)  # in tiles layers are called one by one
    for script, name in ((by_test, "test.py"), (by_translate, "translate.py")):
        for words, ways in LINES:
            monkeypatch.setattr("sys.argv", [name])
            assert cli.run(lambda: script(whole, photo, *words)) == Exit.MEMORY  # noqa: B023
            assert capsys.readouterr().err.splitlines()[-1] == f"{name}: out of memory on cpu: use {ways}"
    assert not (photo / "results").exists() or not list(photo.glob("results/run/*/index.html"))


def test_no_memory_before_the_first_picture_is_that_line_too(whole, photo, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("test.checkpoint.load_networks", full)
    monkeypatch.setattr("models.inference.translator.load_weights", full)
    for script, name in ((by_test, "test.py"), (by_translate, "translate.py")):
        monkeypatch.setattr("sys.argv", [name])
        assert cli.run(lambda: script(whole, photo)) == Exit.MEMORY  # noqa: B023
        assert capsys.readouterr().err.splitlines()[-1] == f"{name}: out of memory on cpu: use --tile 512"
