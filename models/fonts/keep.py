"""``--keep``: which characters of a font stay as they were written or drawn."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from options import UserError
from util.fonts.keeping import Kept, read_kept
from util.fonts.picture_folder import GlyphImages

AUTO = "auto"


def read_hand(keep: str | None, styles: Sequence[Any]) -> Kept | None:
    """What ``--keep`` names: a folder of pictures, or with ``auto`` the one that the style was learnt from.

    A blend of styles is nobody's hand.

    Raises:
        UserError: there is no such folder, the style is a font, or no picture shows a character.
    """
    folders = [style.glyphs for style in styles if isinstance(style.glyphs, GlyphImages)]
    folder = folders[0] if len(folders) == len(styles) == 1 else None
    if keep is None:
        if folder is not None:
            print(
                f"{len(folder.characters)} characters of {folder.name} are drawn by the network too; --keep auto has "
                "them traced from their pictures",
                file=sys.stderr,
            )
        return None
    if keep != AUTO or Path(AUTO).is_dir():
        folder = GlyphImages(keep)
    if folder is None and len(styles) > 1:
        raise UserError("--keep auto: a blend of styles is nobody's hand; name a folder of pictures")
    if folder is None:
        raise UserError(f"--keep auto: style {styles[0].name} was not learnt from a folder of pictures; name a folder")
    kept = read_kept(folder)
    if not kept.writings:
        raise UserError(f"--keep {keep}: no picture in {folder.name} shows a character that Unicode has")
    return kept


def tell(keep: str, kept: Kept, drawn: int) -> None:
    """How many of each, once."""
    others = f" and {kept.others} further writings" * bool(kept.others)
    print(f"--keep {keep}: {len(kept.writings)} characters{others} are traced from their pictures, {drawn} are drawn")


def with_hand(kept: Kept | None, pen: Any, glyphs: Mapping[int, Any], sources: Mapping[int, Any]) -> tuple[Any, Any]:
    """Drawn glyphs and their sources, and with them what is kept of characters that a source has: measured alike."""
    if kept is None:
        return glyphs, sources
    canvases = kept.drawn(pen.geometry)
    also = pen.sources(canvases)
    return {**glyphs, **{code: canvases[code] for code in also}}, {**sources, **also}
