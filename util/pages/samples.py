"""The page of images from noise: grids, tables and the curves of the run, in sections."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dominate import tags
from dominate.util import raw

from options import Exit, UserError
from util.html import asset, embed, new_page, picture, png_size, visible
from util.pages.curves import Curves
from util.pages.training import controls, short, values_table
from util.writing import write_atomically

SMALL = 96  # pixels a side up to which an image is enlarged in squares, not smoothed
SMALLEST, LARGEST = 24, 88  # CSS pixels of an image of a grid; below that its row scrolls

ImageRow = tuple[str, Mapping[str, str]]  # its name, and {caption: file relative to the page}


class SamplesPage:
    """``folder/index.html``; sections appear in the order in which they are added.

    Args:
        title: of the page.
        size: height and width of an image, in pixels.
    """

    def __init__(self, folder: Path, title: str, size: int):
        self.folder, self.size = folder, size
        self.page = new_page(title)
        self.page.head.add(tags.style(raw(asset("samples.css"))))
        head = tags.p("Diptych samples", cls="kicker"), tags.h1(visible(title))
        if size <= SMALL:
            self.page.body["class"] = "pixels"
        self.main = self.page.body.add(tags.main(*head))
        self.scripts: list[tags.html_tag] = []

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Names and values in one line below the title."""
        pairs = [tags.span(f"{visible(name)} ", tags.b(visible(str(value)))) for name, value in facts.items()]
        self.main.add(tags.div(*pairs, cls="facts"))

    def add_grid(self, heading: str, note: str, rows: Sequence[ImageRow]) -> None:
        """Rows of images under one another; ``note`` says what rows and columns are."""
        section = self._section(heading, f"{note}; click or Enter to enlarge")
        section["class"] = "card grid"
        columns = max(len(images) for _, images in rows)
        for name, images in rows:
            figures = tags.div(cls="figures")
            figures["style"] = f"grid-template-columns: repeat({columns}, minmax({SMALLEST}px, {LARGEST}px))"
            for caption, file in images.items():
                figures.add(picture(file, caption, LARGEST, png_size(self.folder / file), row=name))
            section.add(tags.article(tags.h3(visible(name)), figures, cls="row"))

    def add_section(self, section: tags.section) -> None:
        """A card that was made elsewhere."""
        self.main.add(section)

    def add_curves(self, curves: Curves, ended: float) -> None:
        """Losses over epochs, as on the page of the training run.

        Args:
            ended: when the last record was written, in seconds since 1970.
        """
        x, y = curves.points()
        each = f", each the mean of {curves.stride} records" if curves.stride > 1 else ""
        self.main.add(
            tags.section(
                tags.div(tags.h2("Losses of the run"), controls(), cls="head"),
                tags.div(id="legend", cls="legend"),
                tags.div(tags.div(id="tip", cls="tip", hidden=True), id="charts", cls="charts"),
                values_table("values", "values of the losses"),
                tags.p(f"{len(x):,} points{each}; x is the epoch; the last is of ", tags.time_(id="age"), cls="soft"),
                cls="card",
            )
        )
        data = {
            "x": [short(v) for v in x],
            "y": {visible(name): [short(v) for v in values] for name, values in y.items()},
            "state": "finished",
            "updated": ended,
        }
        self.scripts += [
            tags.script(embed(data), type="application/json", id="data"),
            tags.script(raw(asset("training.js"))),
        ]

    def save(self) -> None:
        """Raises:
        UserError: the page cannot be written.
        """
        self.page.body.add(*self.scripts, tags.script(raw(asset("viewer.js"))))
        path = self.folder / "index.html"
        try:
            write_atomically(path, self.page.render(pretty=False))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}", code=Exit.STORAGE) from error

    def _section(self, heading: str, note: str) -> tags.section:
        head = tags.div(tags.h2(visible(heading)), tags.span(visible(note), cls="soft"), cls="head")
        return self.main.add(tags.section(head, cls="card"))
