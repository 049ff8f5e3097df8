"""What new characters of a run on pairs are drawn from: the font of ``--source_font``, drawn as the pairs' sources are.

Pairs bring a picture of each of their characters and no other. A font of the same look has them all, if it is drawn as
large and in the same place: the geometry is found by characters that both have (:mod:`util.fonts.geometry_of`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from data.fonts.styles import Glyphs, open_glyphs
from util.distributed import say_once
from util.fonts.charsets import charset
from util.fonts.faces import Face, Geometry
from util.fonts.geometry_of import Found, find_geometry, known_characters, recognised_characters

SAME = 0.8  # ink shared, from which on the font is the pairs' own
COMMON, ENOUGH = "latin,greek,cyrillic,kana,gb2312-1,big5-1,jisx0208-1,hangul", 12
STRANGE = 0.6  # below, it is another


class FittedFace:
    """A font that is drawn as pictures of it were, whatever geometry is asked for."""

    def __init__(self, face: Face, geometry: Geometry):
        self.face, self.geometry, self.name = face, geometry, face.name

    @property
    def characters(self) -> Iterable[int]:
        return self.face.characters

    def real(self, characters: Iterable[int]) -> set[int]:
        return self.face.real(characters)

    def advance(self, code: int) -> float:
        return self.face.advance(code)

    def draw(self, code: int, geometry: Geometry) -> np.ndarray:
        return self.face.draw(code, replace(self.geometry, canvas=geometry.canvas))

    def leaves_canvas(self, code: int, geometry: Geometry) -> bool:
        return self.face.leaves_canvas(code, replace(self.geometry, canvas=geometry.canvas))


def with_fonts(
    pairs: Sequence[Glyphs], fonts: Sequence[str], geometry: Geometry, told: bool
) -> tuple[list[Glyphs], Geometry]:
    """The sources of any character, the first that has it counts, and the geometry of all; what was found is said.

    Args:
        pairs: the pairs' own sources.
        geometry: what is taken where none can be found.
        told: whether somebody named the fonts; a font that is there by default has to be the pairs' own.
    """
    opened = [open_glyphs(font) for font in fonts]
    faces = [glyphs for glyphs in opened if isinstance(glyphs, Face)]
    found, how = _find(pairs, faces[0]) if faces else (None, "")
    if not told and (found is None or found.shared < STRANGE):
        return list(pairs), geometry
    if found is not None:
        geometry = replace(found.geometry, canvas=geometry.canvas)
        place = "" if geometry.left is None else f", origins {geometry.left:.3f} ems from the left"
        line = (
            f"--source_font {faces[0].name}: the pairs' sources show it with an em of {geometry.scale:.3f} of the "
            f"canvas and the baseline {geometry.shift:.3f} ems above its bottom{place}; new characters are drawn so "
            f"({found.shared:.2f} of the ink shared, {found.count} characters {how})"
        )
        other = "; they look otherwise, so give the font that they were drawn from if it is another"
        say_once(line + other * (found.shared < STRANGE))
    elif faces:
        say_once(
            f"--source_font {faces[0].name}: none of the pairs' sources is known to show one of its characters; new "
            f"ones are drawn with --glyph_scale {geometry.scale} --glyph_shift {geometry.shift}"
        )
    fitted: list[Glyphs] = [FittedFace(glyphs, geometry) if isinstance(glyphs, Face) else glyphs for glyphs in opened]
    own = found is not None and found.shared >= SAME  # then it knows widths, which pictures do not tell
    return [*fitted, *pairs] if own else [*pairs, *fitted], geometry


def _find(pairs: Sequence[Glyphs], face: Face) -> tuple[Found | None, str]:
    """By the label of most pictures, for all labels have one source."""
    most: Any = max(pairs, key=lambda glyphs: len(list(glyphs.characters)))
    if known := known_characters(most, face):
        return find_geometry(most, face, known), "known by their names"
    every, common = set(charset("auto", [face])), set(charset(COMMON))
    seen: dict[int, int] = {}
    for part in (every & common, every - common):  # a large font has 40,000, and pairs mostly show common ones
        if len(seen) < ENOUGH:
            seen |= recognised_characters(most, face, part)
    return (find_geometry(most, face, seen), "recognised") if seen else (None, "")
