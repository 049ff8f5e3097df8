"""The part of a training page that shows its evaluations: last and best as numbers, a chart for each value."""

from collections.abc import Mapping, Sequence
from typing import Any

from dominate import tags

from .html import short, visible

MOST = 400  # evaluations that are drawn
ARROWS = {"lower": " ↓", "higher": " ↑", "one": " → 1"}


def evaluation_card(records: Sequence[Mapping[str, Any]]) -> tuple[tags.section | None, dict[str, Any]]:
    """The card, and what the page's script draws in it; None and nothing without evaluations.

    Args:
        records: of evaluations.jsonl, in their order.
    """
    if not records:
        return None, {}
    last, best = records[-1], next((r for r in reversed(records) if r.get("best")), None)
    every = -(-len(records) // MOST)
    drawn = [r for i, r in enumerate(records) if i % every == 0 or r is last or r is best]
    names = list(dict.fromkeys(name for record in records for name in record["values"]))
    better = {name: way for record in records for name, way in record["better"].items()}
    data = {
        "x": [record["step"] for record in drawn],
        "y": {visible(name): [short(record["values"].get(name)) for record in drawn] for name in names},
        "best": None if best is None else drawn.index(best),
    }
    columns = [("last", last)] + ([("best", best)] if best is not None else [])
    heads = [tags.th(title, tags.div(f"step {record['step']:,}")) for title, record in columns]
    table = tags.table(tags.thead(tags.tr(tags.th("value"), *heads)), cls="scores")
    body = table.add(tags.tbody())
    for name in names:
        cells = [tags.td(_number(record["values"].get(name))) for _, record in columns]
        body.add(tags.tr(tags.th(visible(name) + ARROWS.get(better.get(name, ""), "")), *cells))
    made = f"{len(records)} evaluation{'s' if len(records) > 1 else ''}"
    note = f"{made} of the complete test; x is the step. Every record is in evaluations.jsonl."
    if best is not None:
        note += " The circle is the checkpoint best; chosen by the numbers shown, it looks better than it is."
    card = tags.section(
        tags.div(tags.h2("Evaluation"), cls="head"),
        tags.div(table, cls="scroll"),
        tags.div(tags.div(id="evaluation_tip", cls="tip", hidden=True), id="evaluations", cls="charts apart"),
        cls="card",
        id="evaluation",
    )
    for remark in last["remarks"]:
        card.add(tags.p(visible(remark), cls="soft"))
    card.add(tags.p(note, cls="soft"))
    return card, data


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"
