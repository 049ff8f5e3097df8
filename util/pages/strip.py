"""The film strip of a run's page: the same pictures in rows, and how they are translated, in columns of time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from dominate import tags

from util.files import json_or_empty
from util.html import link, scrolling, visible
from util.images import save_image
from util.writing import Folder, write_atomically

FILE = "preview.json"  # in the folder of the page: {"names": [...], "steps": [...]}
COLUMNS = 10  # of translations, at most
WIDTH = 112  # of a picture, in CSS pixels


Images = Sequence[torch.Tensor]


class Strip:
    """Keeps the pictures in ``<page>/images`` and its table in ``preview.json``; a continued run goes on with both.

    Args:
        folder: of the page, in that of the run.
        done_step: from which the run goes on; columns after it, of a part that is made again, are dropped.
    """

    def __init__(self, folder: Path, done_step: int):
        self.folder = folder
        kept = json_or_empty(folder / FILE) if done_step else {}
        names, steps = kept.get("names"), kept.get("steps")
        self.names: list[str] = [str(name) for name in names] if isinstance(names, list) else []
        found = steps if isinstance(steps, list) and self.names else []
        there = {step for step in found if isinstance(step, int) and step >= 0}
        self.steps = sorted(step for step in there if step <= done_step)
        self._again = sorted(there.difference(self.steps))  # columns that are made again, or not

    def add(
        self, step: int, names: Sequence[str], sources: Sequence[torch.Tensor], made: Sequence[torch.Tensor]
    ) -> None:
        """A column; where the pictures are others than before, as of another test, the strip begins anew."""
        root = self.folder.parent
        if list(names) != self.names:
            self._remove([*self.steps, *self._again])
            self.names, self.steps, self._again = list(names), [], []
        if not self.steps:
            for row, image in enumerate(sources, 1):
                save_image(image, self.folder / "images" / _file("input", row), root)
        for row, image in enumerate(made, 1):
            save_image(image, self.folder / "images" / _file(step, row), root)
        self.steps = sorted({*self.steps, step})
        gone, self._again = [other for other in self._again if other != step], []
        while len(self.steps) > COLUMNS:
            gone.append(self.steps.pop(thinnest(self.steps)))
        write_atomically(self.folder / FILE, json.dumps({"names": self.names, "steps": self.steps}) + "\n", root)
        self._remove(gone)

    def section(self) -> tags.section | None:
        """The card of the page; None without pictures."""
        if not self.steps:
            return None
        columns: list[tuple[Any, str]] = [("input", "input"), *[(step, f"step {step:,}") for step in self.steps]]
        table = tags.table(tags.thead(tags.tr(tags.th("picture", scope="col"))), cls="film")
        for _, title in columns:
            table[0][0].add(tags.th(title, scope="col"))
        body = table.add(tags.tbody())
        for row, name in enumerate(self.names, 1):
            cells = [tags.td(self._cell(_file(key, row), f"{name}: {title}")) for key, title in columns]
            body.add(tags.tr(tags.th(visible(name), scope="row"), *cells))
        hint = tags.span("translated at each display; older columns are thinned out", cls="soft")
        box = scrolling("the same pictures over time", table)
        return tags.section(tags.div(tags.h2("The same pictures"), hint, cls="head"), box, cls="card", id="preview")

    def _cell(self, file: str, words: str) -> tags.a:
        image = tags.img(src=link(f"images/{file}"), alt=visible(words), width=WIDTH, loading="lazy", decoding="async")
        return tags.a(image, href=link(f"images/{file}"))

    def _remove(self, steps: Sequence[int]) -> None:
        with Folder(self.folder / "images", self.folder.parent) as folder:
            for name in [_file(step, row) for step in steps for row in range(1, len(self.names) + 1)]:
                if folder.has(name):
                    folder.remove(name)


def thinnest(steps: Sequence[int]) -> int:
    """The place of the step that is missed least: never the first or the last, whose gap would be the smallest."""
    return min(range(1, len(steps) - 1), key=lambda at: steps[at + 1] - steps[at - 1])


def _file(key: int | str, row: int) -> str:
    return f"preview_{key:08d}_{row}.png" if isinstance(key, int) else f"preview_{key}_{row}.png"
