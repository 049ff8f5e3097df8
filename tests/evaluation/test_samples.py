"""Scores of generated, training and held-out images, where they are known; and what is said where there are none."""

import json
import math

import pytest
import torch

from evaluation.metrics import METRICS
from evaluation.metrics.shared.observed import Observed
from evaluation.metrics.variety_metric import WORST
from evaluation.samples import floor_rows, score_samples
from evaluation.sets import Description, SetScores
from util.pages.curves import read_curves
from util.table import figures, number

SEVERAL = "real training images, as many as were generated"
CLASSES = ("a", "b", "c")


def judged(rows, seed, spread=1.0, labels=True):
    """Three clusters in four dimensions, rightly answered."""
    label = torch.arange(rows) % 3
    noise = torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))
    return Observed(5 * torch.eye(4)[label] + spread * noise, answers=label, labels=label if labels else None)


def scores(fake, train=None, held=None):
    return score_samples(fake, train or judged(600, 1), held or judged(300, 2), CLASSES, "the judge")


def test_a_sample_of_the_data_scores_as_training_images_do():
    found = scores(judged(600, 3))
    fake, train = found["generated"], found["real training images"]
    assert fake.values["accuracy"] == fake.values["matched"] == 1 and train.count == 600
    for row in (fake, train):
        assert row.values["variety"] == pytest.approx(1, abs=0.1) and row.values["FID-domain"] < 0.3
        assert abs(row.values["KID-domain x 1000"]) < 3 * row.deviations["KID-domain x 1000"]
    held = found["held-out real images"].values
    assert held["variety"] == held[WORST] == held["accuracy"] == 1


def test_distances_of_training_images_are_of_as_many_as_were_generated_and_labels_of_all():
    found = scores(judged(200, 3))
    assert (found["real training images"].count, found[SEVERAL].count) == (600, 200)
    assert set(found[SEVERAL].values) == {"KID-domain x 1000", "KID-all-domain x 1000", "FID-domain"}
    assert {"accuracy", "variety"} < set(found["real training images"].values)


def test_a_value_is_that_of_the_metric_of_its_name():
    fake, train, held = judged(400, 3, spread=1.5), judged(600, 1), judged(300, 2)
    found = scores(fake, train, held)
    metrics = [METRICS.find(name)() for name in ("fid", "kid")]
    other = SetScores(metrics, Description("-domain", "eyes")).compute(held, fake, train.take(floor_rows(600, 400)))
    for label, mine in (("generated", "generated"), ("real training images", SEVERAL)):
        assert other[label].values.items() <= found[mine].values.items()
        assert other[label].deviations == found[mine].deviations


def test_values_that_an_extractor_gave_are_left_to_it():
    found = score_samples(judged(300, 3), judged(600, 1), judged(300, 2), CLASSES, "the judge", {"FID-domain"})
    assert "FID-domain" not in found.names and "KID-domain x 1000" in found.names
    assert "FID-domain: as --extractor sees them, above" in found.remarks


def test_permuted_classes_and_narrow_ones_show():
    fake = judged(300, 3, spread=0.5)
    found = scores(Observed(fake.features, answers=fake.answers, labels=(fake.answers + 1) % 3)).values
    assert found["accuracy"] == 0 and found["matched"] == 1
    assert found["variety"] == pytest.approx(0.5, abs=0.05)


def test_a_collapsed_class_is_named():
    fake = judged(300, 3)
    fake.features[fake.labels == 1] = 7.0
    found = scores(fake)
    assert found.values[WORST] == 0 and "least varied class: b" in found.remarks
    assert found.values["variety"] == pytest.approx(2 / 3, abs=0.05)


def test_without_labels_there_are_distances_alone():
    found = scores(judged(300, 3, labels=False)).values
    assert list(found) == ["KID-domain x 1000", "KID-all-domain x 1000", "FID-domain"] and math.isfinite(
        found["FID-domain"]
    )


def test_too_few_and_constant_images_have_no_distances_and_a_remark():
    few = scores(judged(4, 3))
    assert math.isnan(few.values["FID-domain"]) and any("too few" in line for line in few.remarks)
    constant = scores(
        Observed(torch.ones(60, 4), answers=torch.zeros(60, dtype=torch.int64), labels=torch.arange(60) % 3)
    )
    assert math.isnan(constant.values["FID-domain"])
    assert math.isnan(constant.values["KID-domain x 1000"])
    assert any("all generated images are alike" in line for line in constant.remarks)
    json.dumps(constant.entries(), allow_nan=False)
    assert constant.entries()["KID-domain x 1000"]["value"] is None and figures(math.nan) == number(math.nan) == "-"


def test_real_images_of_unequal_classes_are_remarked():
    held = judged(300, 2)
    assert (
        any("of a class" in line for line in scores(judged(300, 3), held=held.take(torch.arange(300) % 9 > 2)).remarks)
        is False
    )
    uneven = held.take((held.labels > 0) | (torch.arange(300) < 90))
    assert any("30 to 100 of a class" in line for line in scores(judged(300, 3), held=uneven).remarks)


def test_curves_are_read_from_a_run_that_was_cut_off(tmp_path):
    file = tmp_path / "metrics.jsonl"
    lines = [{"step": s, "epoch": (s - 1) // 4 + 1, "time": s, "G": float(s)} for s in range(1, 13)]
    file.write_text("\n".join(map(json.dumps, lines)) + '\n[1]\n{"step": 9')
    curves, ended = read_curves(file)
    x, y = curves.points()
    assert x == pytest.approx([1 + s / 4 for s in range(1, 13)]) and y["G"] == list(range(1, 13)) and ended == 12
    assert read_curves(tmp_path / "absent")[1] == 0
