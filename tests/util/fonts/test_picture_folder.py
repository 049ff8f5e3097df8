import json
import pickle
import unicodedata

import numpy as np
import pytest
from PIL import Image

from options import UserError
from tests.util.test_images import png16
from util.fonts.characters import SYNTHETIC, character_name
from util.fonts.faces import Face, Geometry
from util.fonts.file_names import code_of
from util.fonts.picture_folder import GlyphImages

BIG, SMALL = Geometry(128), Geometry(32)


def stroke(height=64, width=64, ink=0, paper=255):
    """A vertical bar in the middle third."""
    levels = np.full((height, width), paper, np.uint8)
    levels[height // 8 : -height // 8, width // 3 : 2 * width // 3] = ink
    return levels


def save(folder, name, levels, **options):
    folder.mkdir(exist_ok=True)
    Image.fromarray(levels).save(folder / name, **options)
    return folder


@pytest.mark.parametrize(
    "stem, character",
    [
        ("U+6C38", "永"),
        ("u+6c38_永", "永"),
        ("U+6C38_second try", "永"),
        ("0x6C38", "永"),
        ("永", "永"),
        ("27704", "永"),
        ("6c38", "永"),
        ("uni6C38", "永"),
        ("u6C38", "永"),
        ("u20BB7", "𠮷"),
        ("5341", chr(5341)),
        ("7", "7"),
        ("a", "a"),
        ("face", chr(0xFACE)),
        (unicodedata.normalize("NFD", "が"), "が"),
        ("U+304C_" + unicodedata.normalize("NFD", "が"), "が"),
        ("豈", "豈"),
        ("U+F900_" + chr(0xF900), chr(0xF900)),
    ],
)
def test_names_tell_characters(stem, character):
    assert code_of(stem) == ord(character)


@pytest.mark.parametrize("stem", ["", "scan", "永字", "U+6C38_水", "10", "0041", "U+D800", "U+110000", "d800", "abc"])
def test_other_names_tell_none(stem):
    assert code_of(stem) is None


def test_every_name_that_we_give_is_read_back():
    for code in (*range(0x21, 0x7F), 0xAD, 0x3042, 0x6C38, 0xF900, 0x20BB7, SYNTHETIC, SYNTHETIC + 12):
        assert code_of(character_name(code)) == code
    assert character_name(SYNTHETIC + 12) == "glyph_000012"


def test_drawings_of_a_face_come_back_exactly(tmp_path):
    face = Face("DejaVuSans")
    for code in map(ord, "AgQ"):
        save(tmp_path, f"{character_name(code)}.png", face.draw(code, BIG))
    glyphs = pickle.loads(pickle.dumps(GlyphImages(tmp_path)))
    assert glyphs.real(range(0x21, 0x7F)) == set(map(ord, "AgQ")) == set(glyphs.characters)
    for code in map(ord, "AgQ"):
        assert (glyphs.draw(code, BIG) == face.draw(code, BIG)).all()
        small = np.abs(glyphs.draw(code, SMALL).astype(int) - face.draw(code, SMALL))
        assert small.mean() < 3  # of 255: two filters, and hinting at two sizes
        assert not glyphs.leaves_canvas(code, BIG)


def test_an_em_square_lies_in_the_em_box(tmp_path):
    folder = save(tmp_path / "x", "A.png", np.zeros((80, 80), np.uint8))
    drawn = GlyphImages(folder, fit="em").draw(ord("A"), Geometry(100, 0.8))
    assert (drawn[10:90, 10:90] == 0).all()
    drawn[10:90, 10:90] = 255
    assert (drawn == 255).all()
    large = Geometry(100, 1.5)
    assert (GlyphImages(folder, fit="em").draw(ord("A"), large) == 0).all()
    assert GlyphImages(folder, fit="em").leaves_canvas(ord("A"), large)
    assert not GlyphImages(folder).leaves_canvas(ord("A"), large)
    with pytest.raises(UserError, match="fit 'box' is neither"):
        GlyphImages(folder, fit="box")


@pytest.mark.parametrize("size, box", [((20, 40), (10, 0, 30, 40)), ((40, 20), (0, 10, 40, 30))])
def test_pictures_that_are_not_square_are_padded_not_stretched(tmp_path, size, box):
    save(tmp_path, "A.png", np.zeros(size[::-1], np.uint8))
    drawn = GlyphImages(tmp_path).draw(ord("A"), Geometry(40))
    x0, y0, x1, y1 = box
    expected = np.full((40, 40), 255)
    expected[y0:y1, x0:x1] = 0
    assert (drawn == expected).all()


def test_grey_deep_and_transparent_pictures(tmp_path):
    save(tmp_path, "A.png", stroke(ink=100))
    png16(tmp_path / "B.png", (stroke(ink=100).astype(np.uint16) * 257)[..., None])
    clear = np.dstack([*[np.zeros((64, 64), np.uint8)] * 3, 255 - stroke(ink=100)])  # black ink, 155 of 255 opaque
    save(tmp_path, "C.png", clear)
    save(tmp_path, "D.jpg", stroke(ink=100), quality=95)
    glyphs = GlyphImages(tmp_path)
    assert glyphs.real(map(ord, "ABCD")) == set(map(ord, "ABCD"))
    for character, tolerance in zip("ABCD", (0, 0, 1, 12), strict=True):
        drawn = glyphs.draw(ord(character), Geometry(64))
        assert drawn.dtype == np.uint8
        assert np.abs(drawn.astype(int) - stroke(ink=100)).max() <= tolerance, character


def test_pictures_that_are_no_glyphs_are_counted(tmp_path, capsys):
    save(tmp_path, "A.png", stroke())
    save(tmp_path, "B.png", stroke(ink=250))
    (tmp_path / "C.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save(tmp_path, "D.png", stroke(ink=255, paper=0))
    save(tmp_path, "contact sheet.png", stroke())
    glyphs = GlyphImages(tmp_path)
    assert "1 pictures are left out, since their names tell no character, such as contact sheet.png" in (
        capsys.readouterr().err
    )
    assert glyphs.real(map(ord, "ABCDE")) == {ord("A"), ord("D")}
    said = capsys.readouterr().err
    assert "1 of 4 pictures are blank and left out: U+0042_B" in said
    assert "1 of 4 pictures cannot be read" in said and "C.png" in said
    assert "1 of 4 pictures are mostly dark; dark glyphs on white are expected: U+0044_D" in said
    glyphs.real(map(ord, "ABCDE"))
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"has no picture of U\+0045_E"):
        glyphs.draw(ord("E"), BIG)


def test_the_sign_for_a_missing_glyph_is_left_out(tmp_path, capsys):
    for character in "ABCDE":
        save(tmp_path, f"{character}.png", stroke())
    save(tmp_path, "F.png", stroke(ink=50))
    glyphs = GlyphImages(tmp_path)
    assert glyphs.real(map(ord, "ABCDEF")) == {ord("F")}
    assert "5 of 6 pictures show one and the same picture" in capsys.readouterr().err
    assert glyphs.real(map(ord, "ABCF")) == set(map(ord, "ABCF"))  # l, I and | may well be one shape


def test_ambiguous_folders_are_refused(tmp_path):
    save(tmp_path / "twice", "永.png", stroke())
    save(tmp_path / "twice", "U+6C38.png", stroke())
    with pytest.raises(UserError, match=r"U\+6C38\.png and 永\.png are both U\+6C38_永; remove one"):
        GlyphImages(tmp_path / "twice")
    save(tmp_path / "mixed", "4e00.png", stroke())
    save(tmp_path / "mixed", "5341.png", stroke())
    with pytest.raises(UserError, match=r"4e00\.png is hexadecimal and 5341\.png would be decimal"):
        GlyphImages(tmp_path / "mixed")


def test_folders_without_glyphs_are_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        GlyphImages(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no pictures in it"):
        GlyphImages(tmp_path)
    save(tmp_path, "scan.png", stroke())
    with pytest.raises(UserError, match="none of its 1 pictures is named by a character"):
        GlyphImages(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        GlyphImages(tmp_path / "scan.png")


def test_advances(tmp_path, capsys):
    save(tmp_path, "A.png", stroke())
    save(tmp_path, "B.png", stroke())
    (tmp_path / "advances.json").write_text(json.dumps({"U+0041": 0.62}))
    glyphs = GlyphImages(tmp_path)
    assert (glyphs.advance(ord("A")), glyphs.advance(ord("B"))) == (0.62, 1.0)
    assert "not read" not in capsys.readouterr().err
    (tmp_path / "notes.doc").touch()
    GlyphImages(tmp_path)
    assert f"1 file of {tmp_path} is not read: notes.doc; read are" in capsys.readouterr().err
    for text in ("[1]", "{", '{"U+0041": "x"}', '{"U+0041": -1}', '{"U+0041": NaN}', '{"scan": 1}', '{"A": null}'):
        (tmp_path / "advances.json").write_text(text)
        with pytest.raises(UserError, match=r"advances\.json: .*U\+0041"):
            GlyphImages(tmp_path)
