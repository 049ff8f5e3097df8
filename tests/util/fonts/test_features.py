import numpy as np
import pytest
from fontTools.ttLib import TTFont

from util.fonts.export import build_font
from util.fonts.faces import Face, Geometry
from util.fonts.features import ACROSS, SMALL, TURNED, vertical_rules
from util.fonts.tracing import is_full_width

GEOMETRY = Geometry(64)


def test_what_has_a_form_for_vertical_lines_is_full_width_and_has_one_kind_of_it():
    marks = TURNED + ACROSS + SMALL
    assert len(set(marks)) == len(marks) and all(is_full_width(ord(c)) for c in marks)
    assert vertical_rules({}) == ""


@pytest.mark.extra
@pytest.mark.exhaustive
def test_harfbuzz_sets_lines_with_the_widths_kerning_and_forms_of_the_file(tmp_path):
    import uharfbuzz as hb

    serif, line = Face("DejaVuSerif"), np.full((64, 64), 255, np.uint8)
    line[30:34, 10:54] = 0
    glyphs = {ord(c): serif.draw(ord(c), GEOMETRY) for c in "AVo"} | dict.fromkeys(map(ord, "字ー"), line)
    advances = {ord(c): serif.advance(ord(c)) for c in "AVo"}
    path = tmp_path / "x.ttf"
    build_font(path, glyphs, GEOMETRY, "Set", advances=advances, kerning={(ord("A"), ord("V")): -0.05})
    font, face = TTFont(path), hb.Face(path.read_bytes())

    def shaped(text, direction=None):
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        if direction:
            buffer.direction = direction
        hb.shape(hb.Font(face), buffer, {})
        return [font.getGlyphName(info.codepoint) for info in buffer.glyph_infos], buffer.glyph_positions

    width = {c: round(1000 * advances[ord(c)]) for c in "AVo"}
    _, positions = shaped("AVo")
    assert [p.x_advance for p in positions] == [width["A"] - 50, width["V"], width["o"]]
    forms = {old: new for s in font["GSUB"].table.LookupList.Lookup[0].SubTable for old, new in s.mapping.items()}
    across, _ = shaped("字ー")
    down, positions = shaped("字ー", "ttb")
    assert down == [across[0], forms[across[1]]] and [p.y_advance for p in positions] == [-1000, -1000]
    for name, position in zip(down, positions, strict=True):  # the middle of the em stands on the line
        assert position.x_offset == -500 and position.y_offset == -(font["vmtx"][name][1] + font["glyf"][name].yMax)
