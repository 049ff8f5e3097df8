"""The learning rates of a run on its page: a small chart drawn in the page itself, and its values as a table."""

from collections.abc import Sequence

from dominate import tags
from dominate.util import raw

from util.html import scrolling, visible
from util.pages.curves import Curves

WIDTH, HEIGHT = 600, 70  # of the drawing, in its own units; the page stretches it
ROWS = 12  # of the table, at most
COLOURS = ("var(--accent)", "var(--warn)", "var(--good)", "var(--soft)")


def rates_section(rates: Curves | None) -> tags.section | None:
    """The card; None where nothing is known, as of a run of an earlier version."""
    x, y = rates.points() if rates is not None else ([], {})
    if not x:
        return None
    known = {name: [v for v in values if v is not None] for name, values in y.items()}
    now = ", ".join(f"{name} {values[-1]:.3g}" for name, values in known.items() if values)
    said = "; ".join(f"{name} from {v[0]:.3g} to {v[-1]:.3g}" for name, v in known.items() if v)
    about = f"learning rate over epochs {x[0]:.3g} to {x[-1]:.3g}: {said}"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" style="display:block;width:100%;height:70px"'
    chart = f'<svg {size} aria-hidden="true">{"".join(_lines(x, y))}</svg>'
    figure = tags.div(raw(chart), role="img", aria_label=visible(about))
    section = tags.section(tags.div(tags.h2("Learning rate"), tags.span(visible(now), cls="soft"), cls="head"), figure)
    section["class"], section["id"] = "card", "rates"
    section.add(_table(x, y))
    return section


def _lines(x: Sequence[float], y: dict[str, list[float | None]]) -> list[str]:
    """A polyline of each rate, from 0 at the foot to the highest."""
    top = max((v for values in y.values() for v in values if v is not None), default=0.0) or 1.0
    span = (x[-1] - x[0]) or 1.0
    out = []
    for colour, values in zip(COLOURS * len(y), y.values(), strict=False):
        places = [
            f"{(at - x[0]) / span * WIDTH:.1f},{HEIGHT - 3 - v / top * (HEIGHT - 6):.1f}"
            for at, v in zip(x, values, strict=True)
            if v is not None
        ]
        if len(places) == 1:  # a single value is a level
            places = [f"0,{places[0].split(',')[1]}", f"{WIDTH},{places[0].split(',')[1]}"]
        style = f"fill:none;stroke:{colour};stroke-width:1.7;vector-effect:non-scaling-stroke"
        out.append(f'<polyline points="{" ".join(places)}" style="{style}"/>')
    return out


def _table(x: Sequence[float], y: dict[str, list[float | None]]) -> tags.details:
    every = -(-len(x) // ROWS)
    shown = list(range(len(x) - 1, -1, -every))[::-1]
    head = tags.thead(tags.tr(tags.th("epoch", scope="col"), *[tags.th(visible(name), scope="col") for name in y]))
    body = tags.tbody()
    for at in shown:
        cells = [tags.td("" if values[at] is None else f"{values[at]:.3g}") for values in y.values()]
        body.add(tags.tr(tags.th(f"{x[at]:.4g}", scope="row"), *cells))
    values = scrolling("values of the learning rate", tags.table(head, body, cls="scores"))
    return tags.details(tags.summary("Values"), values, id="rate_values", cls="values")
