"""Scores of styles and floors: who counts how much, and what is printed and kept of it."""

import math

import pytest
import torch

from data import DATASETS
from evaluation.metrics import METRICS, Metric
from evaluation.metrics.shared.floors import FLOORS
from evaluation.pairs import Scores, make_metrics
from options import UserError
from tests.conftest import test_options
from util.table import Table, columns, joined

L1 = METRICS.find("l1")
THREE = ("the source, copied", "a white page", "the truth, one pixel off")


def grey(*values, size=8):
    return torch.tensor(values).view(-1, 1, 1, 1).repeat(1, 1, size, size)


def l1_of(real, fake):
    return ((real - fake).abs() / 2).mean().item()


def test_a_style_counts_once_however_many_its_pairs():
    scores = Scores(lambda: [L1()])
    scores.update(["a", "a", "b", "a"], grey(1.0, 1.0, 1.0, 1.0), grey(0.8, 0.6, -1.0, 0.4), grey(*[1.0] * 4), {})
    table = joined(scores.compute())
    assert table["a"].values["L1"] == pytest.approx(0.2) and table["b"].values["L1"] == 1.0
    assert table.values["L1"] == pytest.approx(0.6) and (table["a"].count, table["b"].count) == (3, 1)


def test_batches_do_not_matter():
    generator = torch.Generator().manual_seed(0)
    real, fake, source = (torch.rand(6, 1, 8, 8, generator=generator) * 2 - 1 for _ in range(3))
    styles, whole, parts = list("aababb"), Scores(lambda: [L1()], THREE), Scores(lambda: [L1()], THREE)
    whole.update(styles, real, fake, source, {})
    for i in range(6):
        parts.update(styles[i : i + 1], real[i : i + 1], fake[i : i + 1], source[i : i + 1], {})
    whole, parts = joined(whole.compute()), joined(parts.compute())
    for mine, other in zip(whole.rows, parts.rows, strict=True):
        assert (mine.kind, mine.label) == (other.kind, other.label) and mine.values == pytest.approx(other.values)
    assert whole[THREE[0]].values["L1"] == pytest.approx(
        (l1_of(real[[0, 1, 3]], source[[0, 1, 3]]) + l1_of(real[[2, 4, 5]], source[[2, 4, 5]])) / 2
    )


def test_a_metric_is_told_the_facts_of_its_own_rows():
    class Told(Metric):
        def __init__(self):
            self.labels = []

        def update(self, real, fake, facts=None):
            self.labels += facts["label"].tolist()

        def compute(self):
            return {"sum": float(sum(self.labels))}

    scores = Scores(lambda: [Told()])
    scores.update(["x", "y", "x"], *[grey(0.0, 0.0, 0.0)] * 3, {"label": torch.tensor([5, 7, 6])})
    assert {style: table.values["sum"] for style, table in scores.compute().items()} == {"x": 11.0, "y": 7.0}


def test_a_floor_of_another_shape_is_left_out():
    scores = Scores(lambda: [L1()], THREE[:2])
    scores.update([""], grey(1.0), grey(0.0), torch.zeros(1, 3, 4, 4), {})
    table = joined(scores.compute())
    assert [row.label for row in table.floors] == ["a white page"]
    assert table.lines() == ["L1: 0.5000, mean of 1 pairs; a white page: 0.0000"]
    assert list(table.entries()["L1"]["floors"]) == ["a white page"]


def test_one_style_prints_the_line_there_always_was():
    scores = Scores(lambda: [L1()], THREE)
    scores.update(["", ""], grey(1.0, 1.0), grey(0.9, 0.7), grey(0.0, -1.0), {})
    table = joined(scores.compute())
    (line,) = table.lines()
    assert line.startswith("L1: 0.1000, mean of 2 pairs; the source, copied: 0.7500; a white page: 0.0000; the truth,")
    entry = table.entries()["L1"]
    assert list(entry) == ["value", "better", "pairs", "floors"] and list(entry["floors"]) == list(THREE)
    assert entry["value"] == pytest.approx(0.1) and entry["pairs"] == 2
    assert entry["floors"]["the source, copied"] == {"value": 0.75, "pairs": 2}


def test_several_styles_print_a_table():
    scores = Scores(lambda: [L1()], THREE[:1])
    scores.update(["明朝", "sans"], grey(1.0, 1.0), grey(0.8, 0.4), grey(0.0, 0.0), {})
    table = joined(scores.compute())
    assert table.lines() == [
        "2 styles, 2 pairs; a mean is of the styles, each counts once",
        "style                   L1",
        "明朝                0.1000",
        "sans                0.3000",
        "mean                0.2000",
        "the source, copied  0.5000",
    ]
    assert len({columns(line) for line in table.lines()[1:]}) == 1
    assert table.entries()["L1"]["styles"] == pytest.approx({"明朝": 0.1, "sans": 0.3})


class Odd(Metric):
    """Is defined for white images alone, and says how many it saw."""

    better = "higher"

    def __init__(self, opt=None):
        self.white, self.count = True, 0

    def update(self, real, fake, facts=None):
        self.white &= bool((real == 1).all())
        self.count += len(real)

    def compute(self):
        return {"odd": 3.0 if self.white else math.nan, "second": 1.0}

    def remarks(self):
        return ["about odd numbers", f"{self.count} seen"]


def test_a_value_that_is_not_defined_is_no_part_of_a_mean():
    scores = Scores(lambda: [Odd()], THREE[:1])
    scores.update(["a", "b", "b"], grey(1.0, 0.0, 0.0), *[grey(0.0, 0.0, 0.0)] * 2, {})
    tables = scores.compute()
    table = joined(tables)
    assert table.values["odd"] == 3.0 and table.better == {"odd": "higher"}
    assert table.entries()["odd"]["styles"] == {"a": 3.0, "b": None}
    assert table.lines()[3].split() == ["b", "-", "1.0000"]
    assert table.lines()[-3:] == ["about odd numbers", "a: 1 seen", "b: 2 seen"]
    assert tables["b"].remarks == ["about odd numbers", "2 seen"]


def test_nothing_measured_says_nothing():
    assert joined(Scores(list).compute()).lines() == Table().lines() == [] and Table().entries() == {}
    unmeasured = Scores(list, THREE)
    unmeasured.update([""], *[grey(0.0)] * 3, {})
    assert joined(unmeasured.compute()).lines() == [] and joined(unmeasured.compute()).entries() == {}


def test_a_judge_brings_its_metric(tmp_path):
    class Judge:
        classes = frozenset({65})

        def __call__(self, images):
            return torch.full((len(images),), 65)

    opt = test_options("--checkpoints_dir", tmp_path, "--metrics", "l1", "recognition")
    with pytest.raises(UserError, match="--recogniser"):
        make_metrics(opt, {})
    metrics = make_metrics(opt, {"character": Judge(), "style": Judge()})()
    assert [type(metric).__name__ for metric in metrics] == ["L1Metric", "RecognitionMetric", "StyleMetric"]
    assert all(metric.opt is opt for metric in metrics)


@pytest.mark.parametrize("name", DATASETS.names())
def test_floors_of_data_are_floors(name):
    assert set(DATASETS.find(name).floors) <= set(FLOORS) and "the source, copied" in DATASETS.find(name).floors
