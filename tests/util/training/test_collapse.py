"""The alarm for collapse: silent over recorded runs that went well, and speaks of constructed ones that did not."""

import dataclasses
import math

import pytest

from tests.conftest import train_options
from util.training.collapse import CollapseDetector

NOISE = ("--dataroot", "digits", "--model")


def detector(*argv, total=1000, levels=dict):
    return CollapseDetector(train_options(*argv), total, levels)


def told(found, losses, steps):
    return [line for step in steps for line in found.see_losses(step, losses)]


# D_real + D_fake of runs that gave good images, every eighth line of losses: digits by contragan and reacgan, letters
# by xmcgan (hinge, whose undecided sum is 2), and of zi2zi's demo every fourth from where D joined (half as much).
HEALTHY = {
    ("contragan",): [1.348, 1.507, 1.77, 1.415, 1.595, 1.638, 1.675, 1.776, 1.801],
    ("reacgan",): [1.292, 1.3, 2.092, 1.278, 1.485, 1.686, 1.726, 1.576, 1.723],
    ("xmcgan",): [1.329, 0.914, 1.248, 1.377, 1.43, 1.365, 1.476, 1.183, 1.046],
    ("zi2zi",): [0.997, 0.998, 0.996, 0.995, 0.993, 0.995, 1.01, 1.005, 0.99, 0.981, 0.983, 0.975, 0.986, 0.974],
}


@pytest.mark.parametrize("model", [names[0] for names in HEALTHY])
def test_no_alarm_in_runs_that_went_well(model):
    sums = HEALTHY[(model,)]
    words = ("--model", "zi2zi", "--source_font", "x") if model == "zi2zi" else (*NOISE, model)
    found = detector(*words, total=8 * len(sums))
    if model == "zi2zi":
        found.total = 8 * 27  # its first 70 % had no D
    lines = [value for value in sums for _ in range(8)]
    assert [
        line for step, v in enumerate(lines) for line in found.see_losses(step, {"D_real": v / 2, "D_fake": v / 2})
    ] == []


@pytest.mark.parametrize(
    "model,mode,undecided",
    [
        ("cut", "lsgan", {"D_real": 0.125, "D_fake": 0.125}),
        ("cut", "vanilla", {"D_real": math.log(2) / 2, "D_fake": math.log(2) / 2}),
        ("cycle_gan", "lsgan", {"D_A": 0.25, "D_B": 0.25}),
        ("dcl", "hinge", {"D_A": 1.0, "D_B": 1.0}),
        ("contragan", "hinge_paper", {"D_real": 1.0, "D_fake": 1.0}),
        ("infomaxgan", "nonsaturating", {"D_real": math.log(2), "D_fake": math.log(2)}),
    ],
)
def test_a_discriminator_that_has_won_and_one_that_sees_nothing(model, mode, undecided):
    words = ("--model", model) if model in ("cut", "cycle_gan", "dcl") else (*NOISE, model)
    steps = range(0, 1000, 10)
    found = detector(*words, "--gan_mode", mode)
    assert told(found, {k: 0.3 * v for k, v in undecided.items()}, steps) == []
    (line,) = told(found, {k: 0.04 * v for k, v in undecided.items()}, steps)
    assert "almost without error since step 0" in line and "a lower --lr_D" in line
    found = detector(*words, "--gan_mode", mode)
    assert told(found, {k: 0.97 * v for k, v in undecided.items()}, steps) == []
    (line,) = told(found, {k: 1.004 * v for k, v in undecided.items()}, steps)
    assert "has not told real from generated" in line and "a higher --lr_D" in line


def test_it_takes_twenty_lines_in_a_row_and_a_tenth_of_the_run():
    won = {"D_real": 0.001, "D_fake": 0.001}
    assert told(detector("--model", "cut"), won, range(99)) == []  # many lines, too short a time
    assert told(detector("--model", "cut"), won, range(0, 950, 50)) == []  # long enough, nineteen lines
    found = detector("--model", "cut")
    for start in range(0, 1000, 20):  # interrupted again and again
        assert told(found, won, range(start, start + 19)) == []
        assert told(found, {"D_real": 0.1, "D_fake": 0.1}, [start + 19]) == []
    assert len(told(detector("--model", "cut"), won, range(0, 1000, 50))) == 1


def test_one_side_of_two_is_enough_and_is_named():
    found = detector("--model", "cycle_gan")
    (line,) = told(found, {"D_A": 0.2, "D_B": 0.001, "G_A": 0.9}, range(0, 1000, 10))
    assert line.startswith("D_B has told")


def test_dual_contrast_is_read_by_its_own_level():
    found = detector(*NOISE, "dualcontrast", levels=lambda: {"D_dual": {"chance": 8.0, "floor": 0.0}})
    assert len(told(found, {"D_dual": 0.2}, range(0, 1000, 10))) == 1


def test_losses_without_a_level_or_a_number_say_nothing():
    assert told(detector("--model", "cut", "--gan_mode", "wgangp"), {"D_real": 0.0, "D_fake": 0.0}, range(1000)) == []
    assert told(detector("--model", "cut"), {"D_real": None, "D_fake": 0.0}, range(1000)) == []
    assert told(detector("--model", "cut"), {"NCE": 0.0}, range(1000)) == []


@pytest.mark.parametrize(
    "ratios,at",
    [
        ([0.01, 0.9, 1.0, 0.8, 0.9], None),  # alike before anything was learned
        ([0.9, 0.8, 0.7, 0.05, 0.9], 3),
        ([0.9, 0.8, 0.3, 0.24, 0.2], 3),  # fallen below half of the best, and below a quarter
        ([0.2, 0.2, 0.21, 0.2, 0.19], None),  # little, but as much as ever
        ([None, float("nan"), None, None, None], None),
    ],
)
def test_outputs_that_are_alike_or_become_so(ratios, at):
    found = detector("--model", "fastcut")
    lines = [found.see_diversity(250 * i, ratio) for i, ratio in enumerate(ratios)]
    assert [i for i, new in enumerate(lines) if new] == ([] if at is None else [at])
    if at is not None:
        assert "--nce_idt true" in lines[at][0] and "a heavier --lambda_NCE (it is 10)" in lines[at][0]


def test_only_flags_of_the_model_that_are_not_used_yet_are_proposed():
    names = {"cut": ("--model", "cut"), "noise": (*NOISE, "contragan")}
    lines = {}
    for key, words in names.items():
        (lines[key],) = detector(*words).see_diversity(500, 0.01)
        known = {f.name for f in dataclasses.fields(train_options(*words))}
        flags = [word.strip(",.()").removeprefix("--") for word in lines[key].split() if word.startswith("--")]
        assert len(flags) >= 3 and set(flags) <= known
    assert "--sn_D" in lines["cut"] and "--augment_D color,translation,cutout" in lines["cut"]
    assert "augment_D" not in detector("--model", "zi2zi").see_diversity(500, 0.01)[0]  # whose D has none
    assert "--augment_D color,translation,cutout" in lines["noise"]
    assert "--sn_D" not in lines["noise"] and "lambda_NCE" not in lines["noise"]  # it has spectral norm already


def test_each_thing_is_told_once():
    found = detector("--model", "cut")
    assert len(found.see_diversity(500, 0.01)) == 1 and found.see_diversity(600, 0.01) == []
    assert list(found.warnings) == ["alike"]
