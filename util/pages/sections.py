"""A table of values as a part of a page."""

from collections.abc import Mapping

from dominate import tags

from util.html import link, visible
from util.table import ARROWS, Row, Table


def table_section(
    table: Table, heading: str = "Metrics", note: str = "", pages: Mapping[str, str] | None = None
) -> tags.section:
    """A card: a row for what was generated, or for each style and their mean, and what these are read against below.

    Args:
        note: what stands beside the heading; what the values are of, without it.
        pages: style -> the folder of its page, relative, with a slash at its end.
    """
    pages, results = pages or {}, table.results
    names = [f"{name} {ARROWS[table.better[name]]}" if name in table.better else name for name in table.names]
    corner = "style" if len(results) > 1 else ""
    head = tags.thead(tags.tr(*[tags.th(visible(name), scope="col") for name in (corner, *names)]))
    body, foot = tags.tbody(), tags.tfoot()
    shown = [*results, *(row for row in table.rows if row.kind == "mean"), *table.floors]
    for row in shown:
        label = visible(_label(row, shown))
        linked = row.label in pages and row.kind == "result"
        name = tags.a(label, href=f"{link(pages[row.label])}index.html") if linked else label
        cells = [tags.td(row.shown(name)) for name in table.names]
        kind = "style" if row.kind == "result" else row.kind
        (body if kind == "style" else foot).add(tags.tr(tags.th(name, scope="row"), *cells, cls=kind))
    section = tags.section(
        tags.div(tags.h2(visible(heading)), tags.span(visible(note or table.of), cls="soft"), cls="head"),
        tags.div(tags.table(head, body, foot, cls="scores"), cls="scroll"),
        cls="card",
    )
    for line in [*_about(table), *table.remarks]:
        section.add(tags.p(visible(line), cls="soft"))
    return section


def _label(row: Row, shown: list[Row]) -> str:
    """Its name, with the number of its images where the rows of one result differ in it."""
    one = sum(other.kind == "result" for other in shown) == 1
    differ = len({other.count for other in shown}) > 1
    return f"{row.label} ({row.count:,})" if row.count and one and differ else row.label


def _about(table: Table) -> list[str]:
    """What saw the images, in words; nothing where the metric needed no eyes of its own."""
    facts = table.facts
    if not facts.get("extractor"):
        return []
    unlike = ", ".join(dict.fromkeys(table.unlike[name] for name in table.names if name in table.unlike))
    comparable = f"not comparable with published {unlike}" if unlike else ""
    if facts.get("comparable"):
        comparable = "comparable with published values of the same images and numbers"
    return ["; ".join(filter(None, [f"seen by {facts['extractor']}", f"resize: {facts['resize']}", comparable]))]
