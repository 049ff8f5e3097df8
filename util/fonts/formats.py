"""Where a font is written, and how."""

from pathlib import Path

from fontTools.ttLib import TTFont

from options import Exit, UserError
from util.writing import new_file


def may_write(path: str | Path, overwrite: bool) -> Path:
    """The path, if a font may be written there."""
    path = Path(path)
    if path.suffix.lower() != ".ttf":
        raise UserError(f"{path}: the name of a TrueType font ends with .ttf")
    if path.is_dir():
        raise UserError(f"{path}: is a folder")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists; choose another name, or move the file away")
    return path


def save_font(font: TTFont, path: Path, overwrite: bool) -> None:
    """Write a font as a whole: nobody finds half of one."""
    may_write(path, overwrite)  # tracing took its time
    try:
        with new_file(path) as file:
            font.save(file)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})", code=Exit.STORAGE) from None
