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


def synsets(path: Path) -> list[list[object]]:
    """Number and name of each class of ImageNet's development kit, ``meta.mat``.

    Raises:
        ValueError: it is another file.
    """
    from scipy.io import loadmat

    found = loadmat(path, variable_names=["synsets"], squeeze_me=True).get("synsets")
    names = getattr(getattr(found, "dtype", None), "names", None) or ()
    if found is None or not {"ILSVRC2012_ID", "WNID"} <= set(names):
        raise ValueError("it has no table synsets of ILSVRC2012_ID and WNID")
    return [[int(row["ILSVRC2012_ID"]), str(row["WNID"])] for row in found.ravel()]
