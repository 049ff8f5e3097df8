"""What a test leaves: images and their page, or with several styles a page for each and an overview."""

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from dominate import tags

from options.parsing import WINDOWS_DEVICES
from util.images import encode, save_image, save_levels, save_small, to_uint8
from util.inputs import LIST, address, note_input
from util.listing import THUMBNAILS
from util.pages.contact_sheet import contact_sheet
from util.pages.files import ResultFiles
from util.pages.overview import Overview
from util.pages.results_page import ResultsPage, Shown, of_another_picture
from util.pages.sections import table_section
from util.picture_files import ResultNames
from util.table import Table, joined, write_metrics
from util.values import SHARE, Units, common, units_of
from util.writing import make_folder

UNSAFE = re.compile(r"[^\w .,+()@=~-]")  # in the name of a folder, on one system or another
SHEET = 16  # items on a contact sheet
VALUES = "values"  # folder of results in the units of the data
LIGHT = 64 * 1024  # bytes of a file that a page shows as it is, however large it is shown
SHARP = 2  # pixels of a small copy for each CSS pixel of its place


class Results:
    """Writes ``folder``: images and ``index.html``, below a folder of its own for each style if there are several.

    Args:
        title: of the page, e.g. "Experiment = brush, Phase = test, Epoch = latest".
        columns: names of the images of an item, in display order.
        sides: the side, A or B, that an image is named after; A where it is not told.
        width: of an image, in CSS pixels, where the window has room for it.
        styles: their names; fewer than two make one page.
        deep: images that are written in units too -> kind of file, and the units; see ``deep_files``.
        unpaired: images of side B are of another picture, which those of side A need not look like.
        copy_inputs: inputs are copied even where the page can show them where they lie.
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
        unpaired: bool = False,
        copy_inputs: bool = False,
    ):
        make_folder(folder, folder.parent)
        self.folder, self.title, self.columns, self.sides, self.width = folder, title, columns, sides, width
        self.deep, self.copy_inputs = deep, copy_inputs
        self.apart = of_another_picture(columns, sides) if unpaired else []
        self.files = ResultFiles(folder)
        self.files.clear()
        self.folders = folder_names(styles, folder) if len(styles) > 1 else {}
        self.parts: dict[str, Part] = {}
        self.inputs_noted = False
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
        words |= {"columns": results.columns, "width": results.width, "root": results.folder, "apart": results.apart}
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
            row[visual] = self._shown(visual, name, image, paths[side])
            if visual in results.deep:
                kind, units = results.deep[visual]
                path = results.files.note(f"{self.prefix}{VALUES}/{visual}/{name}.{kind}")
                save_levels(encode(image, path.suffix, units), path, results.folder)
        names = [self.names[side](paths[side]) for side in "AB" if side in paths]
        self.page.add_row(names[0], row, other=names[-1])
        self.count += 1
        for name in self.page.files[self.noted :]:
            results.files.note(f"{self.prefix}{name}")
            self.noted += 1
        if results.folders and self.count <= SHEET:
            self.sheet.append({visual: to_uint8(image) for visual, image in images.items()})
            if self.count == SHEET:
                self.save_sheet()

    def _shown(self, visual: str, name: str, image: torch.Tensor, source: str) -> Shown:
        """Where the page shows an image: in a file of its own, or where it is just its source, there."""
        results, copy, levels = self.results, f"images/{visual}/{name}.png", to_uint8(image)
        given = visual in ("real_A", "real_B") and not results.copy_inputs
        file = address(source, self.page.folder, levels) if given else None
        if file is None:
            file = copy
            save_image(image, results.files.note(f"{self.prefix}{copy}"), results.folder)
        else:
            if not results.inputs_noted:
                results.files.note(LIST)
                results.inputs_noted = True
            at = os.path.normpath(f"{self.prefix}{file}")
            note_input(results.folder, f"{self.prefix}{copy}", at, Path(source))
        height, width = levels.shape[:2]
        small = ""
        if width > results.width and (self.page.folder / file).stat().st_size > LIGHT:
            small = f"{THUMBNAILS}/{visual}/{name}.webp"
            save_small(levels, SHARP * results.width, results.files.note(f"{self.prefix}{small}"), results.folder)
        return Shown(file, small, (width, height))

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
