from types import SimpleNamespace

import pytest

from models.fonts.naming import SAID, about_style, check_naming
from options import UserError
from util.fonts.faces import Face
from util.fonts.names import Rights


def said(**values):
    nothing = dict.fromkeys(("family", *SAID, "complete"))
    return SimpleNamespace(**nothing | {"export_ttf": "x.ttf"} | values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"export_ttf": None, "weight": 700}, "--weight 700: is said of a font file; give --export_ttf too"),
        ({"export_ttf": None, "family": "Kai"}, "--family Kai: is said of a font file"),
        ({"complete": "kai.ttf", "copyright": "Me"}, "--copyright Me: --complete keeps the style, weight and rights"),
        ({"complete": "kai.ttf", "family": "Kai", "style_name": "Bold"}, "--style_name Bold: --complete keeps"),
        ({"style_name": " "}, "--style_name ' ': give printable characters"),
        ({"style_name": "Bo\nld"}, "--style_name 'Bo.nld': give printable characters"),
        ({"licence": "OFL", "license": "MIT"}, "--licence OFL --license MIT: are one flag"),
    ],
)
def test_what_would_be_ignored_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        check_naming(said(**values))


def test_what_goes_together_is_taken():
    check_naming(said(family="Kai", style_name="Light Italic", weight=300, license="MIT", copyright="Me"))
    check_naming(said(complete="kai.ttf", family="Kai"))
    check_naming(said(export_ttf=None))


@pytest.mark.parametrize(
    ("font", "style", "angle"),
    [
        ("DejaVuSerif", "Regular", None),
        ("DejaVuSerif-Bold", "Bold", None),
        ("DejaVuSerif-Italic", "Italic", -11),
        ("DejaVuSans-BoldOblique", "Bold Italic", -11),
    ],
)
def test_a_style_is_bold_and_italic_as_its_font_is(font, style, angle, capsys):
    face = Face(font)
    about = about_style(said(), face)
    assert (about.style, about.angle, about.weight) == (style, angle, None)
    assert (
        about.rights.licence.startswith("Fonts are (c) Bitstream") and about.rights.url and not about.rights.copyright
    )
    assert f"licence of {font} recorded, say another with --licence: Fonts are" in capsys.readouterr().err


def test_what_is_said_counts_and_pictures_say_nothing(capsys):
    face = Face("DejaVuSerif-Italic")
    about = about_style(said(style_name="Light", weight=320, licence="https://a.b/ofl", copyright="Me"), face)
    assert (about.style, about.weight, about.angle) == ("Light", 320, None)
    assert about.rights == Rights("Me", "", "https://a.b/ofl")
    assert about_style(said(license="OFL-1.1"), face).rights == Rights("", "OFL-1.1", "")
    assert about_style(said(), object()).rights == Rights()
    assert capsys.readouterr().err == ""
