"""Weights of a run that other options would take for something else."""

from types import SimpleNamespace

import pytest

from options import UserError
from options.sizes import Sides
from tests.conftest import train_options
from util.training.fit import check_sides, otherwise


def opt(**options):
    return SimpleNamespace(**{"netG": "small", "model": "biggan", "ngf": 8, **options})


def kept(folder, text):
    (folder / "train_opt.yaml").write_text(text)
    return folder


def test_images_on_their_side_are_others(tmp_path):
    run = kept(tmp_path, "crop_size: 64x32\n")
    check_sides(run, opt(crop_size=Sides("64x32")))
    check_sides(run, SimpleNamespace(crop_size=64))  # of no generator
    for other in (Sides("32x64"), 64):
        with pytest.raises(UserError, match=f"--crop_size {other}: the weights in .* of images of --crop_size 64x32"):
            check_sides(run, opt(crop_size=other))
    check_sides(kept(tmp_path, "crop_size: 64\n"), opt(crop_size=128))  # squares differ in their shapes, or may
    check_sides(tmp_path / "published", opt(crop_size=Sides("32x64")))


def test_what_was_otherwise_is_told_in_flags(tmp_path):
    run = kept(tmp_path, "model: sngan\nngf: 8\nz_dim: 16\nlr: 0.1\nnetG: sngan\n")
    made = train_options("--model", "biggan", "--dataroot", "digits", "--ngf", 8, "--z_dim", 8, "--netG", "sngan")
    assert otherwise(run, made) == "--model sngan --z_dim 16"
    assert otherwise(tmp_path / "none", made) == ""
