"""Scores as a part of a page: a row for each style or for what was generated, the floors below."""

import math
from collections.abc import Mapping

from dominate import tags

from util.html import link, visible
from util.table import ScoreTable, number

ARROWS = {"lower": "\u2193", "higher": "\u2191", "one": "\u2192 1"}  # where the values improve


def score_section(table: ScoreTable, style: str | None = None, pages: Mapping[str, str] | None = None) -> tags.section:
    """A card with the table.

    Args:
        style: the one that is shown; all of them and their mean without it.
        pages: style -> the folder of its page, relative, with a slash at its end.
    """
    pages = pages or {}
    names = [f"{name} {ARROWS[table.better[name]]}" if name in table.better else name for name in table.names]
    corner = "style" if style is None else ""
    head = tags.thead(tags.tr(*[tags.th(visible(name), scope="col") for name in (corner, *names)]))
    body, foot = tags.tbody(), tags.tfoot()
    for kind, label, values in table.rows(style):
        text = visible(label)
        name = tags.a(text, href=f"{link(pages[label])}index.html") if kind == "style" and label in pages else text
        cells = [tags.td(number(values.get(n, math.nan))) for n in table.names]
        (body if kind == "style" else foot).add(tags.tr(tags.th(name, scope="row"), *cells, cls=kind))
    pairs = sum(table.pairs.values()) if style is None else table.pairs.get(style, 0)
    note = f"{pairs:,} pairs" + ("; a mean is of the styles, each counts once" if style is None else "")
    section = tags.section(
        tags.div(tags.h2("Metrics"), tags.span(note, cls="soft"), cls="head"),
        tags.div(tags.table(head, body, foot, cls="scores"), cls="scroll"),
        cls="card",
    )
    for remark in table.remarks(style):
        section.add(tags.p(visible(remark), cls="soft"))
    return section
