"""Values of sets of images as a part of a page: a row for each, with what real images reach."""

from dominate import tags

from evaluation.sets import SetTable
from util.pages.sections import ARROWS
from util.table import number

from .html import visible


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
