"""The page of a training run, ``web/index.html``: its state, loss curves and images, live without a server."""

import dataclasses
import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dominate import tags
from dominate.util import raw

from util.html import asset, embed, new_page, picture, png_size, scrolling, short, visible
from util.pages.curves import Curves
from util.pages.rates import rates_section
from util.pages.results_page import APART, group
from util.pages.strip import Strip
from util.table import ABSENT, arrowed, figures, plural
from util.writing import write_atomically

Levels = Mapping[str, Mapping[str, float]]  # loss -> {what the value is: value}, e.g. {"NCE": {"chance": 5.5}}

REFRESH = 30  # seconds between two looks of an open page at the run
DRAWN = 400  # evaluations, at most
BLOCK = 25  # epochs on an archive page; the first page shows two blocks
IMAGE = re.compile(r"epoch(\d{3,})_(.+)\.png")
UNSAFE = re.compile(r"[^\w .,+()@=~-]")  # in the name of a file, on one system or another


@dataclasses.dataclass(frozen=True)
class Status:
    """Where a run is. ``done`` is the part of the whole run in [0, 1], ``left`` what remains in words."""

    state: str = "running"  # running, finished or stopped
    epoch: int = 0
    epochs: int = 0
    done: float = 0.0
    left: str = ""


class TrainingPage:
    """Writes the page; the images themselves are written by the caller.

    Args:
        folder: of the page, in that of the run; the images are in ``folder/images``.
        options: {name: (value, whether it differs from the default)}.
        width: of an image, in CSS pixels.
        epoch: in which the run goes on; images of later ones, left by a part that is made again, are not shown.
        step: from which it goes on; the film strip goes on from there.
        apart: images of another picture, which no other image should look like.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        options: Mapping[str, tuple[Any, bool]],
        width: int,
        epoch: float = math.inf,
        step: int = 0,
        apart: Sequence[str] = (),
    ):
        self.apart = frozenset(apart)
        self.strip = Strip(folder, step)
        self.folder, self.name, self.width = folder, name, width
        self._images: dict[int, dict[str, None]] = {}  # epoch -> its images in display order
        self._rendered: dict[int, tuple[list[str], str]] = {}
        self._archived: set[int] = set()
        self._options = _options(options).render(pretty=False) if options else ""
        found = []
        if (folder / "images").is_dir():  # of an earlier part of this run
            for path in (folder / "images").iterdir():
                if (match := IMAGE.fullmatch(path.name)) and int(match[1]) <= epoch:
                    found.append((path.stat().st_mtime_ns, path.name, int(match[1]), match[2]))
        for _, _, epoch, visual in sorted(found):  # they were written in display order
            self._images.setdefault(epoch, {})[visual] = None

    @staticmethod
    def file_name(epoch: int, visual: str) -> str:
        """The published name of an image; characters that no file system takes are replaced."""
        return f"epoch{epoch:03d}_{UNSAFE.sub('_', visual)}.png"

    def add_images(self, epoch: int, visuals: Sequence[str]) -> None:
        names = [IMAGE.fullmatch(self.file_name(epoch, v))[2] for v in visuals]  # type: ignore[index]
        self._images[epoch] = dict.fromkeys([*names, *self._images.get(epoch, {})])
        self._rendered.pop(epoch, None)

    def write(
        self,
        curves: Curves,
        status: Status,
        levels: Levels = MappingProxyType({}),
        evaluations: Sequence[Mapping[str, Any]] = (),
        warnings: Sequence[str] = (),
        rates: Curves | None = None,
    ) -> None:
        """Write index.html, and once each the archive pages of epochs that it no longer shows.

        Args:
            levels: loss -> values to read it by, drawn beside its curve.
            evaluations: records of evaluations.jsonl.
            warnings: what has gone wrong, a line each.
            rates: the learning rates, as ``curves``.

        Raises:
            OSError: the folder cannot be written.
        """
        epochs = sorted(self._images, reverse=True)
        oldest = ((epochs[0] - 1) // BLOCK - 1) * BLOCK + 1 if epochs else 1
        blocks = sorted({(e - 1) // BLOCK for e in epochs if e < oldest}, reverse=True)
        for block in blocks:
            if block not in self._archived:
                self._archive(block, [e for e in epochs if (e - 1) // BLOCK == block])
        part = _evaluations_section(evaluations)
        newest = [e for e in epochs if e >= oldest]
        page = self._page(curves, status, newest, blocks, levels, part, warnings, rates_section(rates))
        write_atomically(self.folder / "index.html", page, self.folder.parent)

    def _page(
        self,
        curves: Curves,
        status: Status,
        epochs: list[int],
        blocks: list[int],
        levels: Levels,
        evaluation: tuple[tags.section | None, dict[str, Any]],
        warnings: Sequence[str],
        rates: tags.section | None,
    ) -> str:
        page = new_page(f"Experiment name = {self.name}")
        if status.state == "running":  # the page's script does this too, and keeps the reader's place
            page.head.add(tags.noscript(tags.meta(http_equiv="refresh", content=str(REFRESH))))
        x, y = curves.points()
        note = f"{len(x):,} points" + (f", each the mean of {curves.stride}" if curves.stride > 1 else "")
        main = page.body.add(tags.main(self._header(status)))
        for line in warnings:
            main.add(tags.p(tags.strong("Warning "), visible(line), cls="card alert", role="alert"))
        main.add(
            tags.section(
                tags.div(tags.h2("Losses"), controls(), cls="head"),
                tags.div(id="legend", cls="legend"),
                tags.div(tags.div(id="tip", cls="tip", hidden=True), id="charts", cls="charts"),
                values_table("values", "values of the losses"),
                tags.p(
                    f"{note}; x is the epoch. Every record is in metrics.jsonl." if x else "No losses yet.", cls="soft"
                ),
                tags.noscript(tags.p("The curves need JavaScript; the numbers are in loss_log.txt and metrics.jsonl.")),
                cls="card",
            )
        )
        for card in (rates, evaluation[0], self.strip.section()):
            if card is not None:
                main.add(card)
        hint = "newest first; click or Enter to enlarge, arrow keys step through images and epochs" if epochs else ""
        images = tags.section(tags.div(tags.h2("Images"), tags.span(hint, cls="soft"), cls="head"), cls="card")
        if self.apart and epochs:
            images.add(tags.p(APART, cls="soft said"))
        for epoch in epochs:
            images.add(raw(self._epoch(epoch)))
        if not epochs:
            images.add(tags.p("No images yet.", cls="soft"))
        if blocks:
            links = [tags.a(_block_name(b), href=_block_file(b)) for b in blocks]
            images.add(tags.nav("Earlier: ", *links, aria_label="earlier epochs"))
        main.add(images)
        if self._options:
            main.add(raw(self._options))
        data = {
            "x": [short(v) for v in x],
            "y": {visible(n): [short(v) for v in values] for n, values in y.items()},
            "levels": {visible(n): {k: short(v) for k, v in values.items()} for n, values in levels.items()},
            "evaluations": evaluation[1],
            "state": status.state,
            "updated": round(time.time(), 1),
            "refresh": REFRESH,
            "silence": 15 * 60,
        }
        page.body.add(
            tags.script(embed(data), type="application/json", id="data"),
            tags.script(raw(asset("training.js"))),
            tags.script(raw(asset("viewer.js"))),
        )
        return page.render(pretty=False)

    def _header(self, status: Status) -> tags.header:
        facts = [("epoch", f"{status.epoch} of {status.epochs}"), ("done", f"{100 * status.done:.1f} %")]
        if status.left and status.state == "running":
            facts.append(("left", status.left))
        row = tags.div(cls="facts")
        for label, value in facts:
            row.add(tags.span(f"{label} ", tags.b(value)))
        when = time.strftime("%Y-%m-%d %H:%M:%S %z")
        row.add(tags.span("updated ", tags.time_(when, datetime=when, title=when, id="age")))
        if status.state == "running":  # the page reloads itself
            row.add(tags.button("pause updates", type="button", id="pause", hidden=True))
        title = tags.div(
            tags.h1(visible(self.name)), tags.span(status.state, id="state", cls=f"pill {status.state}"), cls="titled"
        )
        return tags.header(
            tags.p("Diptych training run", cls="kicker"), title, tags.progress(value=f"{status.done:.4f}", max="1"), row
        )

    def _epoch(self, epoch: int) -> str:
        """One epoch's images, those that exist; rendered again only when they changed."""
        files = {v: f"epoch{epoch:03d}_{v}.png" for v in self._images[epoch]}
        there = [v for v, file in files.items() if (self.folder / "images" / file).is_file()]
        if epoch not in self._rendered or self._rendered[epoch][0] != there:
            title, row = tags.h3(f"epoch {epoch}"), tags.article(cls="row", id=f"epoch{epoch}")
            mine, theirs = ([v for v in there if (v in self.apart) == other] for other in (False, True))
            if mine and theirs:
                said = tags.h4("another picture", cls="soft")
                figures = self._figures(f"epoch {epoch}", mine, files)
                others = self._figures(f"epoch {epoch}, another picture", theirs, files)
                row.add(tags.div(cls="groups")).add(
                    group(title, figures, len(mine), self.width, apart=False),
                    group(said, others, len(theirs), self.width, apart=True),
                )
            else:
                row.add(title, self._figures(f"epoch {epoch}", there, files))
            self._rendered[epoch] = (there, row.render(pretty=False) if there else "")
        return self._rendered[epoch][1]

    def _figures(self, row: str, visuals: Sequence[str], files: Mapping[str, str]) -> tags.div:
        figures = tags.div(cls="figures")
        figures["style"] = f"grid-template-columns: repeat({max(1, len(visuals))}, minmax(84px, {self.width}px))"
        for v in visuals:
            path, size = f"images/{files[v]}", png_size(self.folder / "images" / files[v])
            figures.add(picture(path, v, self.width, size, row=row))
        return figures

    def _archive(self, block: int, epochs: list[int]) -> None:
        page = new_page(f"{self.name}: {_block_name(block)}")
        images = tags.section(tags.div(tags.h2("Images"), cls="head"), cls="card")
        for epoch in epochs:
            images.add(raw(self._epoch(epoch)))
            del self._rendered[epoch]
        page.body.add(
            tags.main(
                tags.p("Diptych training run", cls="kicker"),
                tags.h1(f"{visible(self.name)}: {_block_name(block)}"),
                tags.nav(tags.a("newest epochs and curves", href="index.html"), aria_label="pages of the run"),
                images,
            )
        )
        page.body.add(tags.script(raw(asset("viewer.js"))))
        write_atomically(self.folder / _block_file(block), page.render(pretty=False), self.folder.parent)
        self._archived.add(block)


def _block_name(block: int) -> str:
    return f"epochs {block * BLOCK + 1} to {(block + 1) * BLOCK}"


def _block_file(block: int) -> str:
    return f"epochs_{block * BLOCK + 1:04d}-{(block + 1) * BLOCK:04d}.html"


def values_table(name: str, label: str) -> tags.details:
    """Where the script of a page with charts puts their values as numbers; it folds, and is empty till it is opened."""
    values = scrolling(label), tags.p(cls="soft")
    return tags.details(tags.summary("Values"), *values, id=name, cls="values", hidden=True)


def controls() -> tags.div:
    return tags.div(
        tags.label("smoothing", tags.input_(type="range", id="smooth", min="0", max="0.99", step="0.01")),
        tags.label(tags.input_(type="checkbox", id="log"), "log scale"),
        tags.label(tags.input_(type="checkbox", id="apart"), "one chart each"),
        cls="controls",
    )


def _evaluations_section(records: Sequence[Mapping[str, Any]]) -> tuple[tags.section | None, dict[str, Any]]:
    """Evaluations, last and best as numbers: the card, and what the page's script draws in it; None without any.

    Args:
        records: of evaluations.jsonl, in their order.
    """
    if not records:
        return None, {}
    last, best = records[-1], next((r for r in reversed(records) if r.get("best")), None)
    every = -(-len(records) // DRAWN)
    drawn = [r for i, r in enumerate(records) if i % every == 0 or r is last or r is best]
    names = list(dict.fromkeys(name for record in records for name in record["values"]))
    better = {name: way for record in records for name, way in record["better"].items()}
    data = {
        "x": [record["step"] for record in drawn],
        "y": {visible(name): [short(record["values"].get(name)) for record in drawn] for name in names},
        "best": None if best is None else drawn.index(best),
    }
    columns = [("last", last)] + ([("best", best)] if best is not None else [])
    heads = [tags.th(title, tags.div(f"step {record['step']:,}"), scope="col") for title, record in columns]
    table = tags.table(tags.thead(tags.tr(tags.th("value", scope="col"), *heads)), cls="scores")
    body = table.add(tags.tbody())
    for name in names:
        cells = [tags.td(figures(record["values"].get(name), ABSENT)) for _, record in columns]
        body.add(tags.tr(tags.th(visible(arrowed(name, better)), scope="row"), *cells))
    made = plural(len(records), "evaluation")
    note = f"{made} of the complete {last.get('phase', 'test')}; x is the step. Every record is in evaluations.jsonl."
    if best is not None:
        note += " The circle is the checkpoint best; chosen by the numbers shown, it looks better than it is."
    card = tags.section(
        tags.div(tags.h2("Evaluation"), cls="head"),
        scrolling("evaluations, last and best", table),
        tags.div(tags.div(id="evaluation_tip", cls="tip", hidden=True), id="evaluations", cls="charts apart"),
        values_table("evaluation_values", "values of the evaluations"),
        cls="card",
        id="evaluation",
    )
    for remark in last["remarks"]:
        card.add(tags.p(visible(remark), cls="soft"))
    card.add(tags.p(note, cls="soft"))
    return card, data


def _options(options: Mapping[str, tuple[Any, bool]]) -> tags.details:
    items = tags.ul(cls="options")
    for name, (value, changed) in sorted(options.items()):
        words = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        shown = tags.b(visible(words)) if changed else tags.span(visible(words))
        items.add(tags.li(tags.span(visible(name), cls="soft"), " ", shown))
    count = sum(c for _, c in options.values())
    return tags.details(
        tags.summary(f"Options ({count} of {len(options)} differ from the default)"), items, id="options", cls="card"
    )
