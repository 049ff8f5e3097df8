"""DICOM and NIfTI: frames and slices as arrays in the units of the scanner; needs the extra ``science``.

They are decoded in a child (:mod:`util.reading.child`): a file of a scanner can say anything of what it holds.
"""

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from util.extras import package, require
from util.reading.child import in_child
from util.values import Units

DICOM, NIFTI = (".dcm", ".dicom"), (".nii", ".nii.gz")


def knows(path: Path) -> bool:
    return path.name.lower().endswith(DICOM + NIFTI)


def count(path: Path) -> int:
    """How many frames or slices a file has."""
    _require(path)
    return in_child("util.reading.science:find_count", path)


def find_count(path: Path) -> int:
    if path.name.lower().endswith(NIFTI):
        return int(np.prod(_volume(path).shape[2:]))
    return int(_dataset(path, stop_before_pixels=True).get("NumberOfFrames") or 1)


def read(path: Path, page: int) -> tuple[np.ndarray, Units | None]:
    """The values (H, W, C) of a frame or slice, and what the file says is black and white; None where it does not.

    Values of DICOM are those after rescaling, as of MONOCHROME2. A slice of a volume is axial, its front at the top, as
    far as the file tells directions; those of a series in time come one volume after the other.

    Raises:
        UserError: the package is not installed.
    """
    _require(path)
    array, units = in_child("util.reading.science:decode", path, page)
    return array, None if units is None else Units(*units)


def decode(path: Path, page: int) -> tuple[np.ndarray, list[Any] | None]:
    array, units = _read_nifti(path, page) if path.name.lower().endswith(NIFTI) else _read_dicom(path, page)
    return array, None if units is None else [units.low, units.high, units.whole]


def _require(path: Path) -> None:
    require("nibabel" if path.name.lower().endswith(NIFTI) else "pydicom", "science", path)


# -- DICOM ---------------------------------------------------------------------------------------------------------


def _dataset(path: Path, **more: Any) -> Any:
    pydicom = package("pydicom", "science", path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tags that have nothing to do with the picture
        return pydicom.dcmread(path, **more)


def _read_dicom(path: Path, page: int) -> tuple[np.ndarray, Units | None]:
    data = _dataset(path)
    if "Rows" not in data:
        raise ValueError("there is no picture in it")
    if Image.MAX_IMAGE_PIXELS is not None and data.Rows * data.Columns > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    pixels = package("pydicom.pixels", "science", path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stored = pixels.pixel_array(data, index=page)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        stored = pixels.apply_color_lut(stored, data)
    if stored.ndim == 3:
        return stored, None
    array = stored[..., None]
    if array.dtype.kind == "f":
        return array, None
    bits = int(data.BitsStored)
    ends = np.array([-(1 << bits - 1), (1 << bits - 1) - 1] if array.dtype.kind == "i" else [0, (1 << bits) - 1])
    inverse = data.PhotometricInterpretation == "MONOCHROME1"
    if "ModalityLUTSequence" in data:
        array = pixels.apply_modality_lut(ends.sum() - array.astype(np.int64) if inverse else array, data)
        return array, None
    transformed = _macro(data, page, "PixelValueTransformationSequence")
    slope, intercept = float(transformed.get("RescaleSlope", 1)), float(transformed.get("RescaleIntercept", 0))
    if inverse:  # what was white is black, within the same numbers
        array = ends.sum() - array.astype(np.int64)
    array = array.astype(np.float64) * slope + intercept
    ends = np.sort(ends * slope + intercept)
    window = _window(_macro(data, page, "FrameVOILUTSequence"))
    if window is not None and inverse:
        window = float(ends.sum()) - window[1], float(ends.sum()) - window[0]
    whole = slope.is_integer() and intercept.is_integer()
    low, high = window or (float(ends[0]), float(ends[1]))
    return array.astype(np.int64) if whole else array, Units(low, high, whole)


def _macro(data: Any, page: int, sequence: str) -> Any:
    """Where the attributes of a frame stand: in an item of a sequence of its own, of all frames, or in the file."""
    groups = [*data.get("PerFrameFunctionalGroupsSequence", [])[page : page + 1]]
    groups += [*data.get("SharedFunctionalGroupsSequence", [])[:1]]
    return next((group[sequence][0] for group in groups if sequence in group and len(group[sequence].value)), data)


def _window(data: Any) -> tuple[float, float] | None:
    """The values that the first window shows as black and white; DICOM PS3.3, C.11.2."""
    center, width = (data.get(f"Window{what}") for what in ("Center", "Width"))
    if center is None or width is None:
        return None
    center, width = (float(v if isinstance(v, str | int | float) else v[0]) for v in (center, width))
    if data.get("VOILUTFunction", "LINEAR") == "LINEAR":
        center, width = center - 0.5, width - 1
    return (center - width / 2, center + width / 2) if width > 0 else None


# -- NIfTI ---------------------------------------------------------------------------------------------------------


def _volume(path: Path) -> Any:
    return package("nibabel", "science", path).load(path)


@functools.lru_cache(maxsize=1)  # neighbouring slices are wanted together, and a packed volume is unpacked as a whole
def _canonical(path: Path, changed: int) -> tuple[np.ndarray, float, float]:
    """A volume (X, Y, slices) from left to right and back to front, and the window that its header names."""
    nibabel = package("nibabel", "science", path)
    image = nibabel.load(path)
    low, high = (float(image.header.get(f"cal_{end}", 0)) for end in ("min", "max"))
    if len(image.shape) >= 3:
        image = nibabel.as_closest_canonical(image)
    array = np.asanyarray(image.dataobj)
    return array.reshape(*array.shape[:2], -1, order="F"), low, high


def _read_nifti(path: Path, page: int) -> tuple[np.ndarray, Units | None]:
    volume, low, high = _canonical(path, path.stat().st_mtime_ns)
    plane = np.rot90(volume[..., page])
    if plane.dtype.names:
        return np.stack([plane[name] for name in plane.dtype.names], axis=2), None
    plane = plane.astype(plane.dtype.newbyteorder("="))
    return plane[..., None], Units(low, high, plane.dtype.kind != "f") if low < high else None
