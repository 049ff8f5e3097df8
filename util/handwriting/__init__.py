"""From a hand to glyphs: pages to write on, and their scans back into pictures of characters."""

from .ink import Written, read_page
from .layout import Header, Layout
from .scan import Page, register
from .template import draw_pages

__all__ = ["Header", "Layout", "Page", "Written", "draw_pages", "read_page", "register"]
