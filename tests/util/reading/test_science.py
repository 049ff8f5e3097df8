import importlib
from pathlib import Path

import numpy as np
import pytest

from options import UserError
from util.heads import Head, read_head
from util.images import read_image, read_pixels, read_values
from util.listing import list_images
from util.values import Units

pytestmark = pytest.mark.extra


def shipped(package, *place):
    return Path(importlib.import_module(package).__file__).parent.joinpath(*place)


def dicom(name):
    return shipped("pydicom", "data", "test_files", name)


def nifti(name):
    return shipped("nibabel", "tests", "data", name)


def written(path, **tags):
    """CT_small.dcm with other tags."""
    import pydicom

    data = pydicom.dcmread(dicom("CT_small.dcm"))
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path)
    return data


def test_units_of_the_scanner():
    values, units = read_values(dicom("CT_small.dcm"), 1)
    import pydicom

    data = pydicom.dcmread(dicom("CT_small.dcm"))
    assert (data.RescaleSlope, data.RescaleIntercept) == (1, -1024) and values.dtype.kind == "i"
    assert (values[..., 0] == data.pixel_array.astype(int) - 1024).all()
    assert units == Units(-32768 - 1024, 32767 - 1024, whole=True)  # 16 bits, signed; it names no window
    assert read_head(dicom("CT_small.dcm")) == Head(128, 128, grey=True)  # whose preamble is that of a TIFF
    image = read_image(dicom("CT_small.dcm"), 1, Units(-1024, 3071))
    assert image.shape == (1, 128, 128) and np.allclose((image[0] + 1) * 4095 / 2 - 1024, values[..., 0], atol=1e-2)


def test_the_window_of_the_file():
    values, units = read_values(dicom("MR_small.dcm"), 1)
    assert units == Units(600 - 0.5 - 1599 / 2, 600 - 0.5 + 1599 / 2, whole=True)
    image = read_image(dicom("MR_small.dcm"), 1)
    assert np.allclose(
        image[0], ((values[..., 0] - units.low) / (units.high - units.low) * 2 - 1).clip(-1, 1), atol=1e-5
    )
    assert image.std() > 0.1


def test_inverse_and_fractions(tmp_path):
    plain = written(tmp_path / "a.dcm", RescaleSlope="0.5", RescaleIntercept="10", WindowCenter=400, WindowWidth=300,
                    VOILUTFunction="LINEAR_EXACT")  # fmt: skip
    written(tmp_path / "b.dcm", RescaleSlope="0.5", RescaleIntercept="10", WindowCenter=400, WindowWidth=300,
            VOILUTFunction="LINEAR_EXACT", PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    values, units = read_values(tmp_path / "a.dcm", 1)
    assert np.allclose(values[..., 0], plain.pixel_array * 0.5 + 10) and units == Units(250, 550)
    assert np.allclose(read_image(tmp_path / "b.dcm", 1), -read_image(tmp_path / "a.dcm", 1), atol=1e-6)
    inverse, _ = read_values(tmp_path / "b.dcm", 1)
    assert np.allclose(inverse + values, -1 * 0.5 + 2 * 10)


def test_colours_palettes_and_frames(tmp_path):
    import pydicom

    colours = pydicom.dcmread(dicom("SC_rgb_rle_2frame.dcm")).pixel_array
    for name in ("SC_rgb_rle_2frame.dcm", "examples_palette.dcm", "rtdose.dcm"):
        (tmp_path / name).write_bytes(dicom(name).read_bytes())
    found = list_images(tmp_path)
    assert [path.name for path in found[:3]] == [f"SC_rgb_rle_2frame_000{k}.dcm" for k in (1, 2)] + [
        "examples_palette.dcm"
    ]
    assert [path.name for path in found[3:]] == [f"rtdose_{k:04d}.dcm" for k in range(1, 16)]
    assert all((read_pixels(path, 3) == frame).all() for path, frame in zip(found, colours, strict=False))
    assert read_pixels(found[2], 3).shape == (350, 800, 3)
    with pytest.raises(UserError, match=r"rtdose\.dcm: has 15 pages or frames, and one picture is asked for"):
        read_pixels(tmp_path / "rtdose.dcm", 1)


def test_slices_of_a_volume(tmp_path):
    import nibabel

    volume = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4) - 5
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / "v.nii.gz")
    nibabel.Nifti1Image(volume[::-1], np.diag([-1, 1, 1, 1])).to_filename(tmp_path / "w.nii")  # from right to left
    found = list_images(tmp_path)
    assert [path.name for path in found] == [f"{v}_000{k}.nii" for v in "vw" for k in range(1, 5)]
    for k in range(4):
        for path in (found[k], found[4 + k]):
            values, units = read_values(path, 1)
            assert units is None and (values[..., 0] == np.rot90(volume[..., k])).all(), path
    with pytest.raises(UserError, match="type int16; expected unsigned integers or floats, or a --value_range"):
        read_pixels(found[0], 1)


def test_files_of_nibabel():
    from util.reading.frames import count_pages, pages_of

    assert count_pages(nifti("anatomical.nii")) == 25 and count_pages(nifti("functional.nii")) == 3 * 20
    path = nifti("example4d.nii.gz")
    pages = pages_of(path)
    assert len(pages) == 24 * 2 and pages[2].name == "example4d_0003.nii"
    values, units = read_values(pages[12], 1)
    assert units == Units(0, 1162, whole=True) and values.shape == (96, 128, 1) and values.max() <= 1162
    assert read_image(pages[12], 1).std() > 0.1  # by the window of its header


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    for name, package in (("x.dcm", "pydicom"), ("x.nii.gz", "nibabel")):
        (tmp_path / name).write_bytes(b"anything")
        assert tmp_path / name in list_images(tmp_path)
        with pytest.raises(
            UserError, match=rf"{name}: needs {package}, of the extra science: uv pip install {package}"
        ):
            read_pixels(tmp_path / name, 1)


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "x.dcm").write_bytes(dicom("MR_small.dcm").read_bytes()[:600])
    (tmp_path / "x.nii").write_bytes(b"nothing")
    (tmp_path / "plan.dcm").write_bytes(dicom("rtplan.dcm").read_bytes())
    for name in ("x.dcm", "x.nii", "plan.dcm"):
        with pytest.raises(UserError, match=f"{name}: cannot be read"):
            read_pixels(tmp_path / name, 1)
