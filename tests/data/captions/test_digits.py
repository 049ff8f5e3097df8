import numpy as np
import pytest

from data.captions.digits import captions, digits, lean, measured, parse_caption
from data.captions.sources import UNSAID
from data.pictures.choice import held_out


@pytest.fixture(scope="module")
def source():
    return digits(None, 0)


@pytest.fixture(scope="module")
def pictures(source):
    return source.phases["every"]()


@pytest.mark.slow
def test_pictures_and_numbers_are_those_of_scikit_learn(source, pictures):
    from sklearn.datasets import load_digits

    truth = load_digits()
    assert source.attributes["digit"] == tuple("0123456789") and source.channels == 1
    assert pictures.shown[:, 0].tolist() == pictures.labels.tolist() == truth.target.tolist()
    assert np.array_equal(pictures.pixels(5, 1)[..., 0], (truth.images[5] * 255 / 16).round())


def test_captions_are_true_and_say_what_they_are_said_to_say(source, pictures):
    seen: dict[str, list[int]] = {}
    for texts, said, shown in zip(pictures.captions, pictures.said, pictures.shown, strict=True):
        assert (said[0] == shown).all() and ((said == shown) | (said == UNSAID)).all()
        assert (said[:, 0] == shown[0]).all() and len(texts) == len(said) == len(set(texts)) > 4
        seen.update(zip(texts, said.tolist(), strict=True))
    for caption, said in seen.items():
        assert parse_caption(caption, source.attributes).tolist() == said, caption


def test_the_fullest_caption():
    for shown, caption in (
        ({"digit": "7", "stroke": "bold", "lean": "right"}, "a bold handwritten seven leaning right"),
        ({"digit": "8", "stroke": "thin", "lean": "upright"}, "a thin upright handwritten eight"),
        ({"digit": "1", "lean": "left"}, "a handwritten one leaning left"),
    ):
        assert captions(shown)[0] == (caption, shown)


def test_every_way_to_say_it_occurs(pictures):
    text = "\n".join(caption for row in pictures.captions for caption in row)
    for words in (
        *("thin", "light", "bold", "heavy", "upright", "straight", "leaning left", "slanting right", "a handwritten 7"),
        *("the number 7 written by hand", "digit 3", "seven, handwritten", "a handwritten eight"),
    ):
        assert words in text, words


def test_strokes_are_bold_in_the_third_with_most_ink(source, pictures):
    ink = pictures.array.mean((1, 2, 3))
    thin, bold = (source.attributes["stroke"].index(word) for word in ("thin", "bold"))
    for digit in range(10):
        mine = pictures.shown[:, 0] == digit
        stroke = pictures.shown[mine, 1]
        for value in (thin, bold, UNSAID):
            assert abs((stroke == value).mean() - 1 / 3) < 0.02
        light, middle, heavy = (ink[mine][stroke == value] for value in (thin, UNSAID, bold))
        assert light.max() < middle.min() and middle.max() < heavy.min()


def test_lean_is_the_angle_of_a_stroke():
    places = np.arange(33.0) - 16
    for degrees in (-30, -10, 0, 20):
        middle = -places[:, None] * np.tan(np.radians(degrees))  # to the right, going up
        stroke = np.exp(-(((places[None] - middle) / 2) ** 2)) * (abs(places[:, None]) < 10)
        assert lean(stroke[None] * 255)[0] == pytest.approx(degrees, abs=0.2)
    assert lean(np.zeros((1, 8, 8)))[0] == 0 and np.isfinite(lean(np.eye(8)[3:4, None] * 255)).all()


def test_lean_is_beside_what_is_usual_for_the_number(pictures):
    angles = lean(pictures.array[..., 0])
    for digit in range(10):
        mine = pictures.shown[:, 0] == digit
        counts = np.bincount(pictures.shown[mine, 2], minlength=3) / mine.sum()
        assert 0.5 < counts[0] < 0.8 and counts[1:].min() > 0.05
        upright, left, right = (angles[mine & (pictures.shown[:, 2] == value)] for value in range(3))
        assert left.max() < upright.min() and upright.max() < right.min()


def test_two_pictures_are_measured():
    shown = measured(np.stack([np.eye(8), np.ones((8, 8))]) * 255, np.array([1, 1]))
    assert [each.get("stroke") for each in shown] == ["thin", "bold"] and all("lean" in each for each in shown)


def test_held_out_are_pictures_of_every_number(pictures):
    test = held_out(pictures, 0, 0.2)
    half = pictures.take(np.flatnonzero(test))
    assert set(half.labels) == set(range(10)) and half.captions[0] in pictures.captions.tolist()
    assert len(half.prepared(32, 1, 1 << 30).array) == len(half)
