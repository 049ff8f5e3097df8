"""The pace of a variant: which steps are counted, and what makes an earlier one useless."""

from types import SimpleNamespace

import pytest

import compare
from util.compare.budget import WARM_UP, fingerprint, timed_steps
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
