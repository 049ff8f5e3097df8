"""MATLAB's files, whose decoder a damaged one can crash: for :func:`util.reading.child.in_child`."""

from pathlib import Path

import numpy as np


def variables(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Arrays of numbers by name.

    Raises:
        ValueError: one of them is missing, or none.
    """
    from scipy.io import loadmat

    found = loadmat(path, variable_names=names)
    for name in names:
        if not isinstance(found.get(name), np.ndarray) or found[name].dtype.kind not in "buif":
            raise ValueError(f"it has no array of numbers called {name}")
    return {name: found[name] for name in names}
