"""CAS: what a classifier learns from generated images, beside what it learns from real ones and what guessing has."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate
from evaluation.extractors.base import nothing
from evaluation.metrics.cas_metric import CasMetric
from evaluation.metrics.shared import classifier
from evaluation.metrics.shared.observed import Observed
from evaluation.sets import GUESSED, SetScores
from options import UserError

NAMES = ("left", "middle", "right")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, value in {"WIDTH": 4, "BATCH": 16, "LEAST": 25, "MOST": 25, "RATE": 1e-2}.items():
        monkeypatch.setattr(classifier, name, value)


def bars(count, seed=0, labels=None, size=32):
    """Images whose bar stands where the class says, in noise."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 90, (count, 1, size, size), generator=random, dtype=torch.uint8)
    places = torch.arange(count) % 3
    for image, k in zip(images, places.tolist(), strict=True):
        image[0, :, size // 3 * k : size // 3 * (k + 1)] += 150
    return Observed(torch.empty(count, 0), labels=places if labels is None else labels, images=images)


def table(real, fake, train=None):
    return SetScores([CasMetric()], nothing(torch.device("cpu")), NAMES).beside_training(real, fake, train)


@pytest.mark.slow
def test_clean_classes_are_learnt_and_wrong_names_are_learnt_too():
    real, fake, train = bars(60, 1), bars(48, 2), bars(60, 3)
    found = table(real, fake, train)
    assert found["generated"].values["CAS"] > 0.9 and found["real training images"].values["CAS"] > 0.9
    assert found[GUESSED].values["CAS"] == pytest.approx(1 / 3) and found["real training images"].count == 48
    swapped = table(real, bars(48, 2, labels=(torch.arange(48) + 1) % 3), train)
    assert swapped["generated"].values["CAS"] < 0.1
    entry = found.entries()["CAS"]
    assert set(entry["classes"]) == set(NAMES) and entry["better"] == "higher" and entry["comparable"] is False
    assert entry["extractor"].startswith("a classifier of its own") and entry["resize"] == "to 32 x 32"
    assert entry["floors"].keys() == {"real training images", GUESSED}
    assert any(line.startswith("CAS: of single classes the lowest are") for line in found.remarks)
    assert "not comparable with published CAS" in found.lines()[0]


def test_the_same_images_have_the_same_value_and_nobody_else_misses_a_number(monkeypatch):
    real, fake = bars(30, 1), bars(30, 2)
    torch.manual_seed(5)
    before, wanted = torch.get_rng_state(), []
    with torch.inference_mode():  # as a test may call it
        for _ in range(2):
            wanted.append(classifier.answers_about(real.images, fake.images, fake.labels, 3))
    assert torch.equal(*wanted) and torch.equal(before, torch.get_rng_state())
    metric, asked = CasMetric(), []
    monkeypatch.setattr(
        "evaluation.metrics.cas_metric.answers_about", lambda *given: asked.append(given) or real.labels
    )
    assert metric.compare(real, fake) == {"CAS": 1.0}
    metric.doubts(real, fake)
    metric.details(real, Observed(fake.features, labels=fake.labels.clone(), images=fake.images.clone()))
    assert len(asked) == 1


def test_a_class_without_images_is_named(monkeypatch):
    monkeypatch.setattr(
        "evaluation.metrics.cas_metric.answers_about", lambda levels, *_: torch.zeros(len(levels), dtype=torch.int64)
    )
    metric, real = CasMetric(), bars(30, 1)
    metric.classes = NAMES
    fake = bars(30, 2).take(torch.arange(30) % 3 != 2)
    assert metric.doubts(real, fake) == [
        "CAS: no generated images of right, whose real ones count as errors",
        "CAS: of single classes the lowest are middle 0, right 0, left 1",
    ]
    assert metric.doubts(fake, real)[0] == "CAS: no real images of right, which are not judged"
    assert metric.details(real, fake)["CAS"]["classes"] == {"left": 1, "middle": 0, "right": 0}


@pytest.mark.parametrize(
    ("real", "fake", "words"),
    [
        (bars(30), bars(2), "2 images to learn 3 classes from are too few"),
        (bars(30), bars(1), "1 generated image is too few, 2 needed"),
        (bars(30, labels=torch.zeros(30, dtype=torch.int64)), bars(30), "of one class"),
        (bars(30), bars(30, size=36), "generated images are 36 x 36, real ones 32 x 32; they must be of one kind"),
        (bars(30), Observed(torch.empty(9, 0), images=bars(9).images), "the model makes them without"),
        (bars(30), Observed(torch.empty(9, 0), labels=torch.arange(9) % 3), "there are no images"),
    ],
)
def test_what_defines_no_value_is_said(real, fake, words):
    metric = CasMetric()
    assert math.isnan(metric.compare(real, fake)["CAS"])
    told = metric.details(real, fake).get("CAS", {})  # of the classifier that would have been, not of an extractor
    assert told.keys() == ({"extractor", "resize", "comparable"} if fake.images is not None else set())
    (line,) = metric.doubts(real, fake)
    assert line.startswith("CAS: ") and words in line


@pytest.mark.parametrize(
    ("size", "seen"), [((8, 8), (32, 32)), ((48, 32), (48, 32)), ((128, 128), (64, 64)), ((256, 64), (64, 32))]
)
def test_images_are_seen_at_their_size_within_bounds(size, seen):
    levels = torch.zeros(1, 3, *size, dtype=torch.uint8)
    assert classifier.size_of(levels) == seen and classifier.seen(levels, seen).shape[2:] == seen


@pytest.fixture
def folders(tmp_path):
    for flag, seed in (("real", 1), ("fake", 2), ("train", 3)):
        images = bars(24, seed)
        for i, (levels, k) in enumerate(zip(images.images, images.labels.tolist(), strict=True)):
            place = tmp_path / flag / NAMES[k] / f"{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(levels[0].numpy()).save(place)
    return tmp_path


@pytest.mark.slow
def test_folders_of_classes_need_no_extractor(folders, capsys):
    words = ["--metrics", "cas", "--channels", "1", "--gpu_ids", "-1", "--output", str(folders / "out.json")]
    sides = [word for flag in ("real", "fake", "train") for word in (f"--{flag}", str(folders / flag))]
    assert evaluate.main([*sides, *words]) == 0
    entry = json.loads((folders / "out.json").read_text())["CAS"]
    assert entry["value"] > 0.6 and set(entry["classes"]) == set(NAMES) and entry["images"] == 24
    assert set(entry["floors"]) == {"real training images", GUESSED} and "CAS: " in capsys.readouterr().out
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(folders / "fake/left/wide.png")
    with pytest.raises(UserError, match=r"--metrics cas: pictures of --fake .* are of several sizes: 32 x 32, 40 x 40"):
        evaluate.main([*sides, *words])
