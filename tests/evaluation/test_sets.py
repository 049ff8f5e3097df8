"""Values of sets with their floors, and what is said of them."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from evaluation.metrics import METRICS
from evaluation.metrics.shared.observed import Observed
from evaluation.sets import SetScores, tagged
from util.pages.sections import table_section

TRAINING, HELD = "real training images", "held-out real images alone"
NAMES = ("fid", "kid", "is", "prdc", "ifid", "accuracy", "variety")
DOMAIN = SimpleNamespace(tag="-domain", name="domain judge 0123456789ab", resize="none", comparable=False)
INCEPTION = SimpleNamespace(tag="", name="inception 6726825d0af5", resize="to 299 x 299", comparable=True)


def seen(rows, seed, shift=0.0):
    labels = torch.arange(rows) % 3
    noise = torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))
    features = 5 * torch.eye(4)[labels] + noise + shift
    return Observed(features, logits=features, labels=labels, answers=labels)


def table(real, fake, floor=None, extractor=DOMAIN, names=NAMES, **more):
    metrics = [METRICS.find(name)() for name in names]
    return SetScores(metrics, extractor, ("a", "b", "c")).compute(real, fake, floor, **more)


def test_names_carry_the_tag_where_values_depend_on_features():
    found = table(seen(90, 1), seen(60, 2))
    assert list(found.values)[:4] == ["FID-domain", "KID-domain x 1000", "KID-all-domain x 1000", "IS-domain"]
    assert {"intra-FID-domain", "recall-domain", "accuracy-domain", "matched-domain", "variety-domain"} <= set(
        found.values
    )
    assert "FID" in table(seen(90, 1), seen(60, 2), extractor=INCEPTION).values
    assert tagged("KID x 1000", "-module") == "KID-module x 1000"


def test_a_perfect_generator_is_at_its_floor_and_another_is_not():
    real, training = seen(300, 1), seen(300, 2)
    perfect, shifted = (table(real, seen(300, 3, shift), training) for shift in (0.0, 1.0))
    for found in (perfect, shifted):
        assert found[TRAINING].values["FID-domain"] < 0.3 and found[TRAINING].values["coverage-domain"] > 0.9
        assert found[HELD].values["IS-domain"] > 2 and found[HELD].values["accuracy-domain"] == 1
    assert perfect.values["FID-domain"] < 0.3 < 3 < shifted.values["FID-domain"]
    assert shifted.values["KID-domain x 1000"] > 5 * shifted.whole.deviations["KID-domain x 1000"]
    assert perfect.better["FID-domain"] == "lower" and perfect.better["coverage-domain"] == "higher"
    assert perfect.better["density-domain"] == "one" and set(perfect.better) == set(perfect.values)


def test_floors_are_of_as_many_images_as_were_generated():
    real, training = seen(200, 1), seen(500, 2)
    few, many = (table(real, seen(n, 3), training, names=("fid",)) for n in (20, 400))
    assert few[TRAINING].count == 20 and many[TRAINING].count == 400
    assert few[TRAINING].values["FID-domain"] > 3 * many[TRAINING].values["FID-domain"]
    assert not any("floors" in line for line in many.remarks)
    (line,) = table(real, seen(600, 3), training, names=("fid",)).remarks
    assert line.startswith("floors: of 500 images, fewer than were generated")


def test_a_half_of_the_real_images_can_be_the_floor_of_the_other():
    real, order = seen(200, 1), torch.arange(200)
    halves = real.take(order % 2 == 0), real.take(order % 2 == 1)
    found = table(real, seen(100, 2), halves[0], floor_real=halves[1], names=("fid",))
    alone = METRICS.find("fid")().compare(halves[1], halves[0])["FID"]
    (floor,) = found.floors
    assert floor.values == {"FID-domain": pytest.approx(alone)}
    assert (floor.label, floor.count) == ("real images, one half against the other", 100)


def test_without_other_real_images_the_real_ones_alone_have_values_of_their_own():
    found = table(seen(90, 1), seen(60, 2))
    assert [row.label for row in found.floors] == [HELD]
    assert set(found[HELD].values) == {"IS-domain", "accuracy-domain", "matched-domain"}
    assert "; held-out real images alone: 1.0000" in " ".join(found.lines())
    assert found.entries()["accuracy-domain"]["floors"] == {HELD: {"value": 1, "images": 60}}


def test_floors_of_metrics_of_one_set_are_of_held_out_images_that_no_classifier_has_learnt():
    real, training = seen(90, 1), seen(90, 2)
    half_wrong = (real.labels + (torch.arange(90) < 45)) % 3  # those of training are all right
    real = replace(real, answers=half_wrong)
    found = table(real, seen(90, 3), training, names=("fid", "accuracy", "is"))
    assert found[HELD].values["accuracy-domain"] == 0.5
    assert list(found.entries()["FID-domain"]["floors"]) == [TRAINING]
    alone = METRICS.find("is")().compare(real, real)["IS"]
    assert found[HELD].values["IS-domain"] == pytest.approx(alone)
    assert HELD in str(table_section(found))


def test_a_line_says_all_that_a_value_is_of():
    found = table(seen(400, 1), seen(200, 2), seen(200, 3), names=("fid", "kid"))
    first, second, third = found.lines()
    value, floor = found.values["FID-domain"], found[TRAINING].values["FID-domain"]
    assert first == (
        f"FID-domain: {value:.4f}, 200 images against 400; real training images: {floor:.4f}; "
        "domain judge 0123456789ab, resize none; not comparable with published FID"
    )
    assert second.startswith("KID-domain x 1000: ") and " ± " in second and second.endswith("published KID")
    assert third.startswith("KID-all-domain x 1000: ") and " ± " not in third and third.endswith("published KID-all")
    of_inception = table(seen(400, 1), seen(200, 2), extractor=INCEPTION, names=("fid",))
    assert of_inception.lines()[0].endswith("200 images against 400; inception 6726825d0af5, resize to 299 x 299")
    assert found.facts["comparable"] is False and found.whole.count == 200


def test_what_is_not_defined_is_null_and_said():
    found = table(seen(40, 1), seen(1, 2), seen(40, 3))
    assert "FID: 1 generated image is too few, 10 needed" in found.lines()
    entries = json.loads(json.dumps(found.entries(), allow_nan=False))
    assert entries["FID-domain"]["value"] is None and entries["FID-domain"]["better"] == "lower"
    assert entries["accuracy-domain"] == {
        **{"value": 1.0, "floors": {HELD: {"value": 1.0, "images": 1}}, "images": 1},
        **{"reference": 40, "extractor": DOMAIN.name, "resize": "none", "comparable": False, "better": "higher"},
    }
    assert found.lines()[0].startswith("FID-domain: -, 1 image against 40")


def test_classes_are_called_by_their_names():
    fake = seen(60, 2)
    fake.features[fake.labels == 1] = 2.0
    assert "least varied class: b" in table(seen(90, 1), fake).remarks


def test_a_section_shows_values_floors_and_remarks():
    found = table(seen(90, 1), seen(60, 2, 1.0), seen(90, 3))
    html = str(table_section(found))
    for text in (
        "FID-domain ↓",
        f"{found.values['FID-domain']:.4f}",
        f"{found[TRAINING].values['FID-domain']:.4f}",
        " ± ",
    ):
        assert text in html
    assert "feature extractor: domain judge 0123456789ab; resize: none" in html and TRAINING in html
    assert found.remarks and all(line in html for line in found.remarks)
    bare = str(table_section(table(seen(90, 1), seen(1, 2), names=("fid",))))
    assert HELD not in bare and TRAINING not in bare and ">-<" in bare
    hostile = SimpleNamespace(tag="", name="<img onerror=1>", resize="none", comparable=False)
    assert "<img" not in str(table_section(table(seen(9, 1), seen(9, 2), extractor=hostile)))


def test_a_value_that_no_metric_defines_is_no_floor():
    constant = Observed(torch.ones(50, 4), torch.ones(50, 4), torch.arange(50) % 3, torch.arange(50) % 3)
    found = table(seen(90, 1), seen(60, 2), constant, names=("fid", "kid"))
    assert found.floors == [] and all(map(math.isfinite, found.values.values()))
