"""Scores as a part of a page: a row for each style or for what was generated, the floors below."""

import math
from collections.abc import Mapping

from dominate import tags

from evaluation.sets import SetTable
from util.html import link, visible
from util.table import ARROWS, ScoreTable, number


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


def set_section(table: SetTable, heading: str = "Metrics of sets") -> tags.section:
    """A card with the table, what its values are of, and what a reader must know."""
    floors, facts = bool(table.floors), table.facts
    names = ["", "generated", *(["real images"] if floors else [])]
    head, body = tags.thead(tags.tr(*[tags.th(name, scope="col") for name in names])), tags.tbody()
    for name in table.values:
        label = f"{name} {ARROWS[table.better[name]]}" if name in table.better else name
        cells = [table.shown(name)]
        cells += [number(table.floors[name]) if name in table.floors else "-"] if floors else []
        body.add(tags.tr(tags.th(visible(label), scope="row"), *[tags.td(cell) for cell in cells]))
    note = f"{facts['generated']}, generated, against {table.reference:,} real"
    section = tags.section(
        tags.div(tags.h2(visible(heading)), tags.span(note, cls="soft"), cls="head"),
        tags.div(tags.table(head, body, cls="scores"), cls="scroll"),
        cls="card",
    )
    comparable = f"{'' if table.comparable else 'not '}comparable {facts['comparable'].removeprefix('not ')}"
    lines = [f"seen by {facts['extractor']}; resize: {facts['resize']}; {comparable}"]
    if compared := [name for name in table.floors if name not in table.alone]:
        lines.append(f"real images: {table.floor_words(compared[0])}; what a perfect generator would reach")
    if table.alone:
        lines.append(f"real images of {', '.join(table.alone)}: {table.floor_words(table.alone[0])}")
    for line in [*lines, *table.remarks]:
        section.add(tags.p(visible(line), cls="soft"))
    return section
