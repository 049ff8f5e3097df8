"""Tars of small pictures, and the headers of hostile ones."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int = 0, size: tuple[int, int] = (20, 16), kind: str = "PNG") -> bytes:
    """Noise of (width, height)."""
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


def shard(path: Path, files: dict[str, Any], form: int = tarfile.PAX_FORMAT) -> Path:
    """Write a tar; a value is bytes, text, the seed of a picture, or fields of a header by their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as file:
        for name, value in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(value, dict):
                for field, content in value.items():
                    setattr(info, field, content)
                value = b""
            value = picture(value) if isinstance(value, int) else value.encode() if isinstance(value, str) else value
            info.size = len(value)
            file.addfile(info, io.BytesIO(value))
    return path
