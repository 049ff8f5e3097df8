import re
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from options import UserError
from util.fonts.charsets import CHARSETS
from util.fonts.faces import Face, Geometry
from util.fonts.picture_folder import GlyphImages
from util.handwriting import Header, Layout, draw_pages, read_page, register
from util.handwriting.__main__ import main
from util.handwriting.layout import label_bits, read_label

from .handwriting_simulation import BLACK_PEN, BLUE_PEN, PENCIL, overlap, photograph, write

HAND = Face("DejaVuSerif")
CODES = sorted(ord(character) for character in CHARSETS["ascii"]())[:60]
WRITTEN = CODES[:50]  # the last ten cells stay empty
GEOMETRY = Geometry(128)
FLATBED = dict(degrees=2, scale=0.95, noise=4, quality=85)
TELEPHONE = dict(degrees=-3, perspective=0.06, table=60, shade=0.4, noise=5, quality=75)


def red(picture):
    return np.asarray(picture.convert("RGB"))[..., 0].astype(np.float32)


def page_of(codes=CODES, layout=None, dpi=150):
    return next(draw_pages(codes, layout or Layout(), {}, dpi))


@pytest.fixture(scope="module")
def blank():
    return page_of()


def read(picture, geometry=GEOMETRY):
    page = register(red(picture), "scan")
    return page, read_page(page, geometry)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pen, grey, conditions, least",
    [
        (BLACK_PEN, False, {}, 0.9),
        (BLACK_PEN, False, FLATBED, 0.9),
        (BLUE_PEN, False, TELEPHONE, 0.87),
        (PENCIL, True, FLATBED, 0.88),
        (BLACK_PEN, True, TELEPHONE | {"degrees": 178}, 0.87),
        (BLACK_PEN, False, FLATBED | {"degrees": -91}, 0.9),
    ],
)
def test_what_is_written_comes_back(blank, pen, grey, conditions, least):
    """At 150 dpi thin strokes are 3 pixels wide, and a quarter of a pixel at each edge is a tenth of its ink."""
    picture = photograph(write(blank.copy(), WRITTEN, HAND, pen=pen), **conditions)
    page, written = read(picture.convert("L") if grey else picture)
    assert (page.header.page, page.header.pages, page.header.layout) == (1, 1, Layout())
    assert page.codes == CODES + [0] * (100 - len(CODES))
    assert set(written.canvases) == set(WRITTEN) and written.empty == CODES[50:]
    assert not written.cut_off and not written.unreadable
    true = {code: HAND.draw(code, GEOMETRY) for code in WRITTEN}
    assert np.mean([overlap(written.canvases[code], true[code]) for code in WRITTEN]) > least
    assert min(overlap(written.canvases[code], true[code]) for code in WRITTEN) > 0.7
    ink = [(255.0 - written.canvases[code]).sum() / (255.0 - true[code]).sum() for code in WRITTEN]
    assert 0.9 < np.mean(ink) < 1.1
    corners = np.array([canvas[[0, 0, -1, -1], [0, -1, 0, -1]] for canvas in written.canvases.values()])
    assert (corners == 255).all()  # neither guides nor shading


@pytest.mark.slow
def test_other_layouts_and_geometries(blank):
    """The reader follows the page: its columns, em box and baseline are brought to the geometry asked for."""
    layout = Layout(6, 0.7, 0.2)
    page, _ = read(photograph(write(page_of(CODES[:12], layout), CODES[:12], HAND, layout), **FLATBED))
    assert page.header.layout == layout
    for geometry in (GEOMETRY, Geometry(96, 0.7, 0.2), Geometry(96, 0.6, 0.05)):
        canvases = read_page(page, geometry).canvases
        true = {code: HAND.draw(code, geometry) for code in CODES[:12]}
        assert np.mean([overlap(canvases[code], true[code]) for code in CODES[:12]]) > 0.88


def test_specks_are_no_characters_and_dots_are(blank):
    page = blank.copy()
    pen, scale, layout = ImageDraw.Draw(page), page.width / 210, Layout()
    for index, pixels in ((0, 1), (1, 3)):  # 0.17 and 0.5 mm wide
        x, y = (round((corner + layout.cell / 2) * scale) for corner in layout.canvas(index))
        pen.rectangle((x, y, x + pixels - 1, y + pixels - 1), fill=BLACK_PEN)
    _, written = read(page)
    assert set(written.canvases) == {CODES[1]}


def test_strokes_beyond_a_cell_are_cut_off_and_reported(blank):
    page = blank.copy()
    pen, scale, layout = ImageDraw.Draw(page), page.width / 210, Layout()
    (x, y), cell = layout.canvas(11), layout.cell
    line = [(x + 2, y + 8), (x + cell + 6, y + 8)]  # from the second cell of a row into the third
    pen.line([(a * scale, b * scale) for a, b in line], fill=BLACK_PEN, width=4)
    _, written = read(page)
    assert written.cut_off == [CODES[11]] and set(written.canvases) == {CODES[11]}


@pytest.mark.slow
def test_a_damaged_label_costs_one_cell(blank):
    page = write(blank.copy(), WRITTEN, HAND)
    scale = page.width / 210
    x, y = Layout().label_modules(3)[0] * scale
    was = page.getpixel((round(x), round(y)))
    ImageDraw.Draw(page).rectangle((x - 2, y - 2, x + 2, y + 2), fill="white" if was[0] < 128 else "black")
    read_back, written = read(page)
    assert read_back.codes[3] is None and written.unreadable == 1
    assert set(written.canvases) == set(WRITTEN) - {CODES[3]}


@pytest.mark.parametrize("code", (1, 0x41, 0x6C38, 0x20BB7, 0x10FFFF))
def test_codes_on_paper_notice_every_single_error(code):
    header = Header(7, 300, Layout(9, 0.85, 0.1))
    assert read_label(label_bits(code)) == code and Header.read(header.bits()) == header
    for bits, back in ((label_bits(code), read_label), (header.bits(), Header.read)):
        for i in range(len(bits)):
            assert back([bit != (i == j) for j, bit in enumerate(bits)]) is None
    assert read_label([False] * 28) == 0 and read_label([True] * 28) is None


def test_cells_fit_on_the_page():
    for columns in range(4, 15):
        layout = Layout(columns)
        boxes = [(*layout.canvas(i), layout.cell) for i in range(layout.columns * layout.rows)]
        assert min(x for x, _, _ in boxes) >= 12 and max(x + side for x, _, side in boxes) <= 198
        assert min(y for _, y, _ in boxes) >= 30 and max(y + side for _, y, side in boxes) <= 272
        rows = sorted({y for _, y, _ in boxes})
        assert all(below - above >= layout.cell + 6 for above, below in pairwise(rows))


@pytest.mark.parametrize("what", ("nothing", "noise", "half", "mirrored", "coarse"))
def test_what_is_no_page_is_refused_in_one_line(blank, what):
    picture = {
        "nothing": lambda: Image.new("L", (400, 300), 255),
        "noise": lambda: Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 400), dtype=np.uint8)),
        "half": lambda: blank.crop((0, 0, blank.width, blank.height // 2)),
        "mirrored": lambda: ImageOps.mirror(blank),
        "coarse": lambda: blank.resize((blank.width // 2, blank.height // 2), Image.Resampling.BOX),
    }[what]()
    reason = {"coarse": "the page has 75 dpi; at least 102", "mirrored": "cannot read the code at its top"}
    with pytest.raises(UserError, match=f"scan: .*{reason.get(what, 'of the 4 marks in its corners')}"):
        register(red(picture), "scan")


def run(*argv):
    return main([str(word) for word in argv])


@pytest.mark.slow
def test_the_commands(tmp_path, capsys):
    """print, write on the pages, read: glyphs of a hand."""
    (tmp_path / "chars.txt").write_text("永gAQ\n", encoding="utf-8")
    pages, out = tmp_path / "pages", tmp_path / "glyphs"
    to_print = ("print", "--charset", tmp_path / "chars.txt", "--dpi", 150, "--output")
    assert run(*to_print, pages) == 0
    said = capsys.readouterr()
    assert "4 characters on 1 page, 100 to a page" in said.out
    assert "lacks 1 of 4 characters, which get no sample: U+6C38_永" in said.err
    assert run(*to_print, tmp_path / "t.pdf") == 0
    assert (tmp_path / "t.pdf").read_bytes().startswith(b"%PDF") and not list(tmp_path.glob("*.tmp"))
    for output in (pages, tmp_path / "t.pdf"):
        assert run(*to_print, output) == 2 and "--overwrite replaces them" in capsys.readouterr().err
        assert run(*to_print, output, "--overwrite") == 0

    codes = sorted(map(ord, "AQg"))
    page = write(Image.open(pages / "page_001.png").convert("RGB"), codes, HAND)
    photograph(page, **FLATBED).save(tmp_path / "scan.jpg", quality=90)
    capsys.readouterr()
    assert run("read", tmp_path / "scan.jpg", "--output", out, "--size", 64) == 0
    assert "3 characters, 1 empty: U+6C38_永" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["U+0041_A.png", "U+0051_Q.png", "U+0067_g.png"]
    glyphs = GlyphImages(out)
    assert glyphs.real(codes) == set(codes)
    for code in codes:
        assert overlap(glyphs.draw(code, Geometry(64)), HAND.draw(code, Geometry(64))) > 0.8

    before = (out / "U+0041_A.png").read_bytes()
    assert run("read", tmp_path / "scan.jpg", "--output", out) == 2
    assert "3 of 3 files exist" in capsys.readouterr().err and (out / "U+0041_A.png").read_bytes() == before
    assert run("read", tmp_path / "scan.jpg", "--output", out, "--overwrite") == 0
    assert Image.open(out / "U+0041_A.png").size == (256, 256)
    assert run("read", tmp_path / "scan.jpg", tmp_path / "scan.jpg", "--output", tmp_path / "x") == 2
    assert "U+0041_A is also in" in capsys.readouterr().err and not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_character_is_written_several_times(tmp_path, capsys):
    """Cells that are repeated, also on the next page, are read as writings; a page that is read twice is not."""
    (tmp_path / "chars.txt").write_text("A7.", encoding="utf-8")
    printing = ("print", "--charset", tmp_path / "chars.txt", "--output", tmp_path, "--columns", 4, "--dpi", 110)
    assert run(*printing, "--repeat", 6) == 0
    assert "3 characters, 6 times each, on 2 pages, 16 to a page" in capsys.readouterr().out
    for number in (1, 2):  # . . . . . . 7 7 7 7 7 7 A A A A | A A
        page = Image.open(tmp_path / f"page_{number:03d}.png").convert("RGB")
        codes = [*map(ord, "......777777AAAA"[:16] if number == 1 else "AA")]
        write(page, codes, HAND, Layout(4)).save(tmp_path / f"scan{number}.png")
    scans = (tmp_path / "scan2.png", tmp_path / "scan1.png")
    assert run("read", *scans, "--output", tmp_path / "out", "--size", 64) == 0
    assert "out: 3 characters, 15 of them written again" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"U+0041_A.png", "U+0041_A_6.png", "U+0037_7.png", "U+0037_7_2.png", "U+002E.png", "U+002E_6.png"} <= names
    glyphs = GlyphImages(tmp_path / "out")
    assert {chr(code): len(glyphs.writings(code)) for code in glyphs.characters} == {".": 6, "7": 6, "A": 6}
    assert run("read", *scans, scans[0], "--output", tmp_path / "x") == 2
    assert "U+0041_A is also in" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_pages_that_were_not_read_are_named(tmp_path, capsys):
    (tmp_path / "chars.txt").write_text("".join(map(chr, range(0x3400, 0x3400 + 33))), encoding="utf-8")
    assert run("print", "--charset", tmp_path / "chars.txt", "--output", tmp_path, "--columns", 4, "--dpi", 110) == 0
    page = Image.open(tmp_path / "page_002.png").convert("RGB")
    write(page, [0x41], HAND, Layout(4)).save(tmp_path / "scan.png")
    capsys.readouterr()
    assert run("read", tmp_path / "scan.png", "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "page 2 of 3" in said and "of a template of 3 pages, 2 were not read: 1, 3" in said


@pytest.mark.slow
@pytest.mark.parametrize("ending", ("tif", pytest.param("pdf", marks=pytest.mark.extra)))
def test_all_pages_of_a_file_are_read(tmp_path, capsys, ending):
    (tmp_path / "chars.txt").write_text("".join(map(chr, range(0x3400, 0x3400 + 17))), encoding="utf-8")
    assert run("print", "--charset", tmp_path / "chars.txt", "--output", tmp_path, "--columns", 4, "--dpi", 110) == 0
    pages = [Image.open(tmp_path / f"page_00{n}.png").convert("RGB") for n in (2, 1)]
    pages = [write(page, [0x41], HAND, Layout(4)) for page in pages]
    scan, out = tmp_path / f"scan.{ending}", tmp_path / "out"
    pages[0].save(scan, save_all=True, append_images=pages[1:], **({"resolution": 110} if ending == "pdf" else {}))
    capsys.readouterr()
    assert run("read", scan, "--output", out, "--size", 64) == 0
    said = capsys.readouterr().out
    assert "page 2 of 2" in said and "page 1 of 2" in said and "were not read" not in said
    assert len([*out.iterdir()]) == 2
    scan.write_bytes(scan.read_bytes()[:300])
    assert run("read", scan, "--output", tmp_path / "none") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"scan.{ending}" in line and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "argv, what",
    [
        (("print", "--charset", "kana", "--output", "x", "--columns", "40"), "--columns 40: must be 4 to 14"),
        (("print", "--charset", "kanaa", "--output", "x"), "--charset kanaa: .*did you mean kana"),
        (("print", "--charset", "kana", "--output", "x", "--repeat", "0"), "--repeat 0: must be 1 to 20"),
        (("print", "--charset", "kana", "--output", "x", "--dpi", "10"), "--dpi 10: must be"),
        (
            ("print", "--charset", "kana", "--output", "x", "--dpi", "101"),
            "--dpi 101: must be 102, below which no page",
        ),
        (("print", "--charset", "kana", "--output", "x", "--font", "nofont"), "font nofont: neither a file nor"),
        (("print", "--charset", "kana", "--output", "x", "--glyph_scale", "0.8123"), "--glyph_scale 0.8123: must be"),
        (("read", "nowhere.png", "--output", "x"), "nowhere.png: no such file"),
        (("read", "nowhere.png", "--output", "x", "--size", "1"), "--size 1: must be"),
        (("read", "nowhere.png", "--output", "x", "--glyph_shift", "-1"), "--glyph_shift -1.0: must be"),
    ],
)
def test_wrong_words_are_told_in_one_line(tmp_path, monkeypatch, capsys, argv, what):
    monkeypatch.chdir(tmp_path)
    assert run(*argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(what, line) and not list(tmp_path.iterdir())


def test_nothing_written_is_an_error(tmp_path, blank, capsys):
    blank.save(tmp_path / "scan.png")
    assert run("read", tmp_path / "scan.png", "--output", tmp_path / "out") == 2
    assert "nothing is written on these pages" in capsys.readouterr().err and not (tmp_path / "out").exists()
