"""The page of a test run: one row per item, its images side by side."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dominate import tags
from dominate.util import raw

from options import UserError

from .html import asset, new_page, picture, png_size, visible, write_atomically

EVERY = 100  # rows between two writes of the page that is being filled


class ResultsPage:
    """``folder/index.html``, continued in index_2.html and so on.

    A row is rendered once. A page that is full is written and forgotten, so the cost grows with the number of
    rows and memory does not; only the first page, with the summary, is written again at the end.

    Args:
        title: e.g. "Experiment = horse2zebra, Phase = test, Epoch = latest".
        columns: names of the images of a row, in display order.
        width: of an image, in CSS pixels, where the window has room for it.
        above: text and address of a link below the title.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        columns: Sequence[str],
        width: int,
        rows_per_page: int = 500,
        above: tuple[str, str] | None = None,
    ):
        self.folder, self.title, self.columns = folder, title, list(columns)
        self.width, self.rows_per_page, self.above = width, rows_per_page, above
        self._count = 0
        self._first: list[str] = []  # the rows of the first page, once there are others
        self._rows: list[str] = []  # the rows of the page that is being filled
        self._summary: dict[str, Any] = {}
        self._sections: list[str] = []
        if folder.is_dir():  # pages of an earlier and longer test are not of this one
            for path in folder.iterdir():
                if re.fullmatch(r"index_\d+\.html", path.name):
                    path.unlink(missing_ok=True)

    def add_row(self, name: str, images: Mapping[str, str | Path]) -> None:
        """One item. ``images`` are paths relative to the folder, by column; a column may be missing.

        Raises:
            UserError: the page cannot be written.
        """
        if len(self._rows) == self.rows_per_page:  # only now is it known that there is a next page
            self._write(self._page_number, last=False)
            if self._page_number == 1:
                self._first = self._rows
            self._rows = []
        self._rows.append(self._row(name, images))
        self._count += 1
        if len(self._rows) % EVERY == 1 and self._count > 1:
            self._write(self._page_number, last=True)

    def add_summary(self, values: Mapping[str, Any]) -> None:
        """Numbers of the whole test, shown above the first row; called again, it adds to them."""
        self._summary.update(values)

    def add_section(self, section: tags.html_tag) -> None:
        """A part of the first page, above the first row."""
        self._sections.append(section.render(pretty=False))

    def save(self) -> None:
        """Write what is not written yet.

        Raises:
            UserError: the page cannot be written.
        """
        self._write(self._page_number, last=True)
        if self._page_number > 1:
            self._write(1, last=False)

    @property
    def files(self) -> list[str]:
        """Names of its pages in the folder."""
        return [_file(number) for number in range(1, self._page_number + 1)]

    @property
    def _page_number(self) -> int:
        return max(1, -(-self._count // self.rows_per_page))

    def _write(self, number: int, last: bool) -> None:
        page = new_page(self.title)
        main = page.body.add(tags.main(tags.p("Diptych results", cls="kicker"), tags.h1(visible(self.title))))
        if self.above is not None:
            main.add(tags.nav(tags.a(f"\u2190 {self.above[0]}", href=self.above[1])))
        total = self._page_number
        start = (number - 1) * self.rows_per_page
        rows = self._first if number == 1 and total > 1 and self._first else self._rows
        if number == 1 and self._summary:
            body = tags.tbody(*[tags.tr(tags.th(visible(n)), tags.td(_number(v))) for n, v in self._summary.items()])
            main.add(
                tags.section(
                    tags.div(tags.h2("Metrics"), cls="head"), tags.div(tags.table(body), cls="scroll"), cls="card"
                )
            )
        for above in self._sections if number == 1 else ():
            main.add(raw(above))
        shown = f"items {start + 1:,} to {start + len(rows):,}" if total > 1 or not last else f"{len(rows):,} items"
        hint = "click to enlarge, arrow keys step through images and items"
        section = main.add(tags.section(tags.div(tags.h2(shown), tags.span(hint, cls="soft"), cls="head"), cls="card"))
        for row in rows:
            section.add(raw(row))
        if total > 1 or not last:
            main.add(self._links(number, total, last))
        page.body.add(tags.script(raw(asset("viewer.js"))))
        path = self.folder / _file(number)
        try:
            write_atomically(path, page.render(pretty=False))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}", code=5) from error

    def _links(self, number: int, total: int, last: bool) -> tags.nav:
        """The neighbours; on the first page every page there is."""
        links = tags.nav()
        if number == 1:
            known = max(total, 2 if not last else 1)
            for k in range(1, known + 1):
                links.add(tags.span(str(k), cls="here") if k == 1 else tags.a(str(k), href=_file(k)))
        else:
            links.add(tags.a("\u2190 previous", href=_file(number - 1)), tags.span(f"page {number}", cls="here"))
            if not last:
                links.add(tags.a("next \u2192", href=_file(number + 1)))
            links.add(tags.a("first page", href=_file(1)))
        return links

    def _row(self, name: str, images: Mapping[str, str | Path]) -> str:
        figures = tags.div(cls="figures")
        figures["style"] = f"grid-template-columns: repeat({max(1, len(self.columns))}, minmax(84px, {self.width}px))"
        for column in self.columns:
            if column in images:
                path = Path(images[column])
                figures.add(picture(str(path), column, self.width, png_size(self.folder / path)))
            else:
                figures.add(tags.figure(tags.figcaption(f"{visible(column)}: none")))
        anchor = f"row{self._count + 1}"
        heading = tags.h3(tags.a(visible(name), href=f"#{anchor}"))
        return tags.article(heading, figures, cls="row", id=anchor).render(pretty=False)


def _file(number: int) -> str:
    return "index.html" if number == 1 else f"index_{number}.html"


def _number(value: Any) -> str:
    if value is None or value != value:  # a score that is not defined
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else visible(str(value))
