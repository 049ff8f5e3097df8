"""The short list of a comparison: for each value who leads, who is within the spread of the leader, and who is next."""

from collections.abc import Sequence

from dominate import tags

from util.compare.families import PAIRS
from util.compare.options import swatch
from util.compare.table import WORDS, Cell, Comparison, spreads_overlap
from util.html import scrolling, visible
from util.table import ARROWS

NAMED = 5  # variants of a cell, at most


def short_list(comparison: Comparison) -> tags.section | None:
    """Of the last checkpoints; None where nothing is ranked."""
    label = comparison.labels[0] if comparison.labels else ""
    body = tags.tbody()
    for name in comparison.names if label else ():
        for peers in comparison.peers:
            if comparison.leaders(name, label, peers):
                body.add(_row(comparison, name, label, peers))
    if not len(body):
        return None
    heads = ("value", "leads", "within its spread", "next")
    table = tags.table(tags.thead(tags.tr(*(tags.th(head, scope="col") for head in heads))), body, cls="best")
    said = f"Of the {WORDS[label]} checkpoints, means over seeds; all variants count, whatever is filtered. "
    said += "Within its spread: mean \u00b1 spread meets that of the leader, so no order is claimed. "
    if len(comparison.peers) > 1:
        said += "Variants that see pairs were told the truth and are ranked among themselves alone; whose is "
        said += "the best value of all is said, and no rank. "
    said += "What was not judged alike is not listed."
    section = tags.section(tags.div(tags.h2("Best by each value"), cls="head"), cls="card", id="best")
    section.add(scrolling("best by each value", table), tags.p(said, cls="soft"))
    return section


def _row(comparison: Comparison, name: str, label: str, peers: Sequence[str]) -> tags.tr:
    ranked, leaders = comparison.ranked(name, label, peers), comparison.leaders(name, label, peers)
    ties = comparison.ties(name, label)
    places = comparison.column(name)
    meets = [entry for entry in ranked if entry[0] in ties]
    behind = [entry for entry in ranked if entry[0] not in {*ties, *leaders}][:1]
    arrow = ARROWS.get(comparison.better.get(name, ""), "")
    head = tags.th(tags.span(visible(f"{name} {arrow}".strip())), scope="row")
    if len(comparison.peers) > 1:
        head.add(tags.small(PAIRS if peers == comparison.peers[1] else "without pairs", cls="soft"))
    first = [entry for entry in ranked if entry[0] in leaders]
    leads = _who(comparison, first, places, "lead")
    if any(run.alarms for variant, _ in first for run in comparison.variants[variant]):
        leads.add(tags.small("signs of a collapse", cls="lacking"))
    alike = len(comparison.peers) > 1 and not comparison.differences(name, label)
    if alike and comparison.ranked(name, label)[0][0] in leaders:
        leads.add(tags.small("the best value of all"))
    if behind and not meets and spreads_overlap(first[0][1], behind[0][1]) is None:
        leads.add(tags.small("one seed alone: the order may be chance", cls="lacking"))
    return tags.tr(head, leads, _who(comparison, meets, places), _who(comparison, behind, places))


def _who(comparison: Comparison, entries: Sequence[tuple[str, Cell]], places: int, cls: str = "") -> tags.td:
    """Variants with their values, one to a line."""
    cell, order = tags.td(cls=cls), list(comparison.variants)
    for variant, value in entries[:NAMED]:
        title = visible(comparison.title_of(variant))
        cell.add(tags.span(swatch(order.index(variant)), tags.b(title), f" {value.shown(places)}", cls="who"))
    if len(entries) > NAMED:
        cell.add(tags.span(f"and {len(entries) - NAMED} more", cls="who soft"))
    if not entries:
        cell["class"] = "nobody"
        cell.add(tags.span("\u2013", cls="soft"))
    return cell
