"""What a test leaves: images and their page, or with several styles a page for each and an overview."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dominate import tags

from options.parsing import WINDOWS_DEVICES
from util.html import write_atomically
from util.images import save_image, save_levels, to_uint8
from util.naming import ResultNames
from util.pages.contact_sheet import contact_sheet
from util.pages.files import ResultFiles
from util.pages.overview import Overview
from util.pages.sections import score_section
from util.results_page import ResultsPage
from util.table import ScoreTable

UNSAFE = re.compile(r"[^\w .,+()@=~-]")  # in the name of a folder, on one system or another
SHEET = 16  # items on a contact sheet


class Results:
    """Writes ``folder``: images and ``index.html``, below a folder of its own for each style if there are several.

    Args:
        title: of the page, e.g. "Experiment = brush, Phase = test, Epoch = latest".
        columns: names of the images of an item, in display order.
        sides: the side, A or B, that an image is named after; A where it is not told.
        width: of an image, in CSS pixels, where the window has room for it.
        styles: their names; fewer than two make one page.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        columns: Sequence[str],
        sides: Mapping[str, str],
        width: int,
        styles: Sequence[str] = (),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.title, self.columns, self.sides, self.width = folder, title, columns, sides, width
        self.files = ResultFiles(folder)
        self.files.clear()
        self.folders = folder_names(styles, folder) if len(styles) > 1 else {}
        self.parts: dict[str, Part] = {}

    def add(self, style: str, images: Mapping[str, torch.Tensor], paths: Mapping[str, str]) -> None:
        """One item: its images (C, H, W) in [-1, 1], and the source file of each side."""
        if style not in self.parts:
            self.parts[style] = Part(self, style)
        self.parts[style].add(images, paths)

    def save(
        self, table: ScoreTable, entries: Mapping[str, Any] | None = None, sections: Sequence[tags.html_tag] = ()
    ) -> None:
        """The pages, with the scores on them, and metrics.json.

        Args:
            entries: what metrics.json holds; those of the table if not given.
            sections: cards of the first page beside that of the table.
        """
        scores = table.as_dict()
        entries = scores if entries is None else entries
        if entries:
            write_atomically(self.folder / "metrics.json", json.dumps(entries, indent=1, allow_nan=False))
        for style, part in self.parts.items():
            if scores and (self.folders or len(table.floors) > 1):
                part.page.add_section(score_section(table, style))
            elif scores:
                part.page.add_summary({f"{n} ({key})": v for n, entry in scores.items() for key, v in entry.items()})
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
        words = several if results.folders else {"title": results.title}
        self.page = ResultsPage(results.folder / self.prefix, columns=results.columns, width=results.width, **words)
        self.count, self.noted = 0, 0  # items, and pages that are on the list of files
        self.sheet: list[dict[str, np.ndarray]] = []  # what is to come on the contact sheet
        self.sheet_file, self.sheet_rows, self.sheet_items = f"{self.prefix}sheet.png", list[str](), 0

    def add(self, images: Mapping[str, torch.Tensor], paths: Mapping[str, str]) -> None:
        row, results = {}, self.results
        for visual, image in images.items():
            side = results.sides.get(visual, "A")
            row[visual] = f"images/{visual}/{self.names[side](paths[side])}.png"
            save_image(image, results.files.note(f"{self.prefix}{row[visual]}"))
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
        save_levels(contact_sheet(self.sheet, self.sheet_rows), self.results.files.note(self.sheet_file))
        self.sheet.clear()


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
