import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from fontTools.ttLib.tables.TupleVariation import TupleVariation

from options import UserError
from util.fonts.charsets import charset
from util.fonts.faces import Face, Geometry

DEBIAN = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
BOX, BAR = (100, 0, 900, 800), (300, -200, 500, 900)  # x0, y0, x1, y1 in units; 1000 to the em


def rectangle(pen, x0, y0, x1, y1):
    pen.moveTo((x0, y0))
    for point in ((x0, y1), (x1, y1), (x1, y0)):
        pen.lineTo(point)
    pen.closePath()


def build(path: Path, cff: bool = False, width: int = 1000) -> Path:
    """A font where A is a bar, B nothing, C the same box as .notdef, D is .notdef itself, and (in TrueType) E a
    composite of A, F a composite of .notdef, G a composite of nothing."""
    shapes = {".notdef": BOX, "bar": BAR, "empty": None, "tofu": BOX}
    builder = FontBuilder(1000, isTTF=not cff)
    names = [*shapes, *([] if cff else ["ofbar", "ofbox", "ofempty"])]
    builder.setupGlyphOrder(names)
    mapped = {"A": "bar", "B": "empty", "C": "tofu", "D": ".notdef"}
    mapped |= {} if cff else {"E": "ofbar", "F": "ofbox", "G": "ofempty"}
    builder.setupCharacterMap({ord(character): glyph for character, glyph in mapped.items()})
    glyphs = {}
    for name in names:
        pen = T2CharStringPen(width, None) if cff else TTGlyphPen(glyphs)
        if name.startswith("of"):
            pen.addComponent({"ofbar": "bar", "ofbox": ".notdef", "ofempty": "empty"}[name], (1, 0, 0, 1, 0, 0))
        elif shapes[name] is not None:
            rectangle(pen, *shapes[name])
        glyphs[name] = pen.getCharString() if cff else pen.glyph()
    builder.setupCFF("Test", {}, glyphs, {}) if cff else builder.setupGlyf(glyphs)
    left = {".notdef": BOX[0], "tofu": BOX[0], "ofbox": BOX[0], "bar": BAR[0], "ofbar": BAR[0]}
    builder.setupHorizontalMetrics({name: (width, left.get(name, 0)) for name in names})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def build_variable(path: Path) -> Path:
    """A whose box grows from 400 to 800 units, and its advance from 600 to 1000, as wght goes from 400 to 900."""
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "A"])
    builder.setupCharacterMap({ord("A"): "A"})
    pens = {name: TTGlyphPen(None) for name in (".notdef", "A")}
    rectangle(pens[".notdef"], *BOX)
    rectangle(pens["A"], 100, 0, 500, 700)
    builder.setupGlyf({name: pen.glyph() for name, pen in pens.items()})
    builder.setupHorizontalMetrics({".notdef": (1000, 100), "A": (600, 100)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Grows", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    instances = [{"location": {"wght": 900, "wdth": 100}, "stylename": "Extra Bold"}]
    builder.setupFvar([("wght", 100, 400, 900, "Weight"), ("wdth", 50, 100, 150, "Width")], instances)
    moved = [(0, 0), (0, 0), (400, 0), (400, 0), (0, 0), (400, 0), (0, 0), (0, 0)]  # the last four are phantom points
    builder.setupGvar({"A": [TupleVariation({"wght": (0, 1, 1)}, moved)], ".notdef": []})
    builder.save(path)
    return path


def characters(codes):
    return "".join(map(chr, sorted(codes)))


@pytest.mark.parametrize("cff", (False, True))
def test_a_character_is_real_when_its_outline_is(tmp_path, cff):
    face = Face(str(build(tmp_path / "x.ttf", cff)))
    assert set("ABC" if cff else "ABCEFG") <= set(characters(face.cmap))
    assert characters(face.real(map(ord, "ABCDEFGH"))) == ("A" if cff else "AE")


def test_collections_have_numbered_faces(tmp_path):
    collection = TTCollection()
    collection.fonts = [TTFont(build(tmp_path / "a.ttf", width=1000)), TTFont(build(tmp_path / "b.ttf", width=600))]
    collection.save(tmp_path / "x.ttc")
    assert [Face(f"{tmp_path}/x.ttc#{i}").advance(ord("A")) for i in (0, 1)] == [1.0, 0.6]
    assert characters(Face(f"{tmp_path}/x.ttc#1").real(map(ord, "ABC"))) == "A"
    with pytest.raises(UserError, match=r"x\.ttc#2: cannot be read"):
        Face(f"{tmp_path}/x.ttc#2")


def test_a_broken_font_is_named(tmp_path):
    data = build(tmp_path / "x.ttf").read_bytes()
    for name, content in {"html.ttf": b"<html>", "empty.ttf": b"", "cut.ttf": data[:200]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"font .*{name}: "):
            Face(str(tmp_path / name))
    font = TTFont(tmp_path / "x.ttf")
    start = font.reader.tables["glyf"].offset
    (tmp_path / "glyf.ttf").write_bytes(data[: start + 4])
    with pytest.raises(UserError, match=r"glyf\.ttf: "):
        Face(str(tmp_path / "glyf.ttf")).real(map(ord, "AE"))
    with pytest.raises(UserError, match="did you mean DejaVuSans"):
        Face("DejaVuSanz")
    with pytest.raises(UserError, match=r"nowhere\.ttf: no such file"):
        Face("nowhere.ttf")


def test_the_affine_is_invertible_and_is_what_is_drawn(tmp_path):
    face, geometry = Face(str(build(tmp_path / "x.ttf"))), Geometry(64, 0.8, 0.12)
    drawn = 255 - face.draw(ord("A"), geometry).astype(float)
    rows, columns = np.nonzero(drawn > 127)
    x0, y1 = geometry.forward(BAR[0], BAR[1], 1.0, 1000)
    x1, y0 = geometry.forward(BAR[2], BAR[3], 1.0, 1000)
    assert (columns.min(), columns.max() + 1) == pytest.approx((x0, x1), abs=0.75)
    assert (rows.min(), rows.max() + 1) == pytest.approx((y0, y1), abs=0.75)
    assert drawn.sum() / 255 == pytest.approx((x1 - x0) * (y1 - y0), rel=0.03)  # grey levels keep the area
    for point in ((0, 0), (123, -45), (1000, 880)):
        for advance in (1.0, 0.37):
            assert geometry.inverse(*geometry.forward(*point, advance, 1000), advance, 1000) == pytest.approx(point)


def test_geometry_is_that_of_the_formula():
    geometry = Geometry(100, 0.8, 0.1)
    assert geometry.origin(1.0) == pytest.approx((100 / 2 * (1 - 0.8), 100 / 2 * (1 + 0.8) - 0.1 * 100 * 0.8))
    assert geometry.origin(0.5) == pytest.approx(((100 - 80 * 0.5) / 2, 82))  # the advance box is in the middle


def test_one_geometry_for_every_glyph_of_a_font():
    face, geometry = Face("DejaVuSans"), Geometry(64)
    ink = {c: np.nonzero((face.draw(ord(c), geometry) < 128).any(axis=1))[0] for c in "Hxp.l_"}
    assert ink["H"].max() == ink["x"].max() == ink["."].max() == ink["l"].max()  # one baseline
    assert ink["p"].max() > ink["H"].max() and ink["x"].min() > ink["H"].min()  # nothing is fitted to the canvas
    assert len(ink["."]) < 8


def test_glyphs_are_grey_and_centred():
    face = Face("DejaVuSans")
    drawn = face.draw(ord("O"), Geometry(64))
    assert drawn.dtype == np.uint8 and drawn.shape == (64, 64) and drawn.max() == 255 and drawn.min() == 0
    assert len(np.unique(drawn)) > 8
    assert np.abs(drawn.astype(int) - drawn[:, ::-1]).mean() < 4


def test_ink_outside_the_canvas_is_noticed(tmp_path):
    face = Face(str(build(tmp_path / "x.ttf")))
    assert not face.leaves_canvas(ord("A"), Geometry(64, 0.8, 0.12))
    assert face.leaves_canvas(ord("A"), Geometry(64, 0.8, 0.4))
    assert face.leaves_canvas(ord("A"), Geometry(64, 1.0, 0.12))
    for scale in (0.8, 1.0, 1.2):  # agrees with what is drawn
        geometry = Geometry(64, scale, 0.12)
        drawn = face.draw(ord("A"), geometry)
        assert face.leaves_canvas(ord("A"), geometry) == bool((drawn[[0, -1]] < 128).any())


@pytest.mark.parametrize("name", ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10"))
def test_fonts_of_matplotlib(name):
    face = Face(name)
    found = face.real(charset("auto", [face]))
    assert set(map(ord, "AZaz09")) <= found and 0x20 not in found and 0xA0 not in face.real([0x20, 0xA0])
    for code in map(ord, "Aqz8"):
        assert (face.draw(code, Geometry(32)) < 128).mean() > 0.005


@pytest.mark.skipif(not DEBIAN.is_file(), reason="no Debian fonts here")
def test_fonts_of_the_system():
    assert len(Face(str(DEBIAN)).real(charset("greek"))) == len(charset("greek"))


def test_a_face_travels_to_a_worker():
    face = pickle.loads(pickle.dumps(Face("cmr10")))
    assert (face.draw(65, Geometry(32)) == Face("cmr10").draw(65, Geometry(32))).all()


def ink_width(face, geometry):
    columns = np.nonzero((face.draw(ord("A"), geometry) < 128).any(0))[0]
    return (columns[-1] + 1 - columns[0]) / geometry.em


def test_an_instance_of_a_variable_font(tmp_path, capfd):
    path, geometry = build_variable(tmp_path / "v.ttf"), Geometry(128)
    for name, width, advance in (("", 0.4, 0.6), ("@wght=650", 0.6, 0.8), ("@wght=900,wdth=80", 0.8, 1.0)):
        face = Face(f"{path}{name}")
        assert face.advance(ord("A")) == pytest.approx(advance, abs=0.001)
        assert ink_width(face, geometry) == pytest.approx(width, abs=0.02)
        assert face._drawn_at(1000).getlength("A") == pytest.approx(1000 * advance, abs=1)
        assert characters(face.real([65])) == "A"
    assert Face(f"{path}@extra-bold").location == {"wght": 900, "wdth": 100}
    assert pickle.loads(pickle.dumps(Face(f"{path}@wght=900"))).location["wght"] == 900
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and "is variable, and its default is drawn (wght=400,wdth=100)" in said[0]
    assert "wght 100 to 900" in said[0]


def test_a_face_and_an_instance_together(tmp_path):
    collection = TTCollection()
    collection.fonts = [TTFont(build(tmp_path / "a.ttf")), TTFont(build_variable(tmp_path / "v.ttf"))]
    collection.save(tmp_path / "odd@name#1.ttc")
    for name in ("#1@wght=900", "@wght=900#1"):
        assert Face(f"{tmp_path}/odd@name#1.ttc{name}").advance(ord("A")) == pytest.approx(1, abs=0.001)
    assert Face(f"{tmp_path}/odd@name#1.ttc").advance(ord("A")) == 1  # of the first, whose A is as wide as its em


@pytest.mark.parametrize(
    ("name", "message"),
    (
        ("v.ttf@wdht=80", r"v\.ttf@wdht=80: has no axis wdht; it has wght 100 to 900 .*, wdth 50 to 150 .*, and Extra"),
        ("v.ttf@wght=1000", "wght 1000 is out of range; it has wght 100 to 900"),
        ("v.ttf@Blod", "'Blod' is neither an instance nor axis=value; it has wght"),
        ("v.ttf@", "after the file come #2, a face of a collection, and @wght=700 or @Bold"),
        ("a.ttf@wght=700", "has no axes, since it is no variable font; leave out @wght=700"),
        ("nowhere.ttf@wght=700", "no such file"),
        ("a.ttf#2", "it is no collection and has one face; leave out #2"),
    ),
)
def test_instances_that_are_not_there(tmp_path, name, message):
    build(tmp_path / "a.ttf"), build_variable(tmp_path / "v.ttf")
    with pytest.raises(UserError, match=message):
        Face(str(tmp_path / name))


def test_packed_fonts_name_the_package_that_they_need(tmp_path, monkeypatch):
    """Told by the file: its name may end otherwise."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "brotli" else find(name))
    (tmp_path / "kai.ttf").write_bytes(b"wOF2" + bytes(60))
    with pytest.raises(UserError, match=r"kai\.ttf: needs brotli, of the extra woff2: uv pip install brotli"):
        Face(str(tmp_path / "kai.ttf"))
