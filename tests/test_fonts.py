"""From font files to a font file: zi2zi through train.py and test.py, on fonts that matplotlib ships."""

import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image, ImageFont

import test as test_script
import train as train_script
from options import UserError
from util.fonts.characters import character_name
from util.fonts.faces import Face, Geometry
from util.fonts.kerning import kerning_of

SMALL = (
    *("--model", "zi2zi", "--source_font", "DejaVuSans", "--target_font", "DejaVuSerif", "DejaVuSansMono"),
    *("--charset", "ascii", "--crop_size", "32", "--ngf", "8", "--widest", "16", "--ndf", "4", "--embedding_dim", "8"),
    *("--embedding_num", "4", "--batch_size", "16", "--ema_decay", "0.9", "--n_epochs", "10"),
    *("--gpu_ids", "-1", "--num_threads", "0", "--no_html"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run called ``fonts``, of ten epochs: its glyphs are blots, but they are glyphs."""
    folder = tmp_path_factory.mktemp("fonts")
    assert train_script.main([*SMALL, "--name", "fonts", "--checkpoints_dir", str(folder / "checkpoints")]) == 0
    return folder


def run_test(trained, out, *words):
    where = ["--checkpoints_dir", str(trained / "checkpoints"), "--results_dir", str(out), "--gpu_ids", "-1"]
    assert (
        test_script.main(["--model", "zi2zi", "--name", "fonts", *where, "--num_threads", "0", *map(str, words)]) == 0
    )
    return Path(out, "fonts", "test_latest")


@pytest.mark.slow
def test_a_page_for_each_style_with_scores_beside_their_floors(trained, tmp_path, capsys):
    page = run_test(trained, tmp_path)
    told = capsys.readouterr().out
    for floor in ("a white page", "the source, copied", "the truth, one pixel off"):
        assert floor in told
    scores = json.loads((page / "metrics.json").read_text())
    assert scores["IoU"]["floors"]["a white page"]["value"] == 0
    assert scores["L1 / ink"]["floors"]["a white page"]["value"] == pytest.approx(1)
    assert set(scores["IoU"]["styles"]) == {"DejaVuSerif", "DejaVuSansMono"}
    assert scores["IoU"]["value"] == pytest.approx(np.mean(list(scores["IoU"]["styles"].values())))
    split = json.loads((trained / "checkpoints/fonts/split.json").read_text())
    for style in scores["IoU"]["styles"]:
        files = {p.name for p in (page / style / "images" / "fake_B").iterdir()}
        assert files == {f"{character_name(int(code[2:], 16))}.png" for code in split["test"]}
        picture = np.array(Image.open(next((page / style / "images" / "difference").iterdir())))
        assert picture.shape == (32, 32, 3)


@pytest.mark.slow
def test_text_in_every_style(trained, tmp_path):
    page = run_test(trained, tmp_path, "--text", "Ab c") / "text"
    lines = sorted((page / "images").iterdir())
    assert [line.name for line in lines] == ["00_source.png", "01_DejaVuSerif.png", "02_DejaVuSansMono.png"]
    source = np.array(Image.open(lines[0]))
    geometry = Geometry(32)
    alone = Face("DejaVuSans").draw(ord("A"), geometry)
    ink = np.nonzero((source < 128).any(0))[0]
    assert source.shape[0] == 32 and ink[0] == pytest.approx(np.nonzero((alone < 128).any(0))[0][0] - 8, abs=8)
    assert (source < 128).sum() == pytest.approx(
        sum((Face("DejaVuSans").draw(ord(c), geometry) < 128).sum() for c in "Abc"), rel=0.05
    )
    with pytest.raises(UserError, match=r"--text A字: U\+5B57_字 not in --source_font DejaVuSans"):
        run_test(trained, tmp_path, "--text", "A字")


@pytest.mark.slow
def test_styles_blend(trained, tmp_path):
    page = run_test(trained, tmp_path, "--interpolate", "DejaVuSerif", "1", "--steps", 2, "--text", "ABC") / "blend"
    lines = [np.array(Image.open(p)).astype(int) for p in sorted((page / "images").iterdir())]
    assert len(lines) == 3 and Image.open(page / "blend.gif").n_frames == 3
    apart = [np.abs(a - b).mean() for a, b in ((lines[0], lines[1]), (lines[1], lines[2]), (lines[0], lines[2]))]
    assert 0 < apart[0] < apart[2] and 0 < apart[1] < apart[2]
    with pytest.raises(UserError, match="--interpolate 1: give two styles or more"):
        run_test(trained, tmp_path, "--interpolate", "1")
    with pytest.raises(UserError, match="--styles 0: --interpolate 0,1 names them; leave it out"):
        run_test(trained, tmp_path, "--interpolate", "0", "1", "--styles", 0)
    for flag, value in (("steps", 3), ("simplify", 4)):
        with pytest.raises(UserError, match=f"--{flag} {value}: "):
            run_test(trained, tmp_path, f"--{flag}", value, "--text", "A")


@pytest.mark.slow
def test_a_font_file(trained, tmp_path, capsys):
    path = tmp_path / "new.ttf"
    words = ("--styles", "DejaVuSerif", "--export_ttf", path, "--family", "Blots")
    says = ("--style_name", "Light", "--weight", 320, "--license", "OFL-1.1", "--copyright", "Me 2026")
    page = run_test(trained, tmp_path, *words, *says)
    told = capsys.readouterr().out
    assert re.search(r"glyphs of \d+ points \(mean\); drawn .* of their ink with the network's \(IoU, mean\)", told)
    font, target = TTFont(path), Face("DejaVuSerif")
    name = font["name"].getDebugName
    assert font["name"].getBestFamilyName() == "Blots" and len(font.getBestCmap()) >= 90
    assert (name(1), name(16), name(17), name(0), name(13)) == ("Blots Light", "Blots", "Light", "Me 2026", "OFL-1.1")
    assert font["OS/2"].usWeightClass == 320
    train, test = (
        [int(code[2:], 16) for code in json.loads((trained / "checkpoints/fonts/split.json").read_text())[half]]
        for half in ("train", "test")
    )
    learnt = rf"widths: learnt from (\d+) of {len(train)} characters of DejaVuSerif; {len(test)} unseen ones are 0\."
    assert int(re.search(learnt, told)[1]) > len(train) - 5  # a dot may be drawn white
    widths = {code: font["hmtx"].metrics[glyph][0] / 1000 for code, glyph in font.getBestCmap().items()}
    seen = [code for code in [*train, 0x20] if code in widths]
    assert len(seen) > 80 and all(widths[c] == pytest.approx(target.advance(c), abs=0.001) for c in seen)
    assert kerning_of(Face(str(path)), map(ord, "AV"))[65, 86] == pytest.approx(
        kerning_of(target, map(ord, "AV"))[65, 86], abs=0.001
    )
    assert ImageFont.truetype(str(path), 40).getbbox("A")[3] > 0
    assert Image.open(page / "specimen.png").size[0] == 1200
    with pytest.raises(UserError, match=r"new\.ttf"):  # it is there
        run_test(trained, tmp_path, *words)
    with pytest.raises(UserError, match="a font has one style, these are 2; pick one of DejaVuSerif, DejaVuSansMono"):
        run_test(trained, tmp_path, "--export_ttf", tmp_path / "two.ttf")
    with pytest.raises(UserError, match="--weight 700: is said of a font file; give --export_ttf too"):
        run_test(trained, tmp_path, "--weight", 700)


@pytest.mark.slow
def test_a_font_of_a_blend_in_a_format_for_editors(trained, tmp_path, capsys):
    path, few = tmp_path / "between.ufo", tmp_path / "few.txt"
    few.write_text("ABg")
    words = ("--interpolate", "DejaVuSerif", "1", "--at", 0.25, "--steps", 1, "--export_charset", few)
    page = run_test(trained, tmp_path, *words, "--export_ttf", path)
    told = capsys.readouterr().out
    assert "75% DejaVuSerif, 25% DejaVuSansMono (--at 0.25)" in told and "of their ink with the network's" in told
    assert (path / "glyphs/contents.plist").is_file() and (page / "blend/index.html").is_file()
    assert len(Face(str(page / "preview.ttf")).real(map(ord, "ABg"))) == 3
    for wrong in (("--interpolate", "0", "1", "--at", 0.3), ("--styles", 0, "--at", 0.3, "--text", "A")):
        with pytest.raises(UserError, match=r"--at 0\.3: "):
            run_test(trained, tmp_path, *wrong)
    with pytest.raises(UserError, match="a font lies between two styles, these are 3"):
        run_test(trained, tmp_path, "--interpolate", "0", "1", "0", "--export_ttf", tmp_path / "x.ttf", "--steps", 1)


@pytest.mark.slow
def test_a_font_is_completed(trained, tmp_path, capsys):
    base = tmp_path / "mine.ttf"
    whole = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSerif.ttf")
    subset.main([str(whole), "--unicodes=U+41-5A,U+61-7A", f"--output-file={base}", "--layout-features=*"])
    before, bytes_before = TTFont(base), base.read_bytes()
    here = Face(str(base)).real(range(0x21, 0x7F))
    assert len(here) == 52
    out = tmp_path / "more.ttf"
    run_test(trained, tmp_path, "--styles", 0, "--complete", base, "--export_ttf", out)
    assert f"{len(here)} characters are there and stay, {94 - len(here)} are missing" in capsys.readouterr().out
    after = TTFont(out)
    assert Face(str(out)).real(range(0x21, 0x7F)) > here and base.read_bytes() == bytes_before
    for code in here:
        name = before.getBestCmap()[code]
        assert after["glyf"][after.getBestCmap()[code]] == before["glyf"][name]
        assert after["hmtx"][after.getBestCmap()[code]] == before["hmtx"][name]


@pytest.mark.slow
def test_a_style_from_pictures_of_a_few_characters(trained, tmp_path, capsys):
    hand, geometry = tmp_path / "hand", Geometry(64)
    hand.mkdir()
    for character in "ABCDEFGHabcdefgh":
        levels = Face("STIXGeneralItalic").draw(ord(character), geometry)
        Image.fromarray(levels).save(hand / f"{character_name(ord(character))}.png")
    where = ["--checkpoints_dir", str(trained / "checkpoints")]
    words = ["--target_font", str(hand), "--pretrained_name", "fonts", "--test_fraction", "0", "--freeze_encoder"]
    assert train_script.main([*SMALL, *where, *words, "--name", "few"]) == 0
    rows = json.loads((trained / "checkpoints/few/styles.json").read_text())
    assert [(row["label"], row["name"]) for row in rows] == [(0, "DejaVuSerif"), (1, "DejaVuSansMono"), (2, "hand")]
    out = ["--results_dir", str(tmp_path), "--gpu_ids", "-1", "--num_threads", "0", "--phase", "train"]
    font = tmp_path / "hand.ttf"
    more = ["--export_ttf", str(font), "--export_charset", "letters", "--keep", "auto", "--views", "1"]
    assert test_script.main(["--model", "zi2zi", "--name", "few", *where, *out, *more]) == 0
    assert "16 characters are traced from their pictures, 36 are drawn" in capsys.readouterr().out
    assert len(Face(str(font)).real(range(0x41, 0x5B))) > 20  # letters that were never written


@pytest.mark.slow
def test_the_hand_stays_in_the_font(trained, tmp_path, capsys):
    hand, out = tmp_path / "hand", tmp_path / "x.ttf"
    hand.mkdir()
    for name, face in (("A", "DejaVuSerif-Italic"), ("A-2", "STIXGeneralItalic"), ("永", "DejaVuSans-Bold")):
        drawn = Face(face).draw(ord("A"), Geometry(200))
        Image.fromarray(drawn).save(hand / f"{name}.png")
    words = ("--styles", 0, "--export_ttf", out, "--export_charset", "letters")
    run_test(trained, tmp_path, *words, "--keep", hand)
    told = capsys.readouterr().out
    assert "2 characters and 1 further writings are traced from their pictures, 51 are drawn" in told
    kept = float(told.split("; ")[-1].split(" of their ink with the pictures that are kept")[0])
    assert kept > 0.98 and "of their ink with the network's (IoU, mean)" in told
    face = Face(str(out))
    assert len(face.real(face.cmap)) == 53 and "uni0041.alt1" not in face.cmap.values()
    assert face.advance(ord("A")) == pytest.approx(Face("DejaVuSerif").advance(ord("A")), abs=0.1)  # told, or learnt
    assert [r.FeatureTag for r in face.font["GSUB"].table.FeatureList.FeatureRecord] == ["aalt", "calt", "salt", "ss01"]
    with pytest.raises(UserError, match="--keep auto: style DejaVuSerif was not learnt from a folder of pictures"):
        run_test(trained, tmp_path, "--styles", 0, "--export_ttf", tmp_path / "y.ttf", "--keep", "auto")
    with pytest.raises(UserError, match="--keep nowhere: is for a font file; give --export_ttf or --complete"):
        run_test(trained, tmp_path, "--keep", "nowhere")
    with pytest.raises(UserError, match="--export_charset ascii: is for a font file"):
        run_test(trained, tmp_path, "--export_charset", "ascii", "--text", "A")
    with pytest.raises(UserError, match="--keep auto: a blend of styles is nobody's hand"):
        run_test(
            trained, tmp_path, "--interpolate", 0, 1, "--steps", 1, "--export_ttf", tmp_path / "y.ttf", "--keep", "auto"
        )
    with pytest.raises(UserError, match=r"--complete \S+x\.ttf: lacks nothing of --export_charset"):
        run_test(trained, tmp_path, *words[:2], "--complete", out, *words[4:], "--export_ttf", tmp_path / "y.ttf")
