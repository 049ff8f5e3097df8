"""What the pages of a run share: a self-contained document, links to images, writing in one step."""

import json
import os
import struct
import urllib.parse
from pathlib import Path
from typing import Any

import dominate
from dominate import tags
from dominate.util import raw

from options.shown import visible
from util.reading.plain import open_to_read

ASSETS = Path(__file__).parent / "assets"
POLICY = "default-src 'self' 'unsafe-inline' data:"  # the page may load its own files and nothing else


def new_page(title: str) -> dominate.document:
    """An empty page with the common style in it; it names no address outside its own folder."""
    page = dominate.document(title=visible(title), lang="en")
    page.head.add(
        tags.meta(charset="utf-8"),
        tags.meta(http_equiv="Content-Security-Policy", content=POLICY),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(name="color-scheme", content="light dark"),
        tags.style(raw(asset("page.css"))),
    )
    return page


def asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def embed(values: Any) -> raw:
    """Values as JSON inside a script element; no text in them can end the element."""
    return raw(json.dumps(values, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def short(value: float | None) -> float | None:
    """A number as a page needs it, in five digits."""
    return None if value is None else float(f"{value:.5g}")


def link(path: str) -> str:
    """A relative path as an address: a file called ``a#b?.png`` is found too."""
    return urllib.parse.quote(os.fsencode(path.replace(os.sep, "/")), safe="/")


def scrolling(label: str, *inside: tags.html_tag) -> tags.div:
    """What scrolls sideways where it has no room, by keyboard too; it is called so by whoever reads the page aloud."""
    return tags.div(*inside, cls="scroll", tabindex="0", role="region", aria_label=visible(label))


def picture(
    path: str, caption: str, width: int, size: tuple[int, int] | None, row: str = "", small: str = ""
) -> tags.figure:
    """An image that links to its file and is loaded when it scrolls into view.

    Args:
        path: relative to the page.
        width: in CSS pixels, where the window has room for it.
        size: (width, height) of the file; with it the page keeps its layout while images arrive.
        row: what the image is of, which whoever hears the page is told with the caption.
        small: a smaller copy that the page shows in its place, relative to the page.
    """
    caption = visible(caption)
    height = {} if size is None else {"height": max(1, round(width * size[1] / size[0]))}
    name = ": ".join(filter(None, (visible(row), caption)))
    image = tags.img(src=link(small or path), alt=name, width=width, loading="lazy", decoding="async", **height)
    return tags.figure(tags.a(image, href=link(path)), tags.figcaption(caption))


def png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) from the header of a PNG; None where there is no such file or it is no PNG."""
    try:
        with open_to_read(path) as file:
            head = file.read(24)
    except OSError:
        return None
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return (width, height) if width and height else None
