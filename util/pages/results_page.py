"""The page of a test: rows of images, on as many pages as they need."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dominate import tags
from dominate.util import raw

from options import Exit, UserError
from util.html import asset, new_page, picture, png_size, visible
from util.writing import Folder, write_atomically

EVERY = 100  # rows between two writes of the page that is being filled
APART = (
    "These data are not paired: real_B is another picture of the target side, not what fake_B should look like. It "
    "stands apart, with what was made of it."
)
ELSEWHERE = (
    "Inputs are shown where they lie, at addresses relative to this folder: moved without them, it lacks them. "
    "test.py --copy_inputs keeps copies in images/."
)


@dataclass(frozen=True)
class Shown:
    """An image of a row.

    Attributes:
        file: relative to the page; outside its folder where it is an input that is shown where it lies.
        small: a smaller copy that the page shows in its place; the viewer has the file itself.
        size: width and height of the file.
    """

    file: str
    small: str = ""
    size: tuple[int, int] | None = None


class ResultsPage:
    """``folder/index.html``, continued in index_2.html and so on.

    A row is rendered once. A page that is full is written and forgotten, so the cost grows with the number of
    rows and memory does not; only the first page, with the values, is written again at the end.

    Args:
        title: e.g. "Experiment = horse2zebra, Phase = test, Epoch = latest".
        columns: names of the images of a row, in display order.
        width: of an image, in CSS pixels, where the window has room for it.
        apart: the columns of another picture, which no image of the others should look like.
        above: text and address of a link below the title.
        root: of the results, if the page lies deeper than that; no link is followed below it.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        columns: Sequence[str],
        width: int,
        rows_per_page: int = 500,
        above: tuple[str, str] | None = None,
        root: Path | None = None,
        apart: Sequence[str] = (),
    ):
        self.folder, self.title, self.root = folder, title, root or folder
        self.apart = [column for column in columns if column in apart]
        self.columns = [column for column in columns if column not in apart]
        self.elsewhere = False  # whether an image lies outside of the folder
        self.width, self.rows_per_page, self.above = width, rows_per_page, above
        self._count = 0
        self._first: list[str] = []  # the rows of the first page, once there are others
        self._rows: list[str] = []  # the rows of the page that is being filled
        self._sections: list[str] = []
        if folder.is_dir():  # pages of an earlier and longer test are not of this one
            with Folder(folder, self.root) as there:
                for name in [path.name for path in folder.iterdir()]:
                    if re.fullmatch(r"index_\d+\.html", name):
                        there.remove(name)

    def add_row(self, name: str, images: Mapping[str, str | Path | Shown], other: str = "") -> None:
        """One item. ``images`` are paths relative to the folder, by column; a column may be missing.

        Args:
            other: the name of the picture that the columns apart are of.

        Raises:
            UserError: the page cannot be written.
        """
        if len(self._rows) == self.rows_per_page:  # only now is it known that there is a next page
            self._write(self._page_number, last=False)
            if self._page_number == 1:
                self._first = self._rows
            self._rows = []
        self._rows.append(self._row(name, {column: self._shown(image) for column, image in images.items()}, other))
        self._count += 1
        if len(self._rows) % EVERY == 1 and self._count > 1:
            self._write(self._page_number, last=True)

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
            main.add(tags.nav(tags.a(f"\u2190 {self.above[0]}", href=self.above[1]), aria_label="above"))
        total = self._page_number
        start = (number - 1) * self.rows_per_page
        rows = self._first if number == 1 and total > 1 and self._first else self._rows
        for above in self._sections if number == 1 else ():
            main.add(raw(above))
        shown = f"{len(rows):,} item{'s' * (len(rows) != 1)}"
        if total > 1 or not last:
            shown = f"items {start + 1:,} to {start + len(rows):,}"
        hint = "click or Enter to enlarge, arrow keys step through images and items"
        section = main.add(tags.section(tags.div(tags.h2(shown), tags.span(hint, cls="soft"), cls="head"), cls="card"))
        if self.apart and self.columns:
            section.add(tags.p(APART, cls="soft said"))
        for row in rows:
            section.add(raw(row))
        if total > 1 or not last:
            main.add(self._links(number, total, last))
        if self.elsewhere:
            main.add(tags.footer(ELSEWHERE, cls="soft"))
        page.body.add(tags.script(raw(asset("viewer.js"))))
        path = self.folder / _file(number)
        try:
            write_atomically(path, page.render(pretty=False), self.root)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}", code=Exit.STORAGE) from error

    def _links(self, number: int, total: int, last: bool) -> tags.nav:
        """The neighbours; on the first page every page there is."""
        links, here = tags.nav(aria_label="pages"), {"cls": "here", "aria_current": "page"}
        if number == 1:
            known = max(total, 2 if not last else 1)
            for k in range(1, known + 1):
                links.add(tags.span(str(k), **here) if k == 1 else tags.a(str(k), href=_file(k)))
        else:
            links.add(
                tags.a("\u2190 previous", href=_file(number - 1)),
                tags.span(f"page {number}", **here),
            )
            if not last:
                links.add(tags.a("next \u2192", href=_file(number + 1)))
            links.add(tags.a("first page", href=_file(1)))
        return links

    def _shown(self, image: str | Path | Shown) -> Shown:
        found = image if isinstance(image, Shown) else Shown(str(image))
        self.elsewhere = self.elsewhere or Path(found.file).parts[:1] == ("..",)
        return found if found.size else replace(found, size=png_size(self.folder / found.file))

    def _row(self, name: str, images: Mapping[str, Shown], other: str) -> str:
        anchor = f"row{self._count + 1}"
        heading = tags.h3(tags.a(visible(name), href=f"#{anchor}"))
        row = tags.article(cls="row", id=anchor)
        mine = bool(self.columns and not images.keys().isdisjoint(self.columns))
        theirs = bool(self.apart and not images.keys().isdisjoint(self.apart))
        if not theirs:
            row.add(heading, self._figures(name, self.columns, images))
        elif not mine:
            row.add(heading, self._figures(name, self.apart, images))
        else:
            said = tags.h4(tags.span("another picture: ", cls="soft"), visible(other or name))
            groups = row.add(tags.div(cls="groups"))
            for title, shown, of in ((heading, self.columns, name), (said, self.apart, other or name)):
                figures = self._figures(of, shown, images)
                groups.add(group(title, figures, len(shown), self.width, apart=shown is self.apart))
        return row.render(pretty=False)

    def _figures(self, name: str, columns: Sequence[str], images: Mapping[str, Shown]) -> tags.div:
        figures = tags.div(cls="figures")
        figures["style"] = f"grid-template-columns: repeat({max(1, len(columns))}, minmax(84px, {self.width}px))"
        for column in columns:
            if column in images:
                image = images[column]
                figures.add(picture(image.file, column, self.width, image.size, row=name, small=image.small))
            else:
                figures.add(tags.figure(tags.figcaption(f"{visible(column)}: none")))
        return figures


def of_another_picture(columns: Sequence[str], sides: Mapping[str, str]) -> list[str]:
    """In data that are not paired, the images of side B: those of side A need not look like them."""
    return [column for column in columns if column == "real_B" or sides.get(column) == "B"]


def group(title: tags.html_tag, figures: tags.div, count: int, width: int, apart: bool) -> tags.div:
    """Images of a row that belong together, beside those that stand apart or, in a narrow window, above them."""
    style = f"flex: {count} 1 {130 * count}px; max-width: {(width + 10) * count + 20}px"
    return tags.div(title, figures, cls="group apart" if apart else "group", style=style)


def _file(number: int) -> str:
    return "index.html" if number == 1 else f"index_{number}.html"
