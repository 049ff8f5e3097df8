import numpy as np
import pytest

from options import UserError
from util.fonts import tracing
from util.fonts.faces import Face, Geometry
from util.fonts.tracing import trace, trace_all
from util.reading import child

GEOMETRY, SERIF = Geometry(64), Face("DejaVuSerif")
GLYPHS = {ord(c): SERIF.draw(ord(c), GEOMETRY) for c in "ABg8&"} | {0x20AC: np.full((64, 64), 255, np.uint8)}


def shapes(outlines):
    return {code: (list(g.coordinates), list(g.flags), g.endPtsOfContours) for code, g in outlines.items()}


@pytest.mark.slow
def test_outlines_are_the_same_with_any_number_of_processes(monkeypatch, capsys):
    monkeypatch.setattr(tracing, "BATCH", 2)
    before = child._child
    one, two = (trace_all(GLYPHS, GEOMETRY, {65: 0.7}, 1000, processes=n) for n in (1, 2))
    assert shapes(one[0]) == shapes(two[0]) and len(one[0]) == 5
    assert one[1] == two[1] == [0x20AC] and "1 of 6 images are white" in capsys.readouterr().err
    assert child._child is before


def test_a_glyph_is_the_same_alone_and_among_others():
    among, _ = trace_all(GLYPHS, GEOMETRY, {}, 1000, processes=1)
    assert shapes(among) == shapes({code: trace(GLYPHS[code], GEOMETRY) for code in among})


@pytest.mark.slow
def test_no_process_is_left_by_what_ends_tracing(monkeypatch):
    started = []
    begin = child._Child.__init__
    monkeypatch.setattr(child._Child, "__init__", lambda self: started.append(self) or begin(self))
    with pytest.raises(UserError, match=r"U\+0042_B: an image of float64"):
        trace_all(GLYPHS | {66: GLYPHS[66] / 255}, GEOMETRY, {}, 1000, processes=2)
    assert len(started) == 2 and all(one.process.poll() is not None for one in started)


@pytest.mark.exhaustive
def test_no_process_is_left_by_one_that_takes_too_long(monkeypatch):
    started = []
    begin = child._Child.__init__
    monkeypatch.setattr(child._Child, "__init__", lambda self: started.append(self) or begin(self))
    with pytest.raises(UserError, match="glyphs cannot be traced: not decoded within"):
        monkeypatch.setattr(tracing, "SECONDS", 0.0)
        trace_all(GLYPHS, GEOMETRY, {}, 1000, processes=2)
    assert all(one.process.poll() is not None for one in started)
