"""Epochs in which every class comes alike: from the seed and the epoch, in any number of processes, after any stop."""

import numpy as np
import pytest
import torch

import train as train_script
from data import Loader
from data.pictures.choice import alike
from options import UserError
from tests.data.helpers import dataset
from tests.data.test_image_folder import same
from tests.data.test_labeled_dataset import folder
from tests.test_latent import TINY, run, state
from tests.test_latent import same as same_state

LAYOUT = {"train/a": 20, "train/b": 6, "train/c": 1, "test/a": 2, "test/b": 1}


def drawn(labels, seed=0):
    return alike(labels, torch.Generator().manual_seed(seed))


def test_every_class_comes_as_often_and_no_picture_again_before_all_others_of_its_class():
    labels = np.repeat(np.arange(4), [300, 40, 8, 3])
    rows = drawn(labels)
    counts = np.bincount(labels[rows])
    assert len(rows) == len(labels) == 351 and sorted(counts.tolist()) == [87, 88, 88, 88]
    times = np.bincount(rows, minlength=351)
    for label in range(4):
        of_class = times[labels == label]
        assert of_class.max() - of_class.min() <= 1
    assert drawn(labels) == rows != drawn(labels, 1)
    assert sorted(drawn(np.zeros(5, np.int64))) == [0, 1, 2, 3, 4]


def test_the_class_that_has_one_more_changes():
    labels = np.repeat(np.arange(3), [5, 4, 1])
    assert len({int(np.bincount(labels[drawn(labels, seed)]).argmax()) for seed in range(12)}) == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_are_a_function_of_seed_and_epoch_in_any_number_of_processes(tmp_path, capsys):
    root = folder(tmp_path / "d", LAYOUT)
    words = ("--dataroot", root, "--crop_size", 8, "--balance", "--flip", "true")
    data = dataset("labeled", *words, "--batch_size", 6)
    assert "--balance: 9 items of each class in an epoch; a picture of c comes 9 times, one of a 0.45 times" in (
        capsys.readouterr().out
    )
    whole = [batch for number in (1, 2) for batch in Loader(data, data.opt).epoch(number)]
    assert len(whole) == 8 and whole[0]["image_paths"] != whole[4]["image_paths"]
    assert (
        torch.cat([batch["label"] for batch in whole]).bincount().min() >= 2 * 9 - 2 * 3
    )  # of each epoch three items are left over
    half = dataset("labeled", *words, "--batch_size", 3)
    two = [list(Loader(half, half.opt, rank=rank, world=2).epoch(1)) for rank in (0, 1)]
    joined = [torch.cat([one["image"], other["image"]]) for one, other in zip(*two, strict=True)]
    assert torch.equal(torch.cat(joined), torch.cat([batch["image"] for batch in whole[:4]]))
    assert same(list(Loader(data, data.opt).epoch(2, start=12)), whole[6:])
    threads = dataset("labeled", *words, "--batch_size", 6, "--num_threads", 2)
    loader = Loader(threads, threads.opt)
    assert same(list(loader.epoch(1)), whole[:4])
    loader.close()


def test_without_the_flag_the_order_is_what_it_was(tmp_path):
    data = dataset("labeled", "--dataroot", folder(tmp_path / "d", LAYOUT))
    generator = torch.Generator().manual_seed(3)
    assert data.order(torch.Generator().manual_seed(3)) == torch.randperm(27, generator=generator).tolist()
    with pytest.raises(UserError, match="--balance --serial_batches"):
        dataset("labeled", "--dataroot", tmp_path / "d", "--balance", "--serial_batches")


@pytest.mark.slow
def test_a_balanced_run_that_is_continued_is_the_whole_run(tmp_path):
    root = folder(tmp_path / "d", LAYOUT, size=(32, 32))
    words = ("--model", "biggan", "--dataroot", root, *TINY[:-2], "--batch_size", 8, "--balance", "--no_html")
    assert run(train_script, tmp_path / "whole", *words, "--n_epochs", 2) == 0
    assert run(train_script, tmp_path / "cut", *words, "--n_epochs", 2, "--max_steps", 2) == 0
    assert run(train_script, tmp_path / "cut", "--continue_train", "--max_steps", 0, "--n_epochs", 2) == 0
    whole, continued = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert same_state(whole, continued) and whole["progress"]["step"] == 6
