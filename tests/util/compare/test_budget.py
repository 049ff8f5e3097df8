"""The pace of a variant: which steps are counted, and what makes an earlier one useless."""

import json
from types import SimpleNamespace

import pytest

import compare
from util.compare.budget import WARM_UP, fingerprint, measured_pace, timed_steps


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


def test_a_pace_is_the_mean_over_cheap_and_dear_steps(tmp_path):
    """Four steps of D take 0.1 s each, the fifth, of G too, 1.1 s: a median would say 0.1, the mean is 0.3."""
    assert measured_pace(tmp_path) is None
    time, lines = 1000.0, []
    for step in range(1, 36):
        time += 9.0 if step <= WARM_UP else 1.1 if step % 5 == 0 else 0.1
        lines.append(json.dumps({"step": step, "time": time, "G": 1.0}))
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert measured_pace(tmp_path) == pytest.approx(0.3)
    (tmp_path / "metrics.jsonl").write_text(lines[WARM_UP - 1])
    assert measured_pace(tmp_path) is None


@pytest.mark.slow
def test_a_pace_belongs_to_options_device_and_threads():
    def key(*words, threads=2):
        return fingerprint(compare.parse_train(["--model", "cut", "--device", "cpu", *words]), threads)

    assert key() == key("--name", "other", "--seed", "3", "--max_steps", "7", "--ngf", "64", "--no_html")
    assert len({key(), key("--ngf", "8"), key("--batch_size", "2"), key("--num_threads", "0"), key(threads=1)}) == 5
    assert key() != key("--device", "cuda:93")  # that this machine has not
