"""What holds for every metric in the registry, whatever it measures."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from evaluation.metrics import METRICS, Metric, lpips_metric
from evaluation.metrics.base_captioned import CaptionedMetric, Judged, Seen
from evaluation.metrics.base_set import LACKS, SetMetric
from evaluation.metrics.shared.observed import Observed

NAMES = METRICS.names()


class Reader:
    """A judge that knows one answer."""

    classes = (65,)

    def __call__(self, images):
        return torch.full((len(images),), 65)


class Apart(nn.Module):
    """Stands in for the network of LPIPS."""

    def forward(self, x, y):
        return (x - y).abs().mean((1, 2, 3))


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    monkeypatch.setattr(lpips_metric, "load_lpips", lambda path: (Apart(), "0" * 64))


def make(name):
    cls = METRICS.find(name)
    opt = SimpleNamespace(lpips_weights="alexnet.pth")
    return cls(opt, judge=Reader()) if cls.judge else cls(opt)


def of_kind(kind):
    return [name for name in NAMES if issubclass(METRICS.find(name), kind)]


PAIRS = [name for name in NAMES if not issubclass(METRICS.find(name), SetMetric | CaptionedMetric)]


def test_the_registry_has_what_the_field_asks_for():
    assert set(NAMES) >= {"fid", "kid", "is", "prdc", "ifid", "ssim", "psnr", "l1", "lpips", "self_similarity"}
    assert set(NAMES) >= {"recognition", "style", "accuracy", "variety", "r_precision", "attributes", "clip"}
    assert of_kind(SetMetric) == ["accuracy", "cas", "fid", "ifid", "is", "kid", "prdc", "variety"]
    assert of_kind(CaptionedMetric) == ["attributes", "clip", "r_precision"]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    cls, metric = METRICS.find(name), make(name)
    assert isinstance(metric, Metric) and cls.better in ("lower", "higher", "one")
    assert cls.__doc__ and cls.__doc__ != SetMetric.__doc__ and cls.against in ("target", "source")
    if isinstance(metric, SetMetric):
        assert set(metric.directions) <= set(metric.names) and set(metric.asks) <= set(LACKS)


def images(kind):
    random = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return {
        "random": random,
        "white": torch.ones_like(random),
        "black": -torch.ones_like(random),
        "grey": torch.zeros_like(random),
        "nan": random.index_fill(0, torch.tensor([1]), math.nan),
        "bare": torch.empty(0, 3, 40, 40),
    }[kind]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    "kinds", ["white black", "white white", "black grey", "random nan", "bare bare", "random white"]
)
def test_pairs_that_hold_nothing_have_numbers_or_none(name, kinds):
    metric = make(name)
    assert (
        all(isinstance(v, float) and math.isnan(v) for v in metric.compute().values()) and metric.remarks() is not None
    )
    real, fake = map(images, kinds.split())
    facts = {"character": torch.full((len(real),), 65), "label": torch.zeros(len(real), dtype=torch.int64)}
    metric.update(real, fake, facts)
    for value in metric.compute().values():
        assert isinstance(value, float) and not math.isinf(value)
        assert len(real) or math.isnan(value)
    assert all(isinstance(line, str) for line in metric.remarks())


def observed(kind):
    rows = {"none": 0, "one": 1, "two": 2}.get(kind, 12)
    random = torch.randn(rows, 6, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(rows) % 3
    features = {"alike": torch.ones(rows, 6), "nan": random * math.nan, "huge": random * 1e30}.get(kind, random)
    if kind == "bare":
        return Observed(features)
    return Observed(features, features[:, :4], labels, torch.full_like(labels, -1) if kind == "unknown" else labels)


KINDS = ("good", "none", "one", "two", "alike", "nan", "huge", "bare", "unknown")


@pytest.mark.parametrize("name", of_kind(SetMetric))
@pytest.mark.parametrize("kind", KINDS)
def test_sets_that_hold_nothing_have_values_or_none_and_words(name, kind):
    metric, good = make(name), observed("good")
    for real, fake in ((good, observed(kind)), (observed(kind), good), (observed(kind), observed(kind))):
        values, doubts = metric.compare(real, fake), metric.doubts(real, fake)
        assert tuple(values) == metric.names and all(isinstance(line, str) and ":" in line for line in doubts)
        first = next(iter(values.values()))
        assert not math.isinf(first) and (math.isfinite(first) or doubts)
        if kind in ("none", "one", "nan") and fake is not good and name != "accuracy":
            assert math.isnan(first)


def judged(kind):
    rows = {"none": 0, "one": 1}.get(kind, 8)
    vectors = torch.randn(rows, 5, generator=torch.Generator().manual_seed(1))
    vectors = {"nan": vectors * math.nan, "alike": torch.ones(rows, 5)}.get(kind, vectors)
    said = torch.arange(rows)[:, None].expand(-1, 2) % (1 if kind == "alike" else 8)
    said = torch.full_like(said, -1) if kind == "unsaid" else said
    return Judged(Seen(vectors, said, vectors), torch.nn.functional.normalize(vectors, dim=1), said, said)


@pytest.mark.parametrize("name", of_kind(CaptionedMetric))
@pytest.mark.parametrize("kind", ["good", "none", "one", "alike", "nan", "unsaid"])
def test_captions_that_hold_nothing_have_values_or_none(name, kind):
    values = make(name).compare(judged(kind))
    assert values and all(isinstance(v, float) and not math.isinf(v) for v in values.values())
    first = next(iter(values.values()))
    if kind == "good":
        assert first == pytest.approx(1.0 if name != "clip" else values["CLIP score"]) and first > 0
    if kind == "none" or (kind == "nan" and name != "attributes"):
        assert math.isnan(first)
