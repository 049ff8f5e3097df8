"""A comparison as CSV and as LaTeX."""

import csv
import io
import math
import re

from options.shown import cell, visible
from util.compare.options import divided, option_text
from util.compare.run import CHECKPOINTS
from util.compare.table import COSTS, WORDS, Comparison, costs_of, protocol, span
from util.table import ARROWS, extent, plural

ABREAST = 8  # values that fit side by side on a printed page
MOST_OPTIONS = 6  # that are columns of a table; all of those that differ are in the CSV and below the page's table
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u2193": r"$\downarrow$",
    "\u2191": r"$\uparrow$",
    "\u2192": r"$\to$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
} | {letter: f"\\{letter}" for letter in "&%$#_{}"}


def as_csv(comparison: Comparison) -> str:
    """A row for each run and checkpoint, in full precision; empty where a value is not defined.

    Options that differ between variants are the last columns.
    """
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    names = ["variant", "seed", "run", "state", "checkpoint", "family", *map(cell, comparison.names), *COSTS.values()]
    options = divided(comparison).asked
    rows.writerow([*names, *(f"option {name}" if name in names else name for name in options)])
    for run in comparison.runs:
        costs = costs_of(run)
        for label in comparison.labels or CHECKPOINTS[:1]:
            values = run.values(label)
            if label != CHECKPOINTS[0] and not values:
                continue
            scores = [values.get(name, math.nan) for name in comparison.names]
            numbers = [*scores, *(costs[name] for name in COSTS)]
            cells = ["" if v is None or not math.isfinite(v) else repr(v) for v in numbers]
            told = [cell(option_text(run.options[name])) if name in run.options else "" for name in options]
            rows.writerow(
                [cell(run.title), run.seed, cell(run.name), run.state, WORDS[label], cell(run.family), *cells, *told]
            )
    return file.getvalue()


def as_latex(comparison: Comparison, title: str) -> str:
    """Tables for booktabs, one for each kind of checkpoint: mean and spread, floors last.

    Bold is a value that is ahead of the second by more than the two spread. The first columns are options that differ.
    A row is a variant; where there are more values than fit side by side a row is a value.
    """
    tables = [_latex(comparison, title, label) for label in comparison.labels]
    return "\n".join(["% needs \\usepackage{booktabs}", *tables]) + "\n"


def _latex(comparison: Comparison, title: str, label: str) -> str:
    head = [tex(f"{n} {ARROWS[comparison.better[n]]}" if n in comparison.better else n) for n in comparison.names]
    places = {name: comparison.column(name) for name in comparison.names}
    options = dict(list(divided(comparison).varying.items())[:MOST_OPTIONS])
    grid = {"": [*map(tex, options), *head]}
    for row, variant in enumerate(comparison.variants):
        grid[tex(comparison.title_of(variant))] = [tex(texts[row]) for texts in options.values()]
        for name in comparison.names:
            cell = comparison.cell(variant, name, label)
            text = cell.shown(places[name], " \\pm ")
            best = variant in comparison.winners(name, label)
            grid[tex(comparison.title_of(variant))].append(
                f"$\\mathbf{{{text}}}$" if best else f"${text}$" if cell.values else "--"
            )
    long = len(comparison.names) > ABREAST
    notes = []
    for place, (floor, values) in enumerate(comparison.floors.items()):
        cells = [""] * len(options)
        cells += [f"${span(values[n], places[n], '..')}$" if n in values else "--" for n in comparison.names]
        name = tex(floor)
        if long:  # a column has no room for so long a name
            name = f"({chr(ord('a') + place)})"
            notes.append(f"{name} {tex(floor)}")
        grid[name] = cells
    rows = [[name, *cells] for name, cells in grid.items()]
    ruled = len(comparison.variants)
    if long:
        rows, ruled = [list(row) for row in zip(*rows, strict=True)], 0
    told = f" ({WORDS[label]} checkpoint)" if len(comparison.labels) > 1 else ""
    caption = tex(_caption(comparison, title + told)) + (f" {'; '.join(notes)}." if notes else "")
    lines = [f"    {' & '.join(row)} \\\\" for row in rows]
    lines.insert(1, "    \\midrule")
    if ruled and comparison.floors:
        lines.insert(ruled + 2, "    \\midrule")
    return "\n".join([
        "\\begin{table}", "  \\centering", f"  \\caption{{{caption}}}",
        f"  \\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}", "    \\toprule", *lines,
        "    \\bottomrule", "  \\end{tabular}", "\\end{table}",
    ])  # fmt: skip


def _caption(comparison: Comparison, title: str) -> str:
    """The title, and what the numbers depend on: seeds, images, extractors."""
    counts = comparison.seeds
    seeds = plural(counts[0], "seed") if len(counts) == 1 else f"{extent(counts)} seeds"
    spread = "; mean and standard deviation over seeds" if counts and counts[-1] > 1 else ""
    sentences = [f"{title}.", f"{seeds}{spread}."]
    sentences += [f"{line}." for line in protocol(comparison)]
    return " ".join(sentences)


def tex(text: str) -> str:
    """Text with everything escaped that LaTeX would read as a command."""
    return re.sub(r"\s+", " ", "".join(LATEX.get(letter, letter) for letter in visible(text)))
