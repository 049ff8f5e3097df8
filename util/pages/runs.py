"""The page of many runs: one table that sorts and filters itself, with links to the page and the tests of each."""

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from dominate import tags
from dominate.util import raw

from options import UserError
from options.shown import visible
from util.files import read_text
from util.html import asset, link, new_page, scrolling
from util.storage import unwritten
from util.table import ARROWS
from util.training.found_runs import FoundRun
from util.training.runs_table import COLUMNS, Column, RunsTable, counted, option_key, size_text
from util.writing import write_atomically

KICKER = "Diptych runs"
MOST_OPTIONS = 8  # that have a column of their own
SMALL = {"last": "last", "best": "best", "test": "test"}


def write_page(table: RunsTable, root: Path, path: Path, remarks: Sequence[str]) -> None:
    """Write the page of the runs below a folder.

    Args:
        remarks: what was passed over, a line each.

    Raises:
        UserError: something else is there, or it cannot be written (exit code 5).
    """
    if path.is_dir() or (path.exists() and KICKER not in read_text(path)):
        raise UserError(f"{path}: something else is there, which is not overwritten; choose another --output")
    page = new_page(f"Runs below {root.absolute().name}")
    page.head.add(tags.style(raw(asset("compare.css") + asset("runs.css"))))
    page.body.add(tags.main(_header(table, root), _section(table, path.absolute().parent), *map(_remark, remarks)))
    page.body.add(tags.script(raw(asset("sorted.js") + asset("runs.js"))))
    try:
        write_atomically(path, page.render(pretty=False))
    except OSError as error:
        raise unwritten(path, error, "; choose another --output, or --no_html") from None


def _header(table: RunsTable, root: Path) -> tags.header:
    facts = (
        {"runs": f"{len(table.runs):,}"}
        if len(table.runs) == len(table.found)
        else {"runs": f"{len(table.runs):,} of {len(table.found):,}"}
    )
    facts |= {state: f"{count:,}" for state, count in counted(table.runs).items()}
    facts |= {"on disk": size_text(sum(run.size for run in table.runs)), "built": time.strftime("%Y-%m-%d %H:%M")}
    row = tags.div(cls="facts")
    for name, value in facts.items():
        row.add(tags.span(f"{name} ", tags.b(value)))
    return tags.header(tags.p(KICKER, cls="kicker"), tags.h1(visible(str(root.absolute()))), row)


def _remark(line: str) -> tags.p:
    return tags.p(visible(line), cls="soft")


def _section(table: RunsTable, here: Path) -> tags.section:
    """A row for each run; a column of its own for each of the options that differ most."""
    columns = [c for c in table.columns if c in COLUMNS or any(c.key(run) is not None for run in table.runs)]
    own, others = table.varying[:MOST_OPTIONS], table.varying[MOST_OPTIONS:]
    top = tags.tr(*map(_head, columns), *(_option_head(n, place == 0) for place, n in enumerate(own)))
    if others:
        top.add(tags.th("further options", scope="col", cls="option"))
    places = {column: _places(column, table.runs) for column in columns}
    orders = {name: sorted({run.options.get(name, "") for run in table.runs}, key=option_key) for name in own}
    body = tags.tbody()
    for number, run in enumerate(table.runs):
        row = body.add(tags.tr(_name(run, number, places[COLUMNS[0]].get(run.name), here)))
        for column in columns[1:]:
            row.add(_cell(column, run, places[column].get(run.name)))
        for place, name in enumerate(own):
            text, order = run.options.get(name, ""), orders[name]
            cls = "option first" if place == 0 else "option"
            bold = tags.b if name in run.changed else tags.span
            row.add(tags.td(bold(visible(text) or "\u2013"), data_v=str(order.index(text)), cls=cls))
        if others:
            told = [f"{name}={run.options[name]}" for name in others if name in run.changed]
            row.add(tags.td(visible(" ".join(told)), cls="option"))
    box = tags.input_(type="search", id="filter", placeholder="words: died cut", autocomplete="off")
    controls = tags.div(tags.label("rows with ", box), tags.output(id="found"), cls="controls")
    section = tags.section(tags.div(tags.h2("Table"), controls, cls="head"), cls="card")
    grid = tags.table(tags.thead(top), body, cls="scores compare runs", id="table")
    section.add(scrolling("table of runs", grid))
    said = "A click on a head sorts. Died: it was at work, and nobody is at it any more; --continue_train goes on."
    section.add(tags.p(said, cls="soft"))
    return section


def _places(column: Column, runs: Sequence[FoundRun]) -> dict[str, float]:
    """{run: what sorts it}: numbers of values as they are, for the nearest to 1 may be the best; else its place."""
    keys = {run.name: key for run in runs if (key := column.key(run)) is not None}
    if column.better:
        return {name: key[0] for name, key in keys.items()}
    order = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {name: order[key] for name, key in keys.items()}


def _head(column: Column) -> tags.th:
    name, _, kind = column.name.rpartition(" ")
    arrow = ARROWS.get(column.better, "")
    name, below = (name, SMALL[kind]) if name and kind in SMALL else (column.name, "")
    button = tags.button(tags.span(visible(name), f" {arrow}" if arrow else ""), type="button")
    if below:
        button.add(tags.small(below))
    extra = ({"data_arrow": arrow} if arrow else {}) | ({"cls": "text"} if column.left else {})
    return tags.th(button, scope="col", aria_sort="none", **extra)


def _option_head(name: str, first: bool) -> tags.th:
    button = tags.button(tags.span(visible(name)), type="button")
    return tags.th(button, scope="col", aria_sort="none", cls="option first" if first else "option")


def _name(run: FoundRun, number: int, place: float | None, here: Path) -> tags.th:
    """The name, which leads to the run's page; below it its tests."""
    first, *parts = re.split(r"(?<=[/_])", visible(run.name))
    text = [first, *(one for part in parts for one in (tags.wbr(), part))]  # where a line may end
    page = None if run.page is None else os.path.relpath(run.page.absolute(), here)
    head = tags.th(tags.a(*text, href=link(page)) if page else tags.span(*text), scope="row", data_v=str(place))
    for name, test in run.tests.items():
        told = test.get("page")
        found = Path(run.folder, told) if isinstance(told, str) and told.endswith("index.html") else None
        if found is not None and found.is_file():
            head.add(tags.small(tags.a(visible(name), href=link(os.path.relpath(found.resolve(), here.resolve())))))
    return head


def _cell(column: Column, run: FoundRun, place: float | None) -> tags.td:
    text = visible(column.text(run))
    cell = tags.td(cls="text") if column.left else tags.td()
    if place is not None:
        cell["data-v"] = repr(place)
    if column.name == "state":
        cell.add(tags.span(text, cls=f"pill {run.state}"))
        if run.state == "failed" and run.text("error"):
            cell.add(tags.small(visible(run.text("error")), cls="why"))
    elif column.name == "steps" and run.progress is not None:
        cell.add(text, tags.progress(value=f"{run.progress:.3f}", max="1", aria_label="done"))
    else:
        cell.add(text or tags.span("\u2013", cls="soft"))
    return cell
