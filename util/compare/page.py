"""The page of a comparison: one file with everything in it, to be opened anywhere and sent to anybody."""

import base64
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dominate import tags
from dominate.util import raw

from options import Exit, UserError
from util.compare.curves import curves_of, pace_of
from util.compare.export import MOST_OPTIONS, as_csv, as_latex
from util.compare.failing import failures
from util.compare.families import FEW, PAIRS
from util.compare.finding import Finding, first_to_read
from util.compare.findings import findings
from util.compare.options import commands_section, divided, option_cell, options_section, swatch
from util.compare.pictures import side_by_side
from util.compare.run import ComparedRun
from util.compare.sections import chart_section, filters, is_grouped, switch, wall_section
from util.compare.shortlist import short_list
from util.compare.table import WORDS, Cell, Comparison, decimals, protocol, span
from util.html import asset, embed, new_page, scrolling, visible
from util.stopwatch import duration
from util.table import ARROWS, extent
from util.writing import write_atomically

SCRIPTS = ("sorted.js", "compare.js", "compare_table.js", "compare_curves.js", "compare_wall.js")  # one after another
TWICE = 2  # steps of many variants that differ by more are told apart better over hours
ROOM = 3  # values of which last and best are side by side from the beginning
MARKS = {"yes": "\u2713", "limit": "!", "wrong": "\u00d7"}
CLOCKS = {
    "s/step": "s/step: by the clock on the wall; what else the machine was at made steps longer.",
    "CPU s/step": "CPU s/step: seconds of the processor in the run's own process, whatever else the machine was at.",
}
SPOKEN = {"yes": "may be said: ", "limit": "limit: ", "wrong": "went wrong: "}


def build_page(
    runs: Sequence[ComparedRun],
    folder: Path,
    title: str,
    note: str = "",
    inputs: int | None = None,
    settings: str = "",
    progress: tags.section | None = None,
) -> Path:
    """Write index.html, comparison.csv and comparison.tex, in place of earlier ones.

    Args:
        runs: in the order in which their variants are shown.
        note: what the experiment is about, in the words of its author.
        inputs: whose images are shown, at most; None is as many as suit the page.
        settings: how options were chosen, in the words of its author.
        progress: how far the runs are, where they are not done.

    Returns:
        the page.

    Raises:
        UserError: the folder cannot be written (exit code 5).
    """
    comparison = Comparison(runs)
    table, latex = as_csv(comparison), as_latex(comparison, title)
    page = new_page(title)
    page.head.add(tags.style(raw(asset("compare.css"))))
    wall = side_by_side(comparison, inputs)
    main = page.body.add(tags.main(_header(comparison, title, note)))
    if progress is not None:
        main.add(progress)
    main.add(_conclusions(comparison))
    main.add(*(part for part in (short_list(comparison), filters(comparison)) if part))
    main.add(_table(comparison, {"comparison.csv": table, "comparison.tex": latex}))
    curves = curves_of(comparison)
    if curves["names"]:
        steps = [n for run in runs if (n := run.fact("steps"))]
        timed = all(pace_of(comparison, run) for run in runs) and max(steps, default=0) > TWICE * min(steps, default=0)
        main.add(chart_section("time" if timed and len(comparison.variants) > FEW else "steps"))
    if wall:
        main.add(wall_section(wall))
    main.add(options_section(comparison, settings), commands_section(comparison))
    data = {"curves": curves, "wall": wall, "words": WORDS, "many": len(comparison.variants) > FEW}
    script = "\n".join(map(asset, SCRIPTS))
    page.body.add(tags.script(embed(data), type="application/json", id="data"), tags.script(raw(script)))
    try:
        write_atomically(folder / "comparison.csv", visible(table))
        write_atomically(folder / "comparison.tex", visible(latex))
        write_atomically(folder / "index.html", page.render(pretty=False))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})", code=Exit.STORAGE) from None
    return folder / "index.html"


def _header(comparison: Comparison, title: str, note: str) -> tags.header:
    runs, variants = comparison.runs, comparison.variants
    steps = sorted({n for run in runs if (n := run.fact("total_steps") or run.fact("steps"))})
    counts = comparison.seeds
    facts = {"variants": str(len(variants))}
    if counts:
        facts["seeds"] = extent(counts)
    if steps:
        facts["steps"] = extent(steps)
    spent = sum(n for run in runs for key in ("seconds", "evaluation_seconds") if (n := run.fact(key)))
    if spent:
        facts["computed"] = duration(spent)
    machines = dict.fromkeys(_machine(run) for run in runs)
    facts["on"] = "; ".join(machine for machine in machines if machine)
    facts["built"] = time.strftime("%Y-%m-%d %H:%M")
    row = tags.div(cls="facts")
    for name, value in facts.items():
        if value:
            row.add(tags.span(f"{name} ", tags.b(visible(value))))
    header = tags.header(tags.p("Diptych comparison", cls="kicker"), tags.h1(visible(title)))
    for paragraph in note.split("\n\n"):
        if paragraph.strip():
            header.add(tags.p(visible(" ".join(paragraph.split())), cls="note"))
    header.add(row)
    return header


def _machine(run: ComparedRun) -> str:
    device, threads, torch = (run.facts.get(key) for key in ("device", "threads", "torch"))
    parts = [str(device)] if device else []
    parts += [f"{threads} thread{'' if threads == 1 else 's'}"] if threads else []
    return ", ".join([*parts, f"torch {torch}"]) if torch and parts else ", ".join(parts)


def _conclusions(comparison: Comparison) -> tags.section:
    first, others = first_to_read(findings(comparison))
    section = tags.section(tags.div(tags.h2("What may be concluded"), cls="head"), _said(first), cls="card")
    if others:
        section.add(tags.details(tags.summary(f"{len(others)} more"), _said(others)))
    return section


def _said(found: Sequence[Finding]) -> tags.ul:
    items = tags.ul(cls="findings")
    for finding in found:
        mark = tags.i(MARKS[finding.kind], aria_hidden="true")
        said = tags.span(SPOKEN[finding.kind], cls="spoken")
        details = visible(finding.details.removesuffix(finding.command))
        text = tags.span(said, tags.b(visible(finding.text)), " ", tags.span(details, cls="soft"))
        if finding.command:
            text.add(_command(finding.command))
        items.add(tags.li(mark, text, cls=finding.kind))
    return items


def _command(line: str) -> tags.code:
    """Broken between words alone: a browser would leave -- at the end of a line."""
    words = visible(line).split(" ")
    return tags.code(*(part for word in words for part in (tags.span(word), " ")))


def _table(comparison: Comparison, files: Mapping[str, str]) -> tags.section:
    """A row for each variant; columns of the last and of the best checkpoint stand side by side."""
    columns = [(name, label) for name in comparison.names for label in comparison.labels]
    costs = comparison.costs
    places = {name: comparison.column(name) for name in comparison.names}
    units = {name: _unit(name, [comparison.cost(v, name).mean for v in comparison.variants]) for name in costs}
    several = len(comparison.labels) > 1
    top = tags.tr(_head("variant", ""))
    for name, label in columns:
        top.add(_head(name, WORDS[label] if several else "", ARROWS.get(comparison.better.get(name, ""), ""), label))
    options = dict(list(divided(comparison).varying.items())[:MOST_OPTIONS])
    for number, name in enumerate(options):
        top.add(_head(name, "", cls="option first" if number == 0 else "option"))
    for number, name in enumerate(costs):
        top.add(
            _head(name.replace("parameters", "params"), units[name][0], cls="cost first" if number == 0 else "cost")
        )
    body, foot, failing = tags.tbody(), tags.tfoot(), failures(comparison)
    wide, grouped = 1 + len(columns) + len(options) + len(costs), is_grouped(comparison)
    for place, variant in enumerate(comparison.variants):
        family = comparison.variants[variant][0].family
        if grouped and variant == comparison.families[family][0]:
            body.add(_family_row(comparison, family, wide))
        row = body.add(tags.tr(_variant(comparison, variant, place, failing.get(variant, ()))))
        for name, label in columns:
            cell = comparison.cell(variant, name, label)
            best, tied = variant in comparison.leaders(name, label), variant in comparison.ties(name, label)
            row.add(_cell(cell, places[name], 1.0, f"w-{label}" + " lead" * best + " tied" * tied))
        for number, texts in enumerate(options.values()):
            row.add(option_cell(texts, place, "option first" if number == 0 else "option"))
        for number, name in enumerate(costs):
            _, scale, digits = units[name]
            row.add(_cell(comparison.cost(variant, name), digits, scale, "cost first" if number == 0 else "cost"))
    for floor, values in comparison.floors.items():
        row = foot.add(tags.tr(tags.th(visible(floor), scope="row"), cls="floor"))
        for name, label in columns:
            text = span(values[name], places[name]) if name in values else ""
            row.add(tags.td(text, cls=f"w-{label}"))
        for number, _ in enumerate(options):
            row.add(tags.td(cls="option first" if number == 0 else "option"))
        for number, _ in enumerate(costs):
            row.add(tags.td(cls="cost first" if number == 0 else "cost"))
    return _table_section(comparison, tags.table(tags.thead(top), body, foot, cls="scores compare", id="table"), files)


def _table_section(comparison: Comparison, table: tags.table, files: Mapping[str, str]) -> tags.section:
    several = len(comparison.labels) > 1
    shown = "both" if len(comparison.names) <= ROOM else "latest"
    controls = tags.div(cls="controls")
    if several:
        controls.add(switch("shown", "checkpoint", {"latest": "last", "best": "best", "both": "both"}, shown))
    if is_grouped(comparison):
        controls.add(switch("sorted", "sort", {"within": "within families", "across": "across"}, "within"))
    section = tags.section(tags.div(tags.h2("Table"), controls, cls="head"), cls="card")
    table["data-shown"] = shown if several else "both"
    section.add(scrolling("table of values", table))
    said = "Mean \u00b1 standard deviation over seeds (how many). " if comparison.names else ""
    if any(comparison.leaders(name, label) for name in comparison.names for label in comparison.labels):
        said += "Bold: the best mean. \u2248: its mean \u00b1 spread overlaps with that of the best. "
    section.add(tags.p(f"{said}A click on a head sorts.", cls="soft"))
    if clock := next((CLOCKS[name] for name in comparison.costs if name in CLOCKS), ""):
        section.add(tags.p(clock, cls="soft"))
    for line in [*protocol(comparison), *dict.fromkeys(line for run in comparison.runs for line in run.remarks)]:
        section.add(tags.p(visible(line), cls="soft"))
    links = tags.p(cls="files")
    for name, text in files.items():
        kind = "text/csv" if name.endswith(".csv") else "application/x-tex"
        data = base64.b64encode(visible(text).encode()).decode()
        links.add(tags.a(name, href=f"data:{kind};charset=utf-8;base64,{data}", download=name))
    section.add(links)
    return section


def _head(name: str, below: str, arrow: str = "", label: str = "", cls: str = "") -> tags.th:
    """A head that sorts; ``below`` is its second line."""
    button = tags.button(tags.span(visible(name), f" {arrow}" if arrow else ""), type="button")
    if below:
        button.add(tags.small(below))
    classes = f"w-{label}" if label else cls
    extra = ({"cls": classes} if classes else {}) | ({"data_arrow": arrow} if arrow else {})
    return tags.th(button, scope="col", aria_sort="none", **extra)


def _family_row(comparison: Comparison, family: str, wide: int) -> tags.tr:
    """A row across the table that folds those of a family."""
    place = list(comparison.families).index(family)
    button = tags.button(visible(family), type="button", aria_expanded="true")
    button.add(tags.small(f" {len(comparison.families[family])}"))
    return tags.tr(tags.td(button, colspan=str(wide)), cls="family", data_family=str(place))


def _variant(comparison: Comparison, variant: str, place: int, failing: Sequence[str]) -> tags.th:
    """Name and colour of a variant, which of its runs did not finish, and what came out as failing."""
    runs = comparison.variants[variant]
    head = tags.th(swatch(place), tags.span(visible(comparison.title_of(variant))), scope="row", data_v=str(place))
    for state in dict.fromkeys(run.state for run in runs):
        count = sum(run.state == state for run in runs)
        if state != "finished":
            head.add(tags.small(f"{count} of {len(runs)} {state}", cls="lacking"))
    if len(comparison.peers) > 1 and variant in comparison.peers[1] and runs[0].family != PAIRS:
        head.add(tags.small(PAIRS))
    for line in failing:
        head.add(tags.small(visible(line), cls="lacking"))
    if runs[0].note:
        head.add(tags.small(visible(runs[0].note), cls="said"))
    return head


def _cell(cell: Cell, places: int, scale: float, cls: str) -> tags.td:
    td = tags.td(cls=cls)
    if not cell.values:
        td.add(tags.span("\u2013", cls="soft"))
        return td
    td["data-v"] = repr(cell.mean)
    td.add(tags.b(f"{cell.mean / scale:,.{places}f}"))
    cost = cls.startswith("cost")
    if len(cell.values) > 1 and not (cost and round(cell.spread / scale, places) == 0):
        td.add(tags.span(f" \u00b1 {cell.spread / scale:,.{places}f}", cls="pm"))
    count = f"{len(cell.values)} of {cell.runs}" if cell.lacking else str(cell.runs)
    if not cost:
        td.add(tags.small(f"({count})", cls="lacking" if cell.lacking else "n"))
    return td


def _unit(name: str, means: Sequence[float]) -> tuple[str, float, int]:
    """(unit, what it is of what is stored, decimals) that suit a column of costs."""
    known = [v for v in means if v == v]
    most = max(known, default=0.0)
    if name == "memory":
        unit, scale = ("GiB", 2.0**30) if most >= 2**30 else ("MiB", 2.0**20)
    elif name.startswith("parameters"):
        unit, scale = ("millions", 1e6) if most >= 1e5 else ("thousands", 1e3)
    elif name == "training":
        unit, scale = ("h", 1.0) if most >= 1 else ("min", 1 / 60)
    elif name.endswith("s/step"):
        unit, scale = ("s", 1.0) if most >= 1 else ("ms", 1e-3)
    else:
        return "", 1.0, 0
    return unit, scale, decimals([v / scale for v in known], 3)
