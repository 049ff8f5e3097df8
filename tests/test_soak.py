"""A long run costs in its last quarter what it cost in its second: memory, descriptors, page, seconds a step."""

import itertools
import os
import statistics
import threading
import time
from pathlib import Path

import pytest

from tests.test_train import run
from util.training.engine import Engine

PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def soak(dataroot, folder, monkeypatch, epochs):
    """What a run of so many epochs of three steps has at the end of each: memory, descriptors, threads, page, time."""
    seen, end = [], Engine.end_epoch

    def look(self, model):
        end(self, model)
        page = folder / "checkpoints/run/web/index.html"
        size = page.stat().st_size if page.is_file() else 0
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        seen.append((resident(), descriptors, threading.active_count(), size, time.monotonic()))

    monkeypatch.setattr(Engine, "end_epoch", look)
    words = (
        "--n_epochs",
        epochs,
        "--n_epochs_decay",
        0,
        "--max_dataset_size",
        3,
        "--print_freq",
        1,
        "--ema_decay",
        0.9,
    )
    words += ("--display_freq", 3, "--save_latest_freq", 30, "--save_epoch_freq", max(1, epochs // 10))
    words += ("--eval_freq", 3 * max(1, epochs // 20), "--eval_metrics", "self_similarity", "--use_tensorboard")
    assert run(dataroot, folder, *words, "--continue_train", "auto") == 0
    return seen


def most(part):
    return [max(column) for column in zip(*part, strict=True)][:4]


def pace(part):
    return statistics.median(b[4] - a[4] for a, b in itertools.pairwise(part))


def check_flat(seen):
    quarter = len(seen) // 4
    early, late = seen[quarter : 2 * quarter], seen[-quarter:]
    memory, descriptors, threads, page = zip(most(early), most(late), strict=True)
    assert memory[1] < 1.05 * memory[0] + 2**22, memory
    assert descriptors[1] <= descriptors[0] + 2 and threads[1] <= threads[0], (descriptors, threads)
    assert page[1] < 1.3 * page[0], page
    assert pace(late) < 1.5 * pace(early), (pace(early), pace(late))


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
def test_three_thousand_steps_in_a_thousand_epochs(dataroot, tmp_path, monkeypatch):
    seen = soak(dataroot, tmp_path, monkeypatch, 1000)
    assert len(seen) == 1000
    check_flat(seen)


@pytest.mark.slow
def test_a_short_run_is_flat(dataroot, tmp_path, monkeypatch):
    seen = soak(dataroot, tmp_path, monkeypatch, 8)
    assert len(seen) == 8 and seen[-1][1] <= seen[4][1] + 2 and seen[-1][2] <= seen[4][2]
