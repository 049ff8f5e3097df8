"""What tests share: one thread each, a folder of small images, options as the command line gives them."""

import json
import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the suite is about the CPU; see benchmarks/ for GPUs
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of scripts that are started, as below

import numpy as np
import pytest
import torch
from PIL import Image

import train as train_script
from data import DATASETS
from models import MODELS
from options import TestOptions, TrainOptions
from options.parsing import parse
from tests import forked
from util.config import read_config, saved_options

pytest_plugins = ("tests.skips",)
torch.set_num_threads(1)
forked.install()
PLUGINS = {"model": MODELS, "dataset_mode": DATASETS}


@pytest.fixture(scope="session")
def dataroot(tmp_path_factory):
    """trainA, trainB, testA and testB of 32 x 32 pictures: discs in A, squares in B; 7 + 5 and 3 + 2 of them."""
    root, random = tmp_path_factory.mktemp("discs2squares"), np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    for folder, count in (("trainA", 7), ("trainB", 5), ("testA", 3), ("testB", 2)):
        (root / folder).mkdir()
        for i in range(count):
            dx, dy = abs(x - random.integers(10, 22)), abs(y - random.integers(10, 22))
            inside = np.hypot(dx, dy) < 8 if folder.endswith("A") else np.maximum(dx, dy) < 8
            picture = np.where(inside[..., None], random.integers(0, 120, 3), random.integers(160, 256, 3))
            Image.fromarray(picture.astype(np.uint8)).save(root / folder / f"{folder}_{i}.png")
    return root


SMALL = [
    *("--ngf", "4", "--ndf", "4", "--netF_nc", "8", "--num_patches", "16", "--load_size", "36", "--crop_size", "32"),
    *("--netG", "resnet_4blocks", "--netD", "n_layers", "--n_layers_D", "2", "--gpu_ids", "-1", "--num_threads", "0"),
]


def small_argv(dataroot, folder, *more):
    """A command line whose every step takes a few milliseconds."""
    return [
        "--dataroot",
        str(dataroot),
        "--checkpoints_dir",
        str(folder / "checkpoints"),
        "--name",
        "run",
        *SMALL,
        *map(str, more),
    ]


def train_options(*argv):
    return parse(TrainOptions, PLUGINS, [str(a) for a in argv], read_config, saved_options)


def test_options(*argv):
    return parse(TestOptions, PLUGINS, [str(a) for a in argv], read_config, saved_options)


test_options.__test__ = False


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def records(folder):
    return [json.loads(line) for line in (folder / "checkpoints/run/metrics.jsonl").read_text().splitlines()]


EVERY_STEP = (
    "--print_freq",
    1,
    "--display_freq",
    2,
    "--update_html_freq",
    3,
    "--save_latest_freq",
    2,
    "--save_epoch_freq",
    1,
)
EPOCHS = ("--n_epochs", 2, "--n_epochs_decay", 1)


@pytest.fixture(scope="session")
def whole(dataroot, tmp_path_factory):
    """An uninterrupted run of three epochs with an average, in the order FastCUT and the seed give it."""
    folder = tmp_path_factory.mktemp("whole")
    assert train_script.main(small_argv(dataroot, folder, *EPOCHS, "--ema_decay", 0.9, *EVERY_STEP)) == 0
    return folder
