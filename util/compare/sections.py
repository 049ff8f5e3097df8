"""Parts of the page of a comparison that its script fills: curves, and images side by side."""

from collections.abc import Mapping
from typing import Any

from dominate import tags

from util.compare.families import FEW
from util.compare.table import WORDS, Comparison
from util.html import scrolling, visible
from util.pages.training import values_table


def is_grouped(comparison: Comparison) -> bool:
    """Whether variants stand by families: there are several, and more variants than a glance takes in."""
    return len(comparison.variants) > FEW and len(comparison.families) > 1


def filters(comparison: Comparison) -> tags.div | None:
    """What is shown of the variants, in the table, the curves, the images and the options; None where they are few."""
    if len(comparison.variants) <= FEW:
        return None
    box = tags.input_(type="search", id="filter", placeholder="parts of their names", autocomplete="off")
    bar = tags.div(tags.label("variants ", box), cls="filters", role="search", aria_label="variants that are shown")
    if is_grouped(comparison):
        chips = bar.add(tags.div(id="chips", role="group", aria_label="families"))
        for place, (family, variants) in enumerate(comparison.families.items()):
            chip = tags.button(visible(family), tags.small(f" {len(variants)}"), type="button", aria_pressed="true")
            chip["data-family"] = str(place)
            chip["title"] = "show or hide; with Shift, or by a double click, this one alone"
            chips.add(chip)
    bar.add(tags.output(id="found"))
    return bar


def chart_section(axis: str = "steps") -> tags.section:
    controls = tags.div(
        tags.label("value ", tags.select(id="value")),
        switch("axis", "x axis", {"steps": "steps", "time": "time"}, axis),
        tags.label("smoothing ", tags.input_(type="range", id="smooth", min="0", max="0.98", step="0.02", value="0.8")),
        tags.label(tags.input_(type="checkbox", id="log"), "log scale"),
        cls="controls",
    )
    return tags.section(
        tags.div(tags.h2("Curves"), controls, cls="head"),
        tags.div(id="legend", cls="legend"),
        tags.div(
            tags.canvas(id="chart", role="img", aria_label="values over steps"),
            tags.div(id="tip", cls="tip", hidden=True),
            cls="charts",
        ),
        values_table("values", "values of the curves"),
        tags.p(id="about", cls="soft"),
        tags.noscript(tags.p("The curves need JavaScript; the numbers are in comparison.csv and with each run.")),
        cls="card",
    )


def wall_section(wall: Mapping[str, Any]) -> tags.section:
    seeds, rows = list(wall["seeds"]), list(wall["seeds"].values())
    given, truth = any(seed["input"] for seed in rows), any(seed["truth"] for seed in rows)
    what = "inputs" if given else "images"
    controls = tags.div(cls="controls")
    if len(seeds) > 1:
        controls.add(switch("seed", "seed", {seed: seed for seed in seeds}, seeds[0]))
    if len(wall["which"]) > 1:
        controls.add(switch("which", "checkpoint", {w: WORDS[w] for w in wall["which"]}, wall["which"][0]))
    made = sum(
        any(places for seed in rows for places in seed["variants"][k].values()) for k in range(len(wall["labels"]))
    )
    layout = "one" if made > FEW else "inputs"
    single = "input" if given else "image or class"
    views = {"one": f"one {single}", "variants": "methods in rows", "inputs": f"{what} in rows"}
    controls.add(switch("layout", "view", views, layout))
    controls.add(tags.label("size ", tags.input_(type="range", id="size", min="32", max="320", step="16", value="112")))
    counts = dict.fromkeys((len(seed["items"]), seed["total"]) for seed in rows)
    partly = any(shown < total for shown, total in counts)
    notes = [f"{', '.join(f'{shown} of {total:,}' for shown, total in counts)} {what}"]
    notes[0] += ", evenly spread over their names, not picked by hand." if partly else "."
    if wall["left"]:
        notes.append("Of so many variants, images of the last checkpoints alone; those of the best are with each test.")
    if len({tuple(seed["items"]) for seed in rows}) > 1:
        notes.append("Each seed has others.")
    if not given:
        notes.append("Images of one row have the same number and class; the same noise where models take noise alike.")
    if wall["lossy"]:
        lossy = f"{wall['lossy']} of {len(wall['pictures'])} files are embedded as WebP"
        notes.append(f"{lossy}, not pixel by pixel, with {wall['side']} pixels a side at most.")
    if wall["gone"]:
        notes.append(f"{wall['gone']} inputs are not where their tests left them, or have changed; they are not shown.")
    if wall["differ"]:
        notes.append("Runs were given different inputs under one name; those of the first run are shown.")
    picker = tags.div(id="picker", cls="controls")
    picker.add(tags.button("\u2190", type="button", id="before", title="the one before", aria_label=f"{single} before"))
    picker.add(tags.label(f"{single} ", tags.select(id="pick")))
    picker.add(tags.button("\u2192", type="button", id="after", title="the next one", aria_label=f"next {single}"))
    hold = " Hold an enlarged one, or the key T, to see the truth." if truth else ""
    notes.append(f"Click or Enter to enlarge; arrow keys step through models and {what} at the same place.{hold}")
    return tags.section(
        tags.div(tags.h2("Side by side"), controls, cls="head"),
        picker,
        tags.div(id="one"),
        scrolling("images", tags.table(id="wall", cls="wall", data_layout=layout)),
        tags.p(" ".join(notes), cls="soft"),
        tags.noscript(tags.p("The images need JavaScript.")),
        cls="card",
    )


def switch(name: str, label: str, choices: Mapping[str, str], value: str) -> tags.fieldset:
    field = tags.fieldset(tags.legend(label), cls="switch")
    for choice, text in choices.items():
        checked = {"checked": True} if choice == value else {}
        field.add(tags.label(tags.input_(type="radio", name=name, value=choice, **checked), tags.span(visible(text))))
    return field
