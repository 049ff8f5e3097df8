"""Files as a whole: written in one step, hashed."""

import contextlib
import hashlib
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step: whoever reads it sees the old text or the new."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # on a full disk the remnant would take the last blocks
        raise


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
