"""What a test leaves: images and their page, or with several styles a page for each and an overview."""

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from dominate import tags
from dominate.util import raw

from options import Exit, UserError
from options.parsing import WINDOWS_DEVICES
from util.html import asset, new_page, picture, png_size, visible
from util.images import encode, save_image, save_levels, to_uint8
from util.pages.contact_sheet import contact_sheet
from util.pages.files import ResultFiles
from util.pages.overview import Overview
from util.pages.sections import table_section
from util.picture_files import ResultNames
from util.table import Table, joined, write_metrics
from util.values import SHARE, Units, common, units_of
from util.writing import Folder, make_folder, write_atomically

EVERY = 100  # rows between two writes of the page that is being filled

UNSAFE = re.compile(r"[^\w .,+()@=~-]")  # in the name of a folder, on one system or another
SHEET = 16  # items on a contact sheet
VALUES = "values"  # folder of results in the units of the data


class Results:
    """Writes ``folder``: images and ``index.html``, below a folder of its own for each style if there are several.

    Args:
        title: of the page, e.g. "Experiment = brush, Phase = test, Epoch = latest".
        columns: names of the images of an item, in display order.
        sides: the side, A or B, that an image is named after; A where it is not told.
        width: of an image, in CSS pixels, where the window has room for it.
        styles: their names; fewer than two make one page.
        deep: images that are written in units too -> kind of file, and the units; see ``deep_files``.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        columns: Sequence[str],
        sides: Mapping[str, str],
        width: int,
        styles: Sequence[str] = (),
        deep: Mapping[str, tuple[str, Units]] = MappingProxyType({}),
    ):
        make_folder(folder, folder.parent)
        self.folder, self.title, self.columns, self.sides, self.width = folder, title, columns, sides, width
        self.deep = deep
        self.files = ResultFiles(folder)
        self.files.clear()
        self.folders = folder_names(styles, folder) if len(styles) > 1 else {}
        self.parts: dict[str, Part] = {}
        self._saved = False

    def add(self, style: str, images: Mapping[str, torch.Tensor], paths: Mapping[str, str]) -> None:
        """One item: its images (C, H, W) in [-1, 1], and the source file of each side."""
        if style not in self.parts:
            self.parts[style] = Part(self, style)
        self.parts[style].add(images, paths)

    @contextlib.contextmanager
    def kept(self, total: int) -> Iterator[None]:
        """Where what happens inside ends early, the pages are of the rows so far, and say so; values there are none."""
        try:
            yield
        except BaseException:
            if not self._saved:
                done = sum(part.count for part in self.parts.values())
                for part in self.parts.values():
                    part.page.add_section(tags.section(tags.p(f"This test ended early, after {done} of {total} rows.")))
                with contextlib.suppress(Exception):  # what ended it is what is said
                    self.save({})
            raise

    def save(self, scores: Mapping[str, Table], sets: Sequence[Table] = ()) -> None:
        """The pages, with the values on them, and metrics.json.

        Args:
            scores: style -> values of its pairs.
            sets: tables of the first page beside that.
        """
        self._saved = True
        table = joined(scores)
        if table.names or sets:
            write_metrics(self.folder / "metrics.json", [table, *sets])
        sections = [table_section(values, "Metrics of sets") for values in sets]
        for style, part in self.parts.items():
            if style in scores and scores[style].names:
                part.page.add_section(table_section(scores[style]))
            for section in () if self.folders else sections:
                part.page.add_section(section)
            part.save_sheet()
            part.page.save()
        if self.folders:
            overview = Overview(self.folder, self.title, table, {s: part.prefix for s, part in self.parts.items()})
            overview.main.add(*sections)
            for style, part in self.parts.items():
                overview.add_style(style, part.prefix, part.count, part.sheet_file, part.sheet_rows, part.sheet_items)
            self.files.note("index.html")
            overview.save()


class Part:
    """The images and the page of one style."""

    def __init__(self, results: Results, style: str):
        self.results = results
        self.prefix = f"{results.folders[style]}/" if results.folders else ""
        self.names = {"A": ResultNames(), "B": ResultNames()}
        several = {"title": f"{results.title}, Style = {style}", "above": ("all styles", "../index.html")}
        words: dict[str, Any] = several if results.folders else {"title": results.title}
        words |= {"columns": results.columns, "width": results.width, "root": results.folder}
        self.page = ResultsPage(results.folder / self.prefix, **words)
        self.count, self.noted = 0, 0  # items, and pages that are on the list of files
        self.sheet: list[dict[str, np.ndarray]] = []  # what is to come on the contact sheet
        self.sheet_file, self.sheet_rows, self.sheet_items = f"{self.prefix}sheet.png", list[str](), 0

    def add(self, images: Mapping[str, torch.Tensor], paths: Mapping[str, str]) -> None:
        row, results = {}, self.results
        for visual, image in images.items():
            side = results.sides.get(visual, "A")
            side = side if side in paths else next(iter(paths))
            name = self.names[side](paths[side])
            row[visual] = f"images/{visual}/{name}.png"
            save_image(image, results.files.note(f"{self.prefix}{row[visual]}"), results.folder)
            if visual in results.deep:
                kind, units = results.deep[visual]
                path = results.files.note(f"{self.prefix}{VALUES}/{visual}/{name}.{kind}")
                save_levels(encode(image, path.suffix, units), path, results.folder)
        side = "A" if "A" in paths else "B"
        self.page.add_row(self.names[side](paths[side]), row)
        self.count += 1
        for name in self.page.files[self.noted :]:
            results.files.note(f"{self.prefix}{name}")
            self.noted += 1
        if results.folders and self.count <= SHEET:
            self.sheet.append({visual: to_uint8(image) for visual, image in images.items()})
            if self.count == SHEET:
                self.save_sheet()

    def save_sheet(self) -> None:
        """Write the contact sheet, once, and forget its images: there may be many styles."""
        if not self.sheet:
            return
        self.sheet_rows = [column for column in self.results.columns if any(column in item for item in self.sheet)]
        self.sheet_items = len(self.sheet)
        path = self.results.files.note(self.sheet_file)
        save_levels(contact_sheet(self.sheet, self.sheet_rows), path, self.results.folder)
        self.sheet.clear()


def deep_files(opt: Any, visuals: Sequence[str]) -> dict[str, tuple[str, Units]]:
    """{what a test makes: the kind of file that holds it in the units of the data, and these}; see ``--format``.

    Raises:
        UserError: a PNG cannot hold them.
    """
    options = {name: getattr(opt, name, None) for name in ("value_range", "value_type")}
    found: dict[str, tuple[Units | None, int]] = {}
    for visual in visuals:
        if visual.startswith("fake_"):
            mine = visual[-1] == "A"  # whether the model's side of that name is side A of the data
            units = units_of(options, "A" if mine == (opt.direction == "AtoB") else "B")
            found[visual] = units, opt.input_nc if mine else opt.output_nc
    kind = common(list(found.values()), opt.format)
    return {v: (kind, units or SHARE) for v, (units, _) in found.items() if units is not None or kind != "png"}


def folder_names(styles: Sequence[str], folder: Path) -> dict[str, str]:
    """A folder for each style, named after it: no two are the same on any system, none is taken by something else."""
    names: dict[str, str] = {}
    taken = {"images"}
    for style in styles:
        name = UNSAFE.sub("_", style)[:80].strip(" .") or "style"
        if name.split(".")[0].upper() in WINDOWS_DEVICES:
            name = f"_{name}"
        candidates = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
        names[style] = next(n for n in candidates if n.casefold() not in taken and is_free(folder / n))
        taken.add(names[style].casefold())
    return names


def is_free(path: Path) -> bool:
    """Whether a page can be put there; a folder without one may hold what its user left there."""
    return not path.is_file() and not (path / "index.html").exists()


class ResultsPage:
    """``folder/index.html``, continued in index_2.html and so on.

    A row is rendered once. A page that is full is written and forgotten, so the cost grows with the number of
    rows and memory does not; only the first page, with the values, is written again at the end.

    Args:
        title: e.g. "Experiment = horse2zebra, Phase = test, Epoch = latest".
        columns: names of the images of a row, in display order.
        width: of an image, in CSS pixels, where the window has room for it.
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
    ):
        self.folder, self.title, self.columns, self.root = folder, title, list(columns), root or folder
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
        for above in self._sections if number == 1 else ():
            main.add(raw(above))
        shown = f"{len(rows):,} item{'s' * (len(rows) != 1)}"
        if total > 1 or not last:
            shown = f"items {start + 1:,} to {start + len(rows):,}"
        hint = "click to enlarge, arrow keys step through images and items"
        section = main.add(tags.section(tags.div(tags.h2(shown), tags.span(hint, cls="soft"), cls="head"), cls="card"))
        for row in rows:
            section.add(raw(row))
        if total > 1 or not last:
            main.add(self._links(number, total, last))
        page.body.add(tags.script(raw(asset("viewer.js"))))
        path = self.folder / _file(number)
        try:
            write_atomically(path, page.render(pretty=False), self.root)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}", code=Exit.STORAGE) from error

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
