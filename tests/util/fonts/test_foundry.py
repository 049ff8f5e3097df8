"""What a foundry and a browser check of a font file: exported, completed, in each format."""

import json
import subprocess
import sys

import pytest
from fontTools.ttLib import TTFont

from tests.util.fonts.test_completion import IMAGES, make_base
from util.fonts.charsets import CHARSETS
from util.fonts.completion import complete_font
from util.fonts.export import build_font
from util.fonts.faces import Face, Geometry

GEOMETRY, SERIF = Geometry(64), Face("DejaVuSerif")
LATIN = sorted({ord(c) for c in CHARSETS["ascii"]()})
NETWORK = ["fontdata_namecheck"]  # asks a server
OF_GLYF = ["opentype/monospace"]  # of a font of one width it looks into the table glyf, which .otf lacks, and crashes


def export(path, codes, wide=False):
    """A Latin font or, of the same shapes, one of full-width characters."""
    shapes = {code: SERIF.draw(code, GEOMETRY) for code in codes}
    if wide:
        shapes = {0x4E00 + number: image for number, image in enumerate(shapes.values())}
    advances = {} if wide else {code: SERIF.advance(code) for code in codes}
    build_font(path, shapes, GEOMETRY, "Foundry Test", advances=advances)
    return path


@pytest.mark.extra
def test_browsers_take_what_is_exported_and_completed(tmp_path):
    import ots

    codes = LATIN[32:40]
    fonts = [export(tmp_path / f"latin{ending}", codes) for ending in (".ttf", ".otf", ".woff", ".woff2")]
    fonts += [export(tmp_path / f"wide{ending}", codes, wide=True) for ending in (".ttf", ".otf")]
    for cff, ending in ((False, ".ttf"), (True, ".otf"), (True, ".ttf"), (False, ".otf")):
        base = make_base(tmp_path / f"base{cff}.ttf", cff=cff)
        font = TTFont(base)
        for table in {"fpgm", "prep"} & set(font.keys()):  # empty ones, of which a browser does not approve
            del font[table]
        font.save(base)
        fonts.append(tmp_path / f"more{cff}{ending}")
        complete_font(base, fonts[-1], IMAGES, GEOMETRY)
    for path in fonts:
        if path.suffix == ".woff":  # this build of it opens none
            path, font = path.with_suffix(".unpacked.ttf"), TTFont(path)
            font.flavor = None
            font.save(path)
        told = ots.sanitize(str(path), capture_output=True)
        assert told.returncode == 0 and b"WARNING" not in told.stderr, (path.name, told.stderr)


@pytest.mark.extra
@pytest.mark.exhaustive
@pytest.mark.parametrize("ending", (".ttf", ".otf"))
@pytest.mark.parametrize("wide", (False, True))
def test_a_foundry_finds_no_fault(tmp_path, ending, wide):
    path, report = export(tmp_path / f"FoundryTest-Regular{ending}", LATIN, wide), tmp_path / "report.json"
    words = ["check-universal", "--no-colors", "--succinct", "--json", report, path]
    for check in NETWORK + OF_GLYF * (wide and ending == ".otf"):
        words += ["--exclude-checkid", check]
    told = subprocess.run(
        [sys.executable, "-m", "fontbakery", *map(str, words)], cwd=tmp_path, capture_output=True, text=True
    )
    assert report.is_file(), told.stderr
    checks = [check for section in json.loads(report.read_text())["sections"] for check in section["checks"]]
    assert len(checks) > 50
    bad = [
        (check["key"][1], line["message"])
        for check in checks
        for line in check["logs"]
        if line["status"] in ("FAIL", "ERROR", "FATAL")
    ]
    assert not bad
