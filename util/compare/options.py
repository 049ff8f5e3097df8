"""Options of a comparison: where runs differ, and the commands that make each again."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dominate import tags

from options import TrainOptions
from options.fields import flags_of
from util.compare.run import ComparedRun
from util.compare.table import Comparison
from util.html import scrolling, visible

TOLD = {"model", "max_steps"}  # by the name of a variant, and among what it cost
COLOURS, PATTERNS = 10, 4  # of variants, in compare.css: the colours begin again, in other patterns
# They differ between runs of one variant, are places, or are of an invocation and change nothing that is learned.
SILENT = {"name", "seed", "checkpoints_dir", "results_dir"}
SILENT |= {name for name, flag in flags_of(TrainOptions).items() if flag.metadata.get("per_run")}


@dataclass(frozen=True)
class Divided:
    """Options by whether they differ between variants: name -> text of each variant, "" where it has none.

    Attributes:
        asked: they differ, or only some variants have them and some run has not the default.
        partly: only some variants have them, at their defaults.
        common: name -> text of what is the same everywhere, and not the default.
        left: of each variant, whether a run of it left its options.
    """

    asked: dict[str, list[str]]
    partly: dict[str, list[str]]
    common: dict[str, str]
    left: list[bool]

    @property
    def varying(self) -> dict[str, list[str]]:
        """Those that tell variants from one another, and that all of them have: columns of tables."""
        return {
            name: texts
            for name, texts in self.asked.items()
            if name not in TOLD and all(text or not left for text, left in zip(texts, self.left, strict=True))
        }


def options_section(comparison: Comparison, settings: str = "") -> tags.section:
    """Options that differ between variants; folded, what is the same everywhere but not the default.

    Args:
        settings: how they were chosen, in the words of the recipe; what it says of a variant stands with it.
    """
    found = divided(comparison)
    section = tags.section(tags.div(tags.h2("Options that differ"), cls="head"), cls="card")
    if settings:
        section.add(tags.p(visible(settings), cls="note"))
    noted = {v: runs[0].note for v, runs in comparison.variants.items() if runs[0].note}
    if noted:
        said = section.add(tags.ul(cls="said"))
        for variant, note in noted.items():
            place = list(comparison.variants).index(variant)
            name = tags.b(visible(comparison.title_of(variant)))
            said.add(tags.li(swatch(place), name, f": {visible(note)}", data_v=str(place)))
    if found.asked:
        section.add(_option_table(comparison, found.asked))
    else:
        known = any(run.options for run in comparison.runs)
        section.add(tags.p("None." if known else "No run left its options.", cls="soft"))
    if found.common:
        items = tags.ul(cls="options")
        for name, text in found.common.items():
            items.add(tags.li(tags.span(visible(name), cls="soft"), " ", tags.b(visible(text))))
        summary = f"The same everywhere, and not the default ({len(found.common)})"
        section.add(tags.details(tags.summary(summary), items))
    if found.partly:
        summary = f"Options that only some models have, at their defaults ({len(found.partly)})"
        section.add(tags.details(tags.summary(summary), _option_table(comparison, found.partly)))
    return section


def divided(comparison: Comparison) -> Divided:
    known = [run for run in comparison.runs if run.options]
    asked: dict[str, list[str]] = {}
    partly: dict[str, list[str]] = {}
    common: dict[str, str] = {}
    for name in sorted({name for run in known for name in run.options} - SILENT):
        texts = [_of_variant(runs, name) for runs in comparison.variants.values()]
        there = {text for text in texts if text is not None}
        changed = any(name in run.changed for run in known)
        if len(there) > 1 or (None in _known(texts, comparison) and changed):
            asked[name] = [("" if text is None else text) for text in texts]
        elif None in _known(texts, comparison):
            partly[name] = [("" if text is None else text) for text in texts]
        elif changed:
            common[name] = there.pop()
    return Divided(asked, partly, common, [any(run.options for run in runs) for runs in comparison.variants.values()])


def _known(texts: Sequence[str | None], comparison: Comparison) -> list[str | None]:
    """Without those of variants that left no options at all."""
    left = [any(run.options for run in runs) for runs in comparison.variants.values()]
    return [text for text, is_there in zip(texts, left, strict=True) if is_there]


def _of_variant(runs: Sequence[ComparedRun], name: str) -> str | None:
    texts = dict.fromkeys(option_text(run.options[name]) for run in runs if name in run.options)
    return " | ".join(texts) if texts else None


def _option_table(comparison: Comparison, rows: Mapping[str, Sequence[str]]) -> tags.div:
    head = tags.tr(tags.th("option", scope="col"))
    for place, variant in enumerate(comparison.variants):
        head.add(tags.th(swatch(place), tags.span(visible(comparison.title_of(variant))), scope="col"))
    body = tags.tbody()
    for name, texts in rows.items():
        usual = next((text for text in texts if 2 * list(texts).count(text) > len(texts)), None)
        bold = {"cls": "other"} if usual else {}  # what is not as in most variants; none where most have no such option
        cells = [tags.td(visible(t) or "\u2013", **(bold if t and t != usual else {})) for t in texts]
        body.add(tags.tr(tags.th(visible(name), scope="row"), *cells))
    return scrolling("options", tags.table(tags.thead(head), body, cls="which options"))


def option_cell(texts: Sequence[str], place: int, cls: str) -> tags.td:
    """The text of a variant in a column that sorts by number, or by the alphabet."""
    order = sorted(set(texts), key=lambda text: (_number(text), text))
    return tags.td(visible(texts[place]) or "\u2013", data_v=str(order.index(texts[place])), cls=cls)


def _number(text: str) -> float:
    """What orders texts that are numbers before others."""
    try:
        return float(text)
    except ValueError:
        return math.inf


def commands_section(comparison: Comparison) -> tags.details:
    details = tags.details(tags.summary("How it was made"), cls="card")
    details.add(
        tags.p("The commands with every option that is not the default, to train and to test each run.", cls="soft")
    )
    for run in comparison.runs:
        lines = []
        if run.options:
            lines.append(command("train.py", run.options, run.changed))
        if run.tested:
            lines.append(command("test.py", run.tested, run.test_changed))
        text = "\n".join(lines) if lines else "# its options are not known"
        details.add(tags.pre(visible(f"# {run.title}, seed {run.seed}: {run.state}\n{text}".replace("\r", " "))))
    return details


def command(script: str, options: Mapping[str, Any], changed: Mapping[str, str]) -> str:
    """A command line with the options that differ from their defaults."""
    first = [name for name in ("model", "name", "seed") if name in options]
    names = [*first, *sorted(name for name in changed if name in options and name not in first)]
    return " ".join(["python", script, *(f"--{name} {shlex.quote(option_text(options[name]))}" for name in names)])


def option_text(value: Any) -> str:
    """A value as a flag takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(option_text, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def swatch(place: int) -> tags.i:
    """The colour of a variant; of those beyond the first ten striped, ringed, and so on, as their lines are dashed."""
    swatch = tags.i(cls=f"swatch p{place // COLOURS % PATTERNS}", aria_hidden="true")
    swatch["style"] = f"--own: var(--v{place % COLOURS})"
    return swatch
