import string

import numpy as np
import pytest
from PIL import Image, ImageDraw

from util.fonts.faces import Face, Geometry
from util.fonts.measures import slant, stem, weight_class

GEOMETRY = Geometry(64)


def drawn(font, characters=string.ascii_letters):
    face = Face(font)
    return {ord(c): face.draw(ord(c), GEOMETRY) for c in characters}


@pytest.mark.parametrize(
    ("font", "weight"),
    [
        *(("DejaVuSans", 400), ("DejaVuSans-Bold", 700), ("DejaVuSerif", 400), ("DejaVuSerif-Bold", 700)),
        *(("DejaVuSerif-BoldItalic", 700), ("DejaVuSansMono-Oblique", 400), ("STIXGeneral", 400)),
        *(("STIXGeneralBol", 700), ("STIXGeneralItalic", 400)),
    ],
)
def test_known_fonts_have_their_weight(font, weight):
    face = Face(font)
    x_height = face.font["glyf"][face.cmap[ord("x")]].yMax / face.units_per_em
    assert weight_class(drawn(font), map(ord, string.ascii_letters), GEOMETRY.em, x_height) == weight


def test_a_stem_is_as_wide_as_it_is_drawn():
    image = np.full((64, 64), 255, np.uint8)
    image[10:50, 20:25] = 0
    image[10:50, 25] = 128
    assert stem({65: image}, [65]) == pytest.approx(5.5, abs=0.01)
    white = {65: np.full((64, 64), 255, np.uint8)}
    assert stem(white, [65]) == 0
    assert weight_class(white, [65], 51.2) == weight_class({}, [65], 51.2) == 400 and slant({}, [65]) == 0


@pytest.mark.parametrize(
    ("width", "weight"), [(0.03, 100), (0.05, 300), (0.07, 400), (0.085, 500), (0.115, 700), (0.15, 900)]
)
def test_stems_of_full_width_characters_have_limits_of_their_own(width, weight):
    large = Image.new("L", (1024, 1024), 255)
    ImageDraw.Draw(large).rectangle((500, 100, 499 + width * GEOMETRY.em * 16, 900), fill=0)
    assert weight_class({0x4E28: np.array(large.reduce(16))}, [0x4E28], GEOMETRY.em) == weight


@pytest.mark.parametrize(
    ("font", "degrees"), [("DejaVuSans", 0), ("DejaVuSerif", 0), ("DejaVuSerif-Italic", 11), ("DejaVuSans-Oblique", 11)]
)
def test_italics_lean_as_their_makers_say(font, degrees):
    assert slant(drawn(font), map(ord, string.ascii_letters)) == pytest.approx(degrees, abs=2)
