"""The page above the pages of several styles: their scores in a table, and a contact sheet of each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dominate import tags

from options import Exit, UserError
from util.html import link, new_page, png_size, visible
from util.pages.sections import table_section
from util.table import Table, plural
from util.writing import write_atomically

LABELS = {"real_A": "source", "fake_B": "generated", "real_B": "real"}  # of images that most methods have
SMALLEST, LARGEST = 42, 80  # CSS pixels of an image on a contact sheet; below that the sheet scrolls


class Overview:
    """``folder/index.html``.

    Args:
        pages: style -> the folder of its page, relative, with a slash at its end.
    """

    def __init__(self, folder: Path, title: str, table: Table, pages: Mapping[str, str]):
        self.folder = folder
        self.page = new_page(title)
        head = tags.p("Diptych results", cls="kicker"), tags.h1(visible(title))
        self.main = self.page.body.add(tags.main(*head))
        if table.names:
            self.main.add(table_section(table, pages=pages))

    def add_style(self, style: str, page: str, count: int, sheet: str, rows: Sequence[str], items: int) -> None:
        """A style's contact sheet.

        Args:
            page: its folder, as in ``pages``.
            count: items of its page.
            sheet: the file of its contact sheet.
            rows: names of the images of an item, from top to bottom.
            items: columns of the sheet.
        """
        labels = [visible(LABELS.get(row, row)) for row in rows]
        size = png_size(self.folder / sheet) or (1, 1)
        image = tags.img(
            src=link(sheet),
            alt=f"{visible(style)}, {plural(items, 'item')}; from top to bottom {', '.join(labels)}",
            width=size[0],
            height=size[1],
            loading="lazy",
            decoding="async",
            style=f"min-width: {items * SMALLEST}px; max-width: {items * LARGEST}px",
        )
        address = f"{link(page)}index.html"
        names = tags.div(*map(tags.span, labels), cls="labels", aria_hidden="true")
        strip = tags.a(image, href=address, cls="strip")
        shown = f"{items} of {count:,} items" if items < count else plural(count, "item")
        head = tags.div(tags.h2(tags.a(visible(style), href=address)), tags.span(shown, cls="soft"), cls="head")
        self.main.add(tags.section(head, tags.div(names, strip, cls="sheet"), cls="card"))

    def save(self) -> None:
        """Raises:
        UserError: the page cannot be written.
        """
        path = self.folder / "index.html"
        try:
            write_atomically(path, self.page.render(pretty=False))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}", code=Exit.STORAGE) from error
