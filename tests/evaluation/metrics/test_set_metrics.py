"""Metrics of sets of features: against other libraries, loops, closed forms, and where nothing is defined."""

import math

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import calculate_precision_recall_full
from torchmetrics.image.fid import FrechetInceptionDistance

from evaluation.metrics import METRICS
from evaluation.metrics.shared.library import ALONE, Given
from evaluation.metrics.shared.observed import Observed


def normal(rows, features=8, seed=0):
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed))


def correlated(rows, features, seed, scale=1.0, shift=0.0):
    """Features that hang together, not around 0."""
    mix = normal(features, features, 99) / math.sqrt(features)
    return scale * normal(rows, features, seed) @ mix + shift + 0.3


def classes(rows, seed, spread=1.0):
    labels = torch.arange(rows) % 4
    features = 6 * torch.eye(8)[labels] + spread * normal(rows, 8, seed)
    return Observed(features, logits=4 * features[:, :4], labels=labels, answers=labels)


def value(name, fake, real, which=0):
    if isinstance(fake, torch.Tensor):
        fake, real = Observed(fake), Observed(real)
    return list(METRICS.find(name)().compare(real, fake).values())[which]


def by_torchmetrics(fake, real):
    metric = FrechetInceptionDistance(Given(fake.shape[1]), **ALONE)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return metric.compute().item()


def by_fidelity(fake, real):
    return fid_statistics_to_metric(*map(fid_features_to_statistics, (fake, real)), False)["frechet_inception_distance"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "m", "F"), [(300, 500, 64), (64, 65, 64), (30, 500, 64), (500, 20, 64), (40, 60, 256)], ids=str
)
def test_fid_is_that_of_torchmetrics_and_of_torch_fidelity(n, m, F):
    for make in (normal, correlated):
        fake, real = make(n, F, seed=1), 1.2 * make(m, F, seed=2) + 0.1
        expected = by_fidelity(fake, real)
        assert value("fid", fake, real) == pytest.approx(expected, rel=1e-5)
        assert by_torchmetrics(fake, real) == pytest.approx(expected, rel=1e-5)


def test_fid_of_fewer_images_than_inception_has_features():
    """Torch-fidelity has it of the 130 directions in which images differ at all: its eigenvalues of 2048 take 4 s."""
    fake, real = correlated(60, 2048, 1, 1.1, 0.05), correlated(70, 2048, 2)
    images = torch.cat([fake, real]).double()
    directions = torch.linalg.svd(images, full_matrices=False).Vh.T  # (2048, 130)
    expected = by_fidelity(*(images @ directions).split([60, 70]))
    assert value("fid", fake, real) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "F"), [(200, 64), (30, 64), (140, 2048)], ids=str)
def test_fid_of_a_set_with_itself_is_0(n, F):
    x = normal(n, F) + 0.3
    assert value("fid", x, x) < 1e-6 and value("fid", x, x.flip(0)) < 1e-6


def test_fid_of_few_images_is_said_to_be_high():
    few, many = Observed(normal(10, 12)), Observed(normal(300, 12, seed=1))
    metric = METRICS.find("fid")()
    (line,) = metric.doubts(many, few)
    assert "10 images against 300 are few for 12 features" in line and metric.doubts(many, many) == []
    assert metric.compare(many, few)["FID"] > 3 * metric.compare(many, Observed(normal(300, 12, seed=2)))["FID"]


def test_kid_is_that_of_torch_fidelity_and_around_that_of_every_pair():
    fake, real = correlated(120, 16, 1, 1.2).double(), correlated(90, 16, 2).double()
    mean, deviation, every = METRICS.find("kid")().compare(Observed(real), Observed(fake)).values()
    other = kid_features_to_metric(
        fake, real, kid_subsets=200, kid_subset_size=45, kid_degree=3, kid_gamma=None, kid_coef0=1.0, rng_seed=1,
        verbose=False, cuda=False,
    )  # fmt: skip
    spread = 1000 * other["kernel_inception_distance_std"]
    assert abs(mean - 1000 * other["kernel_inception_distance_mean"]) < 4 * spread / math.sqrt(50)
    assert deviation == pytest.approx(spread, rel=0.4)
    assert abs(mean - every) < 4 * deviation / math.sqrt(50)


@pytest.mark.parametrize(("name", "least"), [("fid", 10), ("kid", 10), ("is", 20)])
def test_too_few_images_have_a_word_and_no_number(name, least):
    enough, few, metric = classes(least, 1), classes(least - 1, 2), METRICS.find(name)()
    assert all(math.isfinite(number) for number in metric.compare(enough, enough).values())
    assert all(math.isnan(number) for number in metric.compare(enough, few).values())
    assert metric.doubts(enough, few)[0].endswith(f"{least - 1} generated images are too few, {least} needed")


def test_inception_score_is_that_of_torch_fidelity():
    """Around it: the images are dealt to ten parts in another order."""
    logits = 3 * normal(400, 5)
    of = Observed(logits, logits=logits)
    mean, deviation = METRICS.find("is")().compare(of, of).values()
    other = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=1)
    assert mean == pytest.approx(other["inception_score_mean"], rel=0.02) and 0 < deviation < 0.2


@pytest.mark.parametrize("scale", [50, 5000])
def test_inception_score_of_sure_and_even_answers_is_the_number_of_classes(scale):
    logits = scale * torch.eye(4).repeat(500, 1)
    assert value("is", Observed(logits, logits=logits), Observed(logits)) == pytest.approx(4, rel=0.02)
    assert value("is", Observed(logits, logits=1e-3 * logits / scale), Observed(logits)) == pytest.approx(1)


def test_nothing_that_is_drawn_outside_depends_on_a_metric_and_values_are_repeatable():
    fake, real = classes(60, 1), classes(80, 2)
    torch.manual_seed(3)
    state, found = torch.get_rng_state(), []
    for _ in range(2):
        found.append([METRICS.find(name)().compare(real, fake) for name in ("kid", "is", "fid", "prdc")])
        assert torch.get_rng_state().equal(state)
        torch.manual_seed(4)
        state = torch.get_rng_state()
    assert found[0] == found[1]


@pytest.mark.parametrize("F", [3, 40])
def test_precision_and_recall_are_those_of_torch_fidelity(F):
    fake, real = 0.8 * normal(90, F, 1) + 0.2, normal(130, F, 2)
    found = METRICS.find("prdc")().compare(Observed(real), Observed(fake))
    precision, recall = calculate_precision_recall_full(fake.double(), real.double(), neighborhood=5)
    assert (found["precision"], found["recall"]) == pytest.approx((precision, recall), abs=1e-6)
    assert 0 < precision < 1 and 0 < recall < 1


def test_density_and_coverage_are_their_loops():
    fake, real = 0.8 * normal(30, 3, 1) + 0.2, normal(40, 3, 2)
    radius = [sorted((r - other).norm().item() for other in real)[5] for r in real]  # the first is itself
    inside = [[(g - r).norm().item() <= reach for r, reach in zip(real, radius, strict=True)] for g in fake]
    found = METRICS.find("prdc")().compare(Observed(real), Observed(fake))
    assert found["density"] == pytest.approx(sum(map(sum, inside)) / (5 * 30))
    assert found["coverage"] == pytest.approx(sum(any(column) for column in zip(*inside, strict=True)) / 40)


def test_a_copy_of_the_data_covers_it_whatever_its_offset():
    x = normal(200, 16) * 1e-2 + 50
    found = METRICS.find("prdc")().compare(Observed(x), Observed(x.clone()))
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["density"] == pytest.approx(6 / 5)  # the five whose ball reaches just there, and its own


def test_a_narrow_generator_is_precise_and_a_wide_one_has_recall():
    real = normal(300, 4)
    narrow, wide = (METRICS.find("prdc")().compare(Observed(real), Observed(s * normal(300, 4, 1))) for s in (0.2, 4))
    assert narrow["precision"] > 0.95 and narrow["recall"] < 0.3 and narrow["density"] > 1
    assert wide["precision"] < 0.4 and wide["recall"] > 0.7 and wide["coverage"] < 0.5


def test_intra_fid_is_the_mean_of_the_classes_and_sees_names_that_are_changed():
    fake, real = classes(120, 1), classes(200, 2)
    parts = [value("fid", fake.take(fake.labels == k), real.take(real.labels == k)) for k in range(4)]
    expected = sum(parts) / 4
    assert value("ifid", fake, real) == pytest.approx(expected)
    renamed = Observed(fake.features, labels=(fake.labels + 1) % 4)
    assert value("ifid", renamed, real) > 10 * expected
    assert value("fid", renamed, real) == pytest.approx(value("fid", fake, real))


def test_intra_fid_leaves_out_classes_without_images_and_names_them():
    fake, real = classes(120, 1), classes(200, 2)
    some = real.take((real.labels != 2) & (real.labels != 3) | (torch.arange(200) == 2))
    metric = METRICS.find("ifid")()
    metric.classes = ("ant", "bee", "cat")
    parts = [value("fid", fake.take(fake.labels == k), real.take(real.labels == k)) for k in range(2)]
    assert metric.compare(some, fake)["intra-FID"] == pytest.approx(sum(parts) / 2)
    assert any(line.endswith("of cat, class 3") for line in metric.doubts(some, fake))
    none = real.take(torch.tensor([0, 1, 2, 3]))
    assert math.isnan(metric.compare(none, fake)["intra-FID"])
    few = [Observed(torch.cat([o.features, o.features**2], 1), labels=o.labels) for o in (real, classes(48, 1))]
    assert any("12 images of a class are few for 16 features" in line for line in metric.doubts(*few))
    assert math.isnan(metric.compare(real, classes(36, 1))["intra-FID"])  # nine of a class


def test_accuracy_and_its_floor_of_real_images():
    fake = classes(100, 1)
    renamed = Observed(fake.features, answers=fake.answers, labels=(fake.labels + 1) % 4)
    metric = METRICS.find("accuracy")()
    assert metric.compare(fake, renamed) == {"accuracy": 0, "matched": 1} and metric.alone
    assert metric.compare(Observed(fake.features), fake) == {"accuracy": 1, "matched": 1}


def test_variety_is_that_of_real_images_and_a_collapsed_class_is_named():
    fake, real = classes(200, 1, spread=0.5), classes(400, 2)
    fake.features[fake.labels == 3] = 1.0
    metric = METRICS.find("variety")()
    mean, worst = metric.compare(real, fake).values()
    assert mean == pytest.approx(3 * 0.5 / 4, abs=0.03) and worst == 0
    assert "least varied class: class 3" in metric.doubts(real, fake)
    same = Observed(torch.ones(8, 8), labels=torch.arange(8) % 4)
    assert list(metric.compare(real, same).values()) == [0, 0]


def lacking(rows, **other):
    some = classes(rows, 3)
    return Observed(**({name: getattr(some, name) for name in ("features", "logits", "labels", "answers")} | other))


NAN = {"features": classes(20, 3).features.index_fill(0, torch.tensor([4]), math.nan)}
NAN["logits"] = NAN["features"][:, :4]


@pytest.mark.parametrize("name", ["fid", "kid", "is", "prdc", "ifid"])
@pytest.mark.parametrize(
    ("images", "words"),
    [
        (lacking(0), "0 {} images are too few"),
        (lacking(1), "1 {} image is too few"),
        (lacking(20, features=torch.ones(20, 8), logits=torch.ones(20, 4)), "all {} images are alike"),
        (lacking(20, **NAN), "in 1 of 20 {} images is no finite number"),
        (lacking(20, features=torch.full((20, 8), math.inf), logits=torch.full((20, 4), math.inf)), "20 of 20 {}"),
    ],
    ids=["none", "one", "alike", "nan", "inf"],
)
def test_sets_that_define_no_value_have_words_and_no_number(name, images, words):
    metric, good = METRICS.find(name)(), classes(40, 4)
    for real, fake, kind in ((good, images, "generated"), (images, good, "real")):
        if metric.alone and kind == "real":
            assert all(map(math.isfinite, metric.compare(real, fake).values()))
            continue
        assert all(map(math.isnan, metric.compare(real, fake).values()))
        (line,) = metric.doubts(real, fake)
        assert words.format(kind) in line and line.startswith(f"{metric.title}: ")
    assert all(map(math.isfinite, metric.compare(good, good).values()))


def test_what_an_extractor_or_the_data_do_not_tell_is_said():
    bare = Observed(normal(20))
    said = {name: METRICS.find(name)().doubts(bare, bare) for name in ("is", "ifid", "accuracy", "variety")}
    assert said["is"] == ["IS: this extractor has no classes of its own"]
    assert said["ifid"] == ["intra-FID: these data have no labels"]
    assert said["accuracy"] == ["accuracy, matched: this extractor does not tell the classes of these data apart"]
    assert said["variety"][0].endswith("these data have no labels")
    real = Observed(normal(20), labels=torch.arange(20) % 2, answers=torch.arange(20) % 2)
    for name in ("ifid", "accuracy", "variety"):  # of a model without classes, beside data that have them
        metric = METRICS.find(name)()
        (line,) = metric.doubts(real, bare)
        assert line == f"{metric.title}: the generated images have no classes, for the model makes them without"
        assert all(map(math.isnan, metric.compare(real, bare).values()))


def test_images_that_differ_by_rounding_alone_are_alike():
    x = torch.full((20, 8), 3.0) * (1 + 1e-7 * normal(20))
    assert math.isnan(value("fid", x, normal(50))) and math.isfinite(value("fid", x + 1e-3 * normal(20), normal(50)))
