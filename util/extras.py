"""Packages that only some files need: imported when one is read."""

import importlib.util
from pathlib import Path
from typing import Any

from options import UserError


def package(name: str, extra: str, path: Path | str) -> Any:
    """The module ``name``, which reading ``path`` needs.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise _missing(name, extra, path) from None


def require(name: str, extra: str, path: Path) -> None:
    """As :func:`package`, for what a child will import."""
    if importlib.util.find_spec(name) is None:
        raise _missing(name, extra, path)


def _missing(name: str, extra: str, path: Path | str) -> UserError:
    known = name.partition(".")[0].replace("_", "-")
    return UserError(f"{path}: needs {known}, of the extra {extra}: uv pip install {known}")
