"""Packages that only some files need: imported when one is read."""

import importlib
from pathlib import Path
from typing import Any

from options import UserError


def package(name: str, extra: str, path: Path) -> Any:
    """The module ``name``, which reading ``path`` needs.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        known = name.partition(".")[0].replace("_", "-")
        raise UserError(f"{path}: needs {known}, of the extra {extra}: uv pip install {known}") from None
