"""A table of values as a part of a page."""

from collections.abc import Mapping

from dominate import tags

from util.html import link, scrolling, visible
from util.table import Table, arrowed


def table_section(
    table: Table, heading: str = "Metrics", note: str = "", pages: Mapping[str, str] | None = None
) -> tags.section:
    """A card: what was generated, and what it is read against.

    Styles are rows, with their mean and the floors below; where there is one result alone, the values are.

    Args:
        note: what stands beside the heading; what the values are of, without it.
        pages: style -> the folder of its page, relative, with a slash at its end.
    """
    section = tags.section(
        tags.div(tags.h2(visible(heading)), tags.span(visible(note or table.of), cls="soft"), cls="head"),
        scrolling(heading, _styles(table, pages or {}) if len(table.results) > 1 else _values(table)),
        cls="card",
    )
    for line in [*_about(table), *table.remarks]:
        section.add(tags.p(visible(line), cls="soft"))
    return section


def _values(table: Table) -> tags.table:
    """A row for each value, a column for what was generated and for each floor."""
    shown = [*table.results, *table.floors]
    differ = len({row.count for row in shown}) > 1
    labels = [f"{row.label} ({row.count:,})" if row.count and differ else row.label for row in shown]
    body = tags.tbody()
    for name in table.names:
        cells = [tags.td(row.shown(name), cls="" if row.kind == "result" else "floor") for row in shown]
        body.add(tags.tr(tags.th(visible(arrowed(name, table.better)), scope="row"), *cells))
    head = [tags.th(visible(label), scope="col") for label in ("", *labels)]
    return tags.table(tags.thead(tags.tr(*head)), body, cls="scores values")


def _styles(table: Table, pages: Mapping[str, str]) -> tags.table:
    """A row for each style, for their mean and for each floor; a column for each value."""
    names = ["style", *(arrowed(name, table.better) for name in table.names)]
    body, foot = tags.tbody(), tags.tfoot()
    for row in [*table.results, *(row for row in table.rows if row.kind == "mean"), *table.floors]:
        label = visible(row.label)
        linked = row.label in pages and row.kind == "result"
        name = tags.a(label, href=f"{link(pages[row.label])}index.html") if linked else label
        cells = [tags.td(row.shown(name)) for name in table.names]
        kind = "style" if row.kind == "result" else row.kind
        (body if kind == "style" else foot).add(tags.tr(tags.th(name, scope="row"), *cells, cls=kind))
    return tags.table(tags.thead(tags.tr(*[tags.th(visible(n), scope="col") for n in names])), body, foot, cls="scores")


def _about(table: Table) -> list[str]:
    """What saw the images, in words; nothing where the metric needed no feature extractor."""
    facts = table.facts
    if not facts.get("extractor"):
        return []
    unlike = ", ".join(dict.fromkeys(table.unlike[name] for name in table.names if name in table.unlike))
    comparable = f"not comparable with published {unlike}" if unlike else ""
    if facts.get("comparable"):
        comparable = "comparable with published values of the same resize, images and numbers"
    about = [f"feature extractor: {facts['extractor']}", f"resize: {facts['resize']}", comparable]
    lines = ["; ".join(filter(None, about))]
    if any(row.label.startswith("real ") for row in table.floors):
        lines.append("real images against real images: what a perfect generator would reach")
    return lines
