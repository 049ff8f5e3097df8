"""The page of images from captions: what was made of each caption, and where it listened to which word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dominate import tags
from dominate.util import raw

from util.html import asset, picture, png_size, visible
from util.pages.attention_tiles import COVER, HEAT
from util.pages.samples import LARGEST, SamplesPage


@dataclass(frozen=True)
class Heard:
    """Tiles of one picture, a word each.

    Attributes:
        files: of each word its name and the file of its tile, relative to the page; words may come twice.
        parts: of each word, the greatest part that a place gave it.
        most: the part that is full red.
    """

    files: Sequence[tuple[str, str]]
    parts: Sequence[float]
    most: float


class CaptionPage(SamplesPage):
    """A page of samples with a section for each caption; names of rows stand above them, for captions are long."""

    def __init__(self, folder: Path, title: str, size: int):
        super().__init__(folder, title, size)
        self.page.head.add(tags.style(raw(asset("captions.css"))))
        self.page.body["class"] = f"captions{' pixels' * ('class' in self.page.body.attributes)}"

    def add_text(self, heading: str, *lines: str) -> None:
        section = self._section(heading, "")
        for line in lines:
            section.add(tags.p(visible(line), cls="soft"))

    def add_caption(
        self, caption: str, notes: Sequence[str], rows: Mapping[str, Mapping[str, str]], heard: Heard | None
    ) -> None:
        """One caption.

        Args:
            notes: what is to be known about it, a line each.
            rows: name of a row -> {caption: file}; the tiles of words come behind the first.
        """
        section = self._section(f"\u201c{caption}\u201d", "")
        section["class"] = "card grid caption"
        for note in notes:
            section.add(tags.p(visible(note), cls="note"))
        for number, (name, files) in enumerate(rows.items()):
            figures = tags.div(cls="figures samples")
            for label, file in files.items():
                figures.add(picture(file, label, LARGEST, png_size(self.folder / file), row=caption))
            section.add(tags.article(self._name(caption, name), figures, cls="row"))
            if number == 0 and heard is not None:
                section.add(self._heard(caption, heard))

    def _heard(self, caption: str, heard: Heard) -> tags.article:
        figures = tags.div(cls="figures words")
        for place, ((word, file), part) in enumerate(zip(heard.files, heard.parts, strict=True), 1):
            figure = picture(file, "", LARGEST, png_size(self.folder / file))
            figure.get(tags.img)[0]["alt"] = visible(f"{caption}: where the first picture listened to {place}. {word}")
            label = figure.get(tags.figcaption)[0]
            # the viewer finds a tile in its row by this text, and a word may come twice
            label.add(tags.span(f"{place}. ", hidden=True), tags.b(visible(word)), " ", tags.span(f"{part:.2f}"))
            figures.add(figure)
        red = "rgb({} {} {} / {:.0%})".format(*HEAT, COVER)
        scale = tags.span("0 ", tags.i(style=f"background: linear-gradient(to right, transparent, {red})"), cls="scale")
        scale.add(f" {heard.most:.2f}")
        return tags.article(self._name(caption, "words, in the first picture", scale), figures, cls="row")

    @staticmethod
    def _name(caption: str, name: str, *more: tags.html_tag) -> tags.h3:
        return tags.h3(tags.span(visible(f"{caption}: "), hidden=True), visible(name), *more)
