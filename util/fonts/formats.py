"""Where a font is written, and in which format: the ending of its name says it."""

import sys
from pathlib import Path

from fontTools.ttLib import TTFont

from options import Exit, UserError
from util.extras import require
from util.fonts.cubics import to_cff, to_glyf
from util.fonts.ufo import LEFT_OUT, ufo_files
from util.writing import new_file, write_folder

ENDINGS = {
    ".ttf": "TrueType",
    ".otf": "OpenType with cubic outlines (CFF)",
    ".woff": "for the web",
    ".woff2": "for the web, smaller",
    ".ufo": "a folder for font editors",
}


def may_write(path: str | Path, overwrite: bool) -> Path:
    """The path, if a font may be written there."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        known = ", ".join(f"{ending} ({what})" for ending, what in ENDINGS.items())
        raise UserError(f"{path}: the name of a font ends with one of {known}")
    if path.suffix.lower() == ".woff2":
        require("brotli", "woff2", path)
    if path.is_dir() and not is_ufo(path):
        raise UserError(f"{path}: is a folder")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists; choose another name, or move the {'folder' if is_ufo(path) else 'file'} away")
    return path


def is_ufo(path: Path) -> bool:
    """Whether a font of this name is a folder, which FreeType does not draw."""
    return path.suffix.lower() == ".ufo"


def save_font(font: TTFont, path: Path, overwrite: bool) -> None:
    """Write a font as a whole: nobody finds half of one."""
    may_write(path, overwrite)  # tracing took its time
    ending = path.suffix.lower()
    if ending == ".ttf" and "glyf" not in font:
        to_glyf(font)
    elif ending == ".otf" and "glyf" in font:
        to_cff(font)
    font.flavor = {".woff": "woff", ".woff2": "woff2"}.get(ending)
    try:
        if is_ufo(path):
            write_folder(path, ufo_files(font))
            if there := [table for table in LEFT_OUT if table in font]:
                print(f"{path}: a UFO has no tables {', '.join(there)}, which are left out", file=sys.stderr)
            return
        with new_file(path) as file:
            font.save(file)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})", code=Exit.STORAGE) from None
