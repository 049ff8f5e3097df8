import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from options import UserError
from tests.util.test_images import png16
from util.images import encode, from_pillow, read_image, read_values, save_levels
from util.values import SHARE, Units, common, find_span, units_of

HOUNSFIELD = Units(-1024, 3071, whole=True)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_values_of_every_type_come_and_go(tmp_path, kind):
    low, high = (0, 200) if kind == "uint8" else (3, 1162) if kind == "uint16" else (-1000, 500)
    values = np.linspace(low, high, 12).reshape(3, 4).astype(kind)
    units = Units(low, high, whole=kind[0] != "f")
    np.save(tmp_path / "x.npy", values)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack")
    for name in ("x.npy", "x.tif"):
        image = read_image(tmp_path / name, 1, units)
        expected = (values.astype(float) - low) / (high - low) * 2 - 1
        assert image.shape == (1, 3, 4) and np.abs(image[0].numpy() - expected).max() < 1e-6
        assert np.abs(units.values(image)[0] - values.astype(float)).max() < (1e-3 if kind[0] == "f" else 1e-9)
    assert from_pillow(Image.fromarray(values.astype("f")), 1, units).shape == (3, 4, 1)


def test_what_lies_outside_is_black_or_white(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[-5000, -1024, 3071, 9000]], np.int16))
    assert read_image(tmp_path / "x.npy", 1, HOUNSFIELD).flatten().tolist() == [-1, -1, 1, 1]
    np.save(tmp_path / "nan.npy", np.array([[0.0, np.nan]]))
    np.save(tmp_path / "complex.npy", np.array([[1j]]))
    for name in ("nan.npy", "complex.npy"):
        with pytest.raises(UserError, match=f"{name}: cannot be read"):
            read_image(tmp_path / name, 1, HOUNSFIELD)
    np.save(tmp_path / "signed.npy", np.array([[-3]], np.int16))
    with pytest.raises(UserError, match="type int16; expected unsigned integers or floats, or a --value_range"):
        read_image(tmp_path / "signed.npy", 1)


def test_transparency_has_no_units(tmp_path):
    deep = np.array([[[100, 65535], [100, 0], [100, 32768]]], np.uint16)  # grey and how opaque it is
    png16(tmp_path / "x.png", deep)
    image = read_image(tmp_path / "x.png", 1, Units(0, 200))
    assert np.allclose(image.flatten(), [0, 1, 1 - 32768 / 65535], atol=1e-4)
    values, units = read_values(tmp_path / "x.png", 1)
    assert values.tolist() == [[[100]] * 3] and units == Units(0, 65535, whole=True)


def test_a_tiff_whose_smallest_value_is_white(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.array([[0, 1000]], np.uint16), photometric="miniswhite")
    assert read_image(tmp_path / "x.tif", 1, Units(65535 - 1000, 65535)).flatten().tolist() == [1, -1]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_files_are_read_back(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    save_levels(values, tmp_path / "x.png")
    save_levels(values, tmp_path / "x.tif")
    save_levels(values, tmp_path / "x.npy")
    units = Units(0, 65535, whole=True)
    if channels in (1, 3):  # of two or four the last is transparency
        for name in ("x.png", "x.tif", "x.npy"):
            image = read_image(tmp_path / name, channels, units)
            assert (units.values(image).transpose(1, 2, 0) == values).all(), name
    assert (tifffile.imread(tmp_path / "x.tif").reshape(values.shape) == values).all()
    if channels == 1:
        assert Image.open(tmp_path / "x.png").mode == "I;16"


def test_what_a_file_holds():
    image = torch.tensor([-1.0, 0, 2]).reshape(1, 1, 3)
    assert encode(image, ".png", None).flatten().tolist() == [0, 128, 255]
    assert encode(image, ".png", Units(0, 1162, whole=True)).flatten().tolist() == [0, 581, 1162]
    assert encode(image, ".jpg", HOUNSFIELD).dtype == np.uint8
    assert encode(image, ".npy", None).flatten().tolist() == [0, 0.5, 1]
    assert encode(image, ".tif", HOUNSFIELD).dtype == np.int16
    assert encode(image, ".tif", Units(-3, 70000, whole=True)).dtype == np.int32
    assert encode(image, ".tif", Units(0, 9)).dtype == np.float32


def test_the_kind_of_file():
    deep = Units(0, 4095, whole=True)
    assert common([(None, 5)], "auto") == common([(deep, 3), (None, 1)], "auto") == common([(deep, 4)], "auto") == "png"
    assert common([(deep, 1), (HOUNSFIELD, 1)], "auto") == common([(SHARE, 1)], "auto") == "tif"
    assert common([(deep, 1), (deep, 2)], "auto") == common([(deep, 5)], "auto") == "tif"
    assert common([(HOUNSFIELD, 1)], "npy") == "npy"
    with pytest.raises(UserError, match=r"--format png: .* whole numbers from -1024 to 3071; give --format tif or npy"):
        common([(HOUNSFIELD, 1)], "png")
    with pytest.raises(UserError, match="--format png: holds 1, 3 or 4 channels, and results of this run have 2"):
        common([(deep, 2)], "png")


def test_ranges_that_are_none():
    assert units_of({"value_range": [0, 5]}, "B") == Units(0, 5) and units_of({}, "A") is None
    both = {"value_range": (-1, 2, 3, 4), "value_type": "integer"}
    assert units_of(both, "A") == Units(-1, 2, True) and units_of(both, "B") == Units(3, 4, True)
    for span in ((1,), (0, 1, 2), "auto", (0, float("inf")), 7):
        with pytest.raises(UserError, match="expected lo,hi for both sides"):
            units_of({"value_range": span}, "A")
    with pytest.raises(UserError, match="--value_range 5,5: 5 is not below 5"):
        units_of({"value_range": (5, 5)}, "A")


def test_percentiles_or_extremes():
    ramp = np.concatenate([np.arange(100_000) / 10, [1e9]])
    (low, high), what = find_span(ramp, (0, 1e9))
    assert abs(low - 10) < 0.2 and abs(high - 9990) < 0.2 and what == "0.1 and 99.9 percentile"
    assert find_span(np.array([0] * 9999 + [7]), (0, 7)) == ((0, 7), "extremes")
