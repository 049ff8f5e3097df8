"""The pace of a variant: which steps are counted, and what makes an earlier one useless."""

import csv
import dataclasses
import io
import json
from types import SimpleNamespace

import pytest

import compare
from tests.util.compare.test_table import run, said
from util.compare.budget import WARM_UP, Timings, fingerprint, timed_steps
from util.compare.export import as_csv
from util.compare.recipe import read_recipe
from util.compare.table import Comparison
from util.training.run_record import has_own_clock


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, 30),
        ({"n_dis": 4}, 32),  # eight cycles
        ({"n_dis": 5}, 30),
        ({"n_dis": 1, "lambda_r1": 10.0, "r1_every": 16}, 32),
        ({"n_dis": 1, "lambda_r1": 0.0, "r1_every": 16}, 30),
    ],
)
def test_whole_cycles_are_timed(options, steps):
    assert timed_steps(SimpleNamespace(**options)) == WARM_UP + steps


@pytest.mark.parametrize(
    ("clocks", "words"),
    [
        (
            ("processor", "processor"),
            "once, in seconds of the processor, which other work on the machine does not take",
        ),
        (
            ("wall", "wall"),
            "once, by the clock on the wall, so other work on the machine made steps fewer: cut 120, dcl",
        ),
        (
            ("wall", "processor"),
            "once, dcl in seconds of the processor and the others by the clock on the wall: cut 120",
        ),
        ((None, None), "of each variant once: cut 120, dcl 120."),
        ((), "of each variant once."),
    ],
)
def test_a_page_says_by_which_clock_steps_were_timed(tmp_path, clocks, words):
    (tmp_path / "some.yaml").write_text("models: {cut: {}, dcl: {}}\nbudget: 1 minute\n")
    timed = {v: {"seconds_per_step": 0.5, "clock": clock} for v, clock in zip(("cut", "dcl"), clocks, strict=False)}
    (tmp_path / "budget.json").write_text(json.dumps(timed))
    timings = Timings(read_recipe(tmp_path / "some.yaml"), tmp_path, tmp_path, lambda words: None, lambda *_: False, 1)
    assert words in timings.note()


@pytest.mark.slow
def test_a_pace_belongs_to_options_device_and_threads():
    def key(*words, threads=2):
        return fingerprint(compare.parse_train(["--model", "cut", "--device", "cpu", *words]), threads)

    assert key() == key("--name", "other", "--seed", "3", "--max_steps", "7", "--ngf", "64", "--no_html")
    assert len({key(), key("--ngf", "8"), key("--batch_size", "2"), key("--num_threads", "0"), key(threads=1)}) == 5
    assert key() != key("--device", "cuda:93")  # that this machine has not


@pytest.mark.parametrize(
    ("said", "own"),
    [
        (("cpu", 1, 0), True),
        (("cpu", 2, 0), False),  # threads that wait for one another spin
        (("cpu", 1, 4), False),  # workers are processes of their own
        (("cuda: NVIDIA H200", 1, 0), False),
        ((None, None, None), False),
    ],
)
def test_where_processor_seconds_are_those_of_a_step(said, own):
    assert has_own_clock(*said) is own


@pytest.mark.parametrize(("threads", "costs"), [((1, 1), ["CPU s/step"]), ((1, 2), ["s/step"])])
def test_a_step_takes_processor_seconds_where_every_run_has_them(threads, costs):
    """Where one has none the clock on the wall tells of all; the CSV has both."""
    runs = [
        run(name, 1, {}, options={"num_threads": 0}, facts={"device": "cpu", "threads": n, **paces})
        for name, n, paces in zip("ab", threads, [{"seconds_per_step": 0.5, "cpu_per_step": 0.25}] * 2, strict=True)
    ]
    comparison = Comparison(runs)
    assert comparison.costs == costs
    assert comparison.cost("a", costs[0]).mean == (0.25 if costs == ["CPU s/step"] else 0.5)
    assert comparison.own_clock == (costs == ["CPU s/step"])
    row = next(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert (row["seconds per step"], row["processor seconds per step"]) == ("0.5", "0.25")


def test_a_budget_of_the_processor_is_equal_however_busy_the_machine_was():
    facts = [{"steps": n, "seconds": s, "cpu_per_step": c} for n, s, c in ((100, 900.0, 0.6), (200, 70.0, 0.3))]
    alone = {"device": "cpu", "threads": 1, "seconds_per_step": 1.0}
    runs = [
        run(name, 1, {}, options={"num_threads": 0}, facts={**alone, **one})
        for name, one in zip("ab", facts, strict=True)
    ]
    assert "The budget was time: hours of the processor are equal, steps are not." in said(runs, "limit")
    busy = [dataclasses.replace(one, options={"num_threads": 4}) for one in runs]
    assert "Budgets differ" in said(busy, "limit")
