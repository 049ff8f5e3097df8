"""Every flag of every method and script takes an odd value for what it says, or refuses it in a line."""

import math
import typing

import pytest

from data import DATASETS
from models import MODELS
from options import TestOptions, TrainOptions, UserError
from options.compare_options import CompareOptions
from options.evaluate_options import EvaluateOptions
from options.fields import flags_of
from options.parsing import compose, option_classes
from options.runs_options import RunsOptions
from options.translate_options import TranslateOptions

ODD = ["", " ", ",", "nan", "inf", "-inf", "1e999", "-1", "0", "1.5", "1e-400", "9" * 30, "9" * 5000, "true", "None"]
ODD += ["nosuch", "../../x", "\x1b[2J", "a,b,,c", "\u0663", "NaN", "0x10", "1_000"]


def every_flag():
    """{(where it is declared, its name): the flag}, once each."""
    found = {}
    for cls in (TrainOptions, TestOptions):
        for kind in (MODELS, DATASETS):
            for name in kind.names():
                flags = flags_of(compose(cls, option_classes(kind.find(name), cls)))
                found |= {(flag.owner, flag.name, str(flag.default)): flag for flag in flags.values()}
    for cls in (CompareOptions, EvaluateOptions, RunsOptions, TranslateOptions):
        found |= {(cls, flag.name, ""): flag for flag in flags_of(cls).values()}
    return list(found.values())


def accepted(flag, text):
    """What a flag makes of a value; None where it refuses, which is a line that names the flag."""
    try:
        return flag.told(text)
    except UserError as error:
        assert str(error).startswith(f"--{flag.name} ") and len(str(error).splitlines()) <= 1 + text.count("\n")
        return None


def numbers(value):
    return [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, int | float)]


@pytest.mark.slow
@pytest.mark.parametrize("odd", [ODD[::4], pytest.param(ODD, marks=pytest.mark.exhaustive)], ids=["some", "all"])
def test_what_is_accepted_is_finite_in_its_range_and_not_empty(odd):
    flags = every_flag()
    assert len(flags) > 350
    for flag in flags:
        for text in odd:
            value = accepted(flag, text)
            if value is None:
                continue
            low, above = flag.metadata["least"], flag.metadata["above"]
            for number in numbers(value):
                assert math.isfinite(number) and (isinstance(number, float) or abs(number) < 2**63), (flag.name, text)
                assert (low is None or number >= low) and (above is None or number > above), (flag.name, text)
            assert value != (), (flag.name, text)
            assert text.strip() or flag.default == "", (flag.name, text)


def test_a_number_without_a_bound_is_known():
    """A new number has ``least`` or ``above``, or is here: what it means below zero was thought of."""
    free = {"glyph_shift", "lambda_IDT", "display_id", "value_range", "margin"}
    bare = {
        flag.name
        for flag in every_flag()
        if {int, float} & {flag.hint, *typing.get_args(flag.hint)}
        and flag.metadata["least"] is None
        and flag.metadata["above"] is None
        and not flag.choices
    }
    assert bare <= free, bare - free
