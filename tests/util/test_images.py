import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageOps

from options import UserError
from util.images import read_image, read_pixels, read_values, save_image, to_tensor, to_uint8
from util.listing import list_images
from util.values import SHARE, Units


def write(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def png16(path: Path, array: np.ndarray) -> Path:
    """A 16-bit PNG of 1 to 4 channels, written by hand: Pillow cannot."""
    height, width, channels = array.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [128, 128, 128], [255, 255, 255]]], np.uint8)


def test_eight_bits_are_exact(tmp_path):
    pixels = read_pixels(write(tmp_path / "x.png", RGB), 3)
    assert pixels.dtype == np.uint8 and (pixels == RGB).all()
    image = read_image(tmp_path / "x.png", 3)
    assert image.shape == (3, 2, 3) and image.dtype == torch.float32
    assert image.min() == -1 and image.max() == 1
    assert (to_uint8(image) == RGB).all()


def test_luma_and_replication(tmp_path):
    grey = read_pixels(write(tmp_path / "x.png", RGB), 1)
    assert grey[..., 0].tolist() == [[76, 150, 29], [18, 128, 255]]  # .299 R + .587 G + .114 B
    back = read_pixels(write(tmp_path / "y.png", RGB[..., 0]), 3)
    assert (back == RGB[..., :1]).all() and back.shape == (2, 3, 3)


@pytest.mark.slow
@pytest.mark.parametrize("channels", (1, 3))
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, channels):
    array = np.array([[[0] * channels, [40000] * channels, [65535] * channels, [257] * channels]], np.uint16)
    for path in (png16(tmp_path / "x.png", array), tmp_path / "x.tif"):
        if path.suffix == ".tif":
            tifffile.imwrite(path, array if channels == 3 else array[..., 0])
        for wanted in (1, 3):
            image = read_image(path, wanted)
            expected = torch.tensor([-1, 40000 / 65535 * 2 - 1, 1, 257 / 65535 * 2 - 1])
            assert torch.allclose(image[0, 0], expected, atol=1e-6), path
            assert image.shape == (wanted, 1, 4)


def test_sixteen_bits_distinguish_neighbouring_levels(tmp_path):
    array = np.array([[[30000, 1, 2], [30001, 3, 4]]], np.uint16)
    image = read_image(png16(tmp_path / "x.png", array), 3)
    assert torch.allclose(image[0, 0].diff(), torch.tensor(2 / 65535), rtol=1e-2)


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.array([[[255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 255, 128]]], np.uint8)
    write(tmp_path / "rgba.png", rgba)
    assert read_pixels(tmp_path / "rgba.png", 3).tolist() == [[[255, 0, 0], [255, 255, 255], [127, 127, 255]]]
    assert (read_pixels(tmp_path / "rgba.png", 4) == rgba).all()
    write(tmp_path / "la.png", rgba[..., [1, 3]])
    assert read_pixels(tmp_path / "la.png", 1)[..., 0].tolist() == [[0, 255, 127]]
    assert (read_pixels(tmp_path / "la.png", 2) == rgba[..., [1, 3]]).all()
    deep = np.array([[[65535, 0, 0, 65535], [0, 0, 0, 0], [0, 0, 65535, 32768]]], np.uint16)
    image = read_image(png16(tmp_path / "deep.png", deep), 3)
    assert torch.allclose(image[:, 0, 1], torch.ones(3))
    assert image[:, 0, 2].tolist() == pytest.approx([0, 0, 1], abs=1e-4)
    grey = read_image(png16(tmp_path / "la16.png", deep[..., [1, 3]]), 1)
    assert grey[0, 0].tolist() == pytest.approx([-1, 1, 0], abs=1e-4)


def test_palettes_and_bits(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 100, 50, 0, 0, 0])
    palette.putdata([0, 1])
    palette.save(tmp_path / "p.png")
    assert read_pixels(tmp_path / "p.png", 3).tolist() == [[[200, 100, 50], [0, 0, 0]]]
    palette.save(tmp_path / "hole.png", transparency=1)
    assert read_pixels(tmp_path / "hole.png", 3).tolist() == [[[200, 100, 50], [255, 255, 255]]]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    for channels in (1, 3):
        assert read_pixels(tmp_path / "bits.png", channels).tolist() == [[[255] * channels, [0] * channels]]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.tif")
    assert read_pixels(tmp_path / "bits.tif", 1).tolist() == [[[255], [0]]]


def test_cmyk_is_converted(tmp_path):
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red, in ink
    cmyk.save(tmp_path / "x.jpg", quality=100)
    red, green, blue = read_pixels(tmp_path / "x.jpg", 3)[8, 8].astype(int)
    assert red > 250 and green < 5 and blue < 5
    cmyk.save(tmp_path / "x.tif")
    assert read_pixels(tmp_path / "x.tif", 3)[8, 8].tolist() == [255, 0, 0]
    assert read_pixels(tmp_path / "x.tif", 1).shape == (16, 16, 1)


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    write(tmp_path / "x.png", RGB, exif=exif)
    with Image.open(tmp_path / "x.png") as image:
        expected = np.array(ImageOps.exif_transpose(image))
    assert (read_pixels(tmp_path / "x.png", 3) == expected).all()
    tifffile.imwrite(tmp_path / "deep.tif", RGB.astype(np.uint16) * 257, extratags=[(0x0112, "H", 1, turn, True)])
    deep = read_image(tmp_path / "deep.tif", 3)
    assert torch.allclose(deep, to_tensor(expected), atol=1e-6)


def test_any_number_of_channels(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (6, 7, 5), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "interleaved.tif", array, photometric="minisblack", planarconfig="contig")
    planes = array.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "planes.TIFF", planes, photometric="minisblack", planarconfig="separate")
    np.save(tmp_path / "x.npy", array)
    for name in ("interleaved.tif", "planes.TIFF", "x.npy"):
        assert (read_pixels(tmp_path / name, 5) == array).all(), name
        with pytest.raises(UserError, match=r"has 5 channels, not 3; see --input_nc and --output_nc of the training"):
            read_pixels(tmp_path / "x.npy", 3)
    np.save(tmp_path / "float.npy", np.array([[0.0, 0.25, 1.0]]))
    assert read_image(tmp_path / "float.npy", 1)[0, 0].tolist() == [-1, -0.5, 1]
    for wrong in (np.array([[2.0]]), np.array([[np.nan]]), np.zeros((2, 2), np.int64), np.zeros(4, np.uint8)):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(UserError, match=r"wrong\.npy: cannot be read .*expected"):
            read_pixels(tmp_path / "wrong.npy", 1)


def test_channels_that_are_not_there_are_not_invented(tmp_path):
    write(tmp_path / "x.png", RGB)
    with pytest.raises(UserError, match="has 3 channels, not 4"):
        read_pixels(tmp_path / "x.png", 4)
    with pytest.raises(UserError, match="has 3 channels, not 2"):
        read_pixels(tmp_path / "x.png", 2)


@pytest.mark.slow
def test_bombs_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    Image.new("1", (20000, 20000)).save(buffer, "PNG")
    (tmp_path / "large.png").write_bytes(buffer.getvalue())
    assert buffer.tell() < 100_000
    Image.new("1", (10000, 10000)).save(tmp_path / "warned.png")
    np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.uint8, (10000, 10000))
    for name in ("large.png", "warned.png", "large.npy"):
        with pytest.raises(UserError, match=f"{name}: more than .* pixels"):
            read_pixels(tmp_path / name, 3)
    tifffile.imwrite(tmp_path / "large.tif", np.zeros((40, 40, 5), np.uint8), planarconfig="contig")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UserError, match=r"large\.tif: more than 1000 pixels"):
        read_pixels(tmp_path / "large.tif", 5)


def test_damaged_files_are_named(tmp_path):
    good = write(tmp_path / "good.jpg", np.zeros((64, 64, 3), np.uint8)).read_bytes()
    noise = np.random.default_rng(0).integers(0, 65536, (9, 9, 3), dtype=np.uint16)
    deep = png16(tmp_path / "deep.png", noise).read_bytes()
    tifffile.imwrite(tmp_path / "good.tif", np.zeros((9, 9, 5), np.uint8), planarconfig="contig")
    bad = {
        "cut.jpg": good[: len(good) // 2],
        "empty.png": b"",
        "page.jpg": b"<html></html>",
        "deep_cut.png": deep[:300],
        "cut.tif": (tmp_path / "good.tif").read_bytes()[:-300],
        "head.tif": b"II*\0",
        "pickle.npy": b"\x80\x04N.",
        "drawing.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "tiny.png": b"\x89PNG",
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=f"{name}: cannot be read"):
            read_pixels(tmp_path / name, 3)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    for name, what in {
        "dangling.png": "a link to nothing",
        "pipe.png": "not a file",
        "absent.png": "no such file",
    }.items():
        with pytest.raises(UserError, match=f"{name}: {what}"):
            read_pixels(tmp_path / name, 3)


def test_arrays_with_python_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[{"a": 1}]], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        read_pixels(tmp_path / "x.npy", 1)


def test_one_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for name, more in (("x.webp", {"lossless": True}), ("x.gif", {})):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **more)
        with pytest.raises(UserError, match=f"{name}: has 2 pages or frames, and one picture is asked for"):
            read_pixels(tmp_path / name, 3)
        first, second = (path for path in list_images(tmp_path) if path.parent.name == name)
        assert (read_pixels(first, 3)[0, 0].astype(int) - [254, 0, 0] <= 1).all()
        assert (read_pixels(second, 3)[0, 0].astype(int) - [0, 0, 254] <= 1).all()


def test_a_saved_image_is_read_back(tmp_path):
    image = torch.rand(3, 5, 4) * 2 - 1
    save_image(image, tmp_path / "deep" / "x.png")
    assert (read_image(tmp_path / "deep" / "x.png", 3) - image).abs().max() <= 1 / 255 + 1e-6


def test_four_channels_are_colour_with_transparency(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(3, 4, 4) * 5
    write(tmp_path / "in.png", pixels)
    image = read_image(tmp_path / "in.png", 4)
    assert (to_uint8(image) == pixels).all()
    save_image(image, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.mode == "RGBA" and (np.asarray(picture) == pixels).all()
    five = torch.cat([image, image[:1]])
    assert (to_uint8(five) == pixels[..., 0]).all() and (to_uint8(five[:2]) == pixels[..., 0]).all()


def test_values_as_a_file_has_them(tmp_path):
    for values, units in ((np.ones((2, 3), np.uint16), Units(0, 65535, whole=True)), (np.full((2, 3), 0.5), SHARE)):
        np.save(tmp_path / "x.npy", values)
        assert read_values(tmp_path / "x.npy", 1)[1] == units
    np.save(tmp_path / "x.npy", np.full((2, 3), 7.5))
    assert read_values(tmp_path / "x.npy", 1)[1] is None  # nobody knows, and read_pixels wants a range
    np.save(tmp_path / "x.npy", np.full((2, 3), 1j))
    with pytest.raises(UserError, match="values of type complex128; expected real numbers"):
        read_values(tmp_path / "x.npy", 1)
