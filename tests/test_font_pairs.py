"""A run on pairs through train.py and test.py: new characters from a font, and other packages of the same labels."""

import io
import json
import pickle
import string

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

import test as test_script
import train as train_script
from options import UserError
from tests.test_fonts import SMALL
from util.fonts.faces import Face, Geometry

SOURCE, STYLES = Face("DejaVuSans"), (Face("DejaVuSerif"), Face("DejaVuSansMono"))
LETTERS = string.ascii_letters
TINY = [*SMALL[: SMALL.index("--source_font")], *SMALL[SMALL.index("--crop_size") :], "--n_epochs", "1"]


def font2img(face, character):
    """As zi2zi writes glyphs: the origin in one place, which is not the middle."""
    canvas = Image.new("L", (128, 128), 255)
    font = ImageFont.truetype(str(face.path), 80, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(canvas).text((24, 12), character, 0, font=font)
    return np.array(canvas)


def package(path, characters, draw=font2img):
    with path.open("wb") as file:
        for label, style in enumerate(STYLES):
            for character in characters:
                pair = io.BytesIO()
                Image.fromarray(np.hstack([draw(style, character), draw(SOURCE, character)])).save(pair, "PNG")
                pickle.dump((label, pair.getvalue()), file)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    obj = package(folder / "train.obj", LETTERS[:40])
    words = [*TINY, "--pairs", str(obj), "--name", "pairs", "--checkpoints_dir", str(folder / "checkpoints")]
    assert train_script.main(words) == 0
    return folder


def run_test(trained, out, *words):
    where = ["--checkpoints_dir", str(trained / "checkpoints"), "--results_dir", str(out), "--gpu_ids", "-1"]
    argv = ["--model", "zi2zi", "--name", "pairs", *where, "--num_threads", "0", "--views", 1, *words]
    assert test_script.main(list(map(str, argv))) == 0
    return out / "pairs" / "test_latest"


@pytest.mark.slow
def test_new_characters_are_drawn_from_a_font(trained, tmp_path, capfd):
    page = run_test(trained, tmp_path, "--source_font", "DejaVuSans", "--text", "Xy9é")
    said = capfd.readouterr().err
    assert "an em of 0.625 of the canvas" in said and "ems from the left; new characters are drawn so (0.9" in said
    assert "characters recognised" in said
    line = np.array(Image.open(page / "text" / "images" / "00_source.png"))
    alone = [Image.fromarray(font2img(SOURCE, character)).resize((32, 32)) for character in "Xy9é"]
    assert (line < 128).sum() == pytest.approx(sum((np.array(a) < 128).sum() for a in alone), rel=0.12)
    out = tmp_path / "new.ttf"
    (tmp_path / "few.txt").write_text("WX9é")
    export = ("--export_charset", tmp_path / "few.txt", "--export_ttf")
    run_test(trained, tmp_path, "--styles", 0, *export, out)
    font = TTFont(out)
    assert set(map(ord, "WX9é")) <= set(font.getBestCmap())
    width = font["hmtx"][font.getBestCmap()[ord("W")]][0] / font["head"].unitsPerEm
    assert width == pytest.approx(SOURCE.advance(ord("W")), abs=0.002)


@pytest.mark.exhaustive
def test_new_characters_of_a_blend_and_for_a_font_that_lacks_them(trained, tmp_path):
    run_test(trained, tmp_path, "--interpolate", 0, 1, "--steps", 1, "--text", "Qz!")
    out, export = tmp_path / "new.ttf", ("--export_charset", tmp_path / "few.txt", "--export_ttf")
    for text, more in (("WX9é", (*export, out)), ("WYZ", ("--complete", out, *export, tmp_path / "more.ttf"))):
        (tmp_path / "few.txt").write_text(text)
        run_test(trained, tmp_path, "--styles", 0, *more)
    assert set(map(ord, "WX9éYZ")) <= set(TTFont(tmp_path / "more.ttf").getBestCmap())


@pytest.mark.slow
def test_a_font_of_another_look_is_not_taken_unless_it_is_named(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("data.fonts.new_characters.STRANGE", 1.1)
    with pytest.raises(UserError, match=r"--text X: U\+0058_X not in .*train\.obj; name the font that its sources"):
        run_test(trained, tmp_path, "--text", "X")


@pytest.mark.exhaustive
def test_a_font_of_another_look_is_taken_where_it_is_named(trained, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("data.fonts.new_characters.STRANGE", 1.1)
    run_test(trained, tmp_path, "--source_font", "DejaVuSerif-Italic", "--text", "X")
    said = capfd.readouterr().err
    assert "DejaVuSerif-Italic" in said and ("look otherwise" in said or "none of the pairs' sources" in said)


@pytest.mark.slow
def test_another_package_of_the_same_labels(trained, tmp_path, capfd):
    """Its styles are the run's, its characters those of training where they look alike, and else unseen."""
    val = package(tmp_path / "val.obj", LETTERS[36:])
    page = run_test(trained, tmp_path, "--pairs", val)
    said = capfd.readouterr().err
    assert f"val.obj: its labels are the styles of {trained / 'train.obj'}" in said
    scores = json.loads((page / "metrics.json").read_text())
    assert set(scores["IoU"]["styles"]) == {"train.obj label 0", "train.obj label 1"}
    split = json.loads((trained / "checkpoints/pairs/split.json").read_text())
    shown = {path.stem for path in (page / "train.obj label 0" / "images" / "fake_B").iterdir()}
    again = {int(word[2:], 16) - 0x110000 for word in split["test"]} & set(range(36, 40))
    assert shown == {f"glyph_{number:06d}" for number in {*range(40, 52), *again}}
    with pytest.raises(UserError, match=r"was not trained in style odd\.obj label 2"):
        three = tmp_path / "odd.obj"
        three.write_bytes(val.read_bytes() + pickle.dumps((2, pickle.loads(val.read_bytes())[1])))
        run_test(trained, tmp_path, "--pairs", three)


@pytest.mark.exhaustive
def test_labels_of_another_package_are_styles_of_their_own_in_a_run_that_begins_with_the_first(trained, tmp_path):
    other = package(tmp_path / "other.obj", LETTERS[:8])
    where = ["--checkpoints_dir", str(trained / "checkpoints"), "--pretrained_name", "pairs", "--name", "both"]
    words = [*TINY, *where, "--pairs", str(other), "--test_fraction", "0", "--batch_size", "4"]
    assert train_script.main(words) == 0
    rows = json.loads((trained / "checkpoints/both/styles.json").read_text())
    assert [(row["label"], row["name"]) for row in rows] == [
        *((label, f"train.obj label {label}") for label in (0, 1)),
        *((2 + label, f"other.obj label {label}") for label in (0, 1)),
    ]
    later = package(tmp_path / "later.obj", LETTERS[:4])
    argv = ["--model", "zi2zi", "--name", "both", *where[:2], "--results_dir", str(tmp_path), "--gpu_ids", "-1"]
    argv += ["--num_threads", "0", "--views", "1", "--pairs", str(later), "--phase", "all"]
    assert test_script.main(argv) == 0
    scores = json.loads((tmp_path / "both/all_latest/metrics.json").read_text())
    assert set(scores["IoU"]["styles"]) == {"other.obj label 0", "other.obj label 1"}  # those beside it


@pytest.mark.slow
def test_geometries_are_found(capsys):
    from util.fonts.geometry_of import find_geometry, known_characters

    class Pictures:
        characters = tuple(map(ord, LETTERS))

        def __init__(self, face, geometry):
            self.face, self.geometry = face, geometry

        def real(self, codes):
            return set(codes)

        def draw(self, code, geometry):
            return self.face.draw(code, Geometry(geometry.canvas, *self.geometry))

    for geometry in ((0.8, 0.12, None), (0.6, 0.25, 0.2)):
        pictures = Pictures(SOURCE, geometry)
        found = find_geometry(pictures, SOURCE, known_characters(pictures, SOURCE))
        assert (found.geometry.scale, found.geometry.shift) == pytest.approx(geometry[:2], abs=0.002)
        assert found.geometry.left == (geometry[2] and pytest.approx(geometry[2], abs=0.003)) and found.shared > 0.97
        assert found.count == 40
    other = find_geometry(Pictures(STYLES[0], (0.8, 0.12)), SOURCE, dict.fromkeys([]) | {c: c for c in map(ord, "ABC")})
    assert other.shared < 0.8
