"""Layout features of a new font: kerning, and forms for vertical lines."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.otlLib.maxContextCalc import maxCtxFont
from fontTools.ttLib import TTFont

# What stands otherwise in a vertical line, by Unicode's UTR 50: turned (Tr), or moved to the other corner of its box or
# within it (Tu). Layout programs turn everything that is upright neither way by themselves.
TURNED = "〈〉《》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰゠ー（）：；［］＿｛｜｝～￣"
ACROSS = "、。，．"
SMALL = "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ"
ASIDE = (0.12, 0.1)  # ems that small kana move to the right and up: about the mean of Noto Sans CJK's


def add_features(font: TTFont, rules: Iterable[str]) -> None:
    """Compile features, all at once, and say in OS/2 how many glyphs they look at."""
    text = "\n".join(filter(None, rules))
    if text:
        addOpenTypeFeaturesFromString(font, f"languagesystem DFLT dflt;\n{text}")
        font["OS/2"].usMaxContext = maxCtxFont(font)


def vertical_forms(outlines: Mapping[int, Any], units_per_em: int, shift: float) -> dict[int, Any]:
    """{character: its glyph in vertical lines} of those that have one.

    Args:
        outlines: simple glyphs of ``glyf``.
        shift: height of the baseline above the bottom of the em, in ems.
    """
    em = units_per_em
    middle = em / 2, em / 2 - shift * em
    forms = {}
    for code, outline in outlines.items():
        if chr(code) not in TURNED + ACROSS + SMALL:
            continue
        form = forms[code] = copy.deepcopy(outline)
        box = (outline.xMin + outline.xMax) / 2, (outline.yMin + outline.yMax) / 2
        x, y = (round(2 * (m - b)) for m, b in zip(middle, box, strict=True))
        if chr(code) in TURNED:
            form.coordinates.transform(((0, -1), (1, 0)))
            x, y = round(middle[0] - middle[1]), round(middle[1] + middle[0])
        elif chr(code) in SMALL:
            x, y = round(ASIDE[0] * em), round(ASIDE[1] * em)
        form.coordinates.translate((x, y))
        form.coordinates.toInt()
        form.recalcBounds(None)
    return forms


def vertical_rules(names: Mapping[str, str]) -> str:
    """The feature that puts the second glyph for the first."""
    lines = [f"  sub {name} by {form};" for name, form in names.items()]
    return "\n".join(["feature vert {", *lines, "} vert;"]) if lines else ""
