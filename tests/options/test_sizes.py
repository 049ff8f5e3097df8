"""Sides of images as the command line says them."""

import copy
import pickle

import pytest

from options import UserError
from options.parsing import as_dict
from options.sizes import Sides, sides
from tests.conftest import train_options

SIZES = [("64", 64, (64, 64)), ("64x64", 64, (64, 64)), ("256X64", "256x64", (64, 256))]


@pytest.mark.parametrize("text, value, found", SIZES)
def test_a_size_is_a_side_or_width_and_height(text, value, found):
    size = train_options("--model", "sngan", "--crop_size", text).crop_size
    assert size == value and sides(size) == found and isinstance(size, Sides) == (found[0] != found[1])


def test_a_size_is_kept_as_text_and_goes_to_workers():
    opt = train_options("--model", "sngan", "--crop_size", "256x64")
    assert type(as_dict(opt)["crop_size"]) is str
    for again in (pickle.loads(pickle.dumps(opt.crop_size)), copy.deepcopy(opt.crop_size)):
        assert isinstance(again, Sides) and sides(again) == (64, 256)


@pytest.mark.parametrize("text", ["256y64", "0x64", "256x", "x64", "1x2x3", "-4x8", "4.5x8"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UserError, match=rf"--crop_size {text}: expected a whole number or WIDTHxHEIGHT such as 256x64"):
        train_options("--model", "sngan", f"--crop_size={text}")


def test_methods_of_squares_take_one_number():
    with pytest.raises(UserError, match=r"--crop_size 64x32: expected a whole number$"):
        train_options("--model", "cut", "--crop_size", "64x32")
    with pytest.raises(UserError, match="--crop_size 64x32 --source glyphs: are drawn in squares; give one number"):
        train_options("--model", "sngan", "--crop_size", "64x32", "--source", "glyphs")
