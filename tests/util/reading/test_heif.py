import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from options import UserError
from util.heads import Head, read_head
from util.images import read_image, read_pixels, read_values
from util.listing import list_images

HEIC = Path(__file__).parent / "heic"
y, x = np.mgrid[:16, :24]
PICTURE = np.stack([np.where(x < 8, 230, 30), np.where(y < 8, 200, 40), np.where((x >= 16) & (y >= 8), 220, 20)], 2)


def copied(folder, name, to):
    (folder / to).write_bytes((HEIC / name).read_bytes())
    return folder / to


@pytest.mark.extra
def test_a_picture_is_turned_once(tmp_path):
    upright = np.rot90(PICTURE, -1)
    for name in ("IMG_1.HEIC", "x.heif", "by_its_first_bytes.jpg"):
        path = copied(tmp_path, "turned.heic", name)
        assert np.abs(read_pixels(path, 3).astype(int) - upright).max() <= 1
        assert read_head(path) == Head(16, 24, grey=False)


@pytest.mark.extra
def test_transparency_and_grey():
    clear = read_pixels(HEIC / "clear.heic", 4).astype(int)
    assert np.abs(clear[..., :3] - PICTURE).max() <= 1 and (clear[..., 3] == np.where(y < 8, 255, 0)).all()
    on_white = np.where(y[..., None] < 8, PICTURE, 255)
    assert np.abs(read_pixels(HEIC / "clear.heic", 3).astype(int) - on_white).max() <= 1
    assert np.abs(read_pixels(HEIC / "grey.heic", 1)[..., 0].astype(int) - PICTURE[..., 0]).max() <= 1
    assert read_head(HEIC / "grey.heic").grey and not read_head(HEIC / "clear.heic").grey


@pytest.mark.extra
def test_ten_bits_are_kept():
    values, units = read_values(HEIC / "deep.heic", 3)
    assert values.dtype == np.uint16 and (units.low, units.high) == (0, 65535)
    levels = np.broadcast_to((x * 4 + 300)[..., None], (16, 24, 3))
    assert (values == (levels * (65535 / 1023)).round()).all()
    assert np.allclose(read_image(HEIC / "deep.heic", 3)[0], levels[..., 0] * (2 / 1023) - 1, atol=2e-5)


@pytest.mark.extra
def test_several_pictures_of_a_file_are_pages(tmp_path):
    path = copied(tmp_path, "two.heic", "two.HEIC")
    first, second = list_images(tmp_path)
    assert (first.name, second.name) == ("two_0001.HEIC", "two_0002.HEIC")
    assert np.abs(read_pixels(first, 3).astype(int) - PICTURE).max() <= 1
    assert np.abs(read_pixels(second, 3).astype(int) - (255 - PICTURE)).max() <= 1
    assert read_head(second) == Head(24, 16, grey=False)
    with pytest.raises(UserError, match=r"two.HEIC: has 2 pages or frames"):
        read_pixels(path, 3)


@pytest.mark.extra
def test_damaged_and_huge_files_are_named(tmp_path, monkeypatch):
    path = copied(tmp_path, "turned.heic", "cut.heic")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"cut.heic: cannot be read \("):
        read_pixels(path, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"deep.heic: more than 100 pixels"):
        read_pixels(HEIC / "deep.heic", 3)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    path = copied(tmp_path, "turned.heic", "x.HEIC")
    assert list_images(tmp_path) == [path]
    with pytest.raises(UserError, match=r"x.HEIC: needs pi-heif, of the extra heic: uv pip install pi-heif"):
        read_pixels(path, 3)


@pytest.mark.slow
def test_avif(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(PICTURE.astype(np.uint8))
    picture.save(tmp_path / "a.AVIF", exif=exif, quality=100, subsampling="4:4:4")
    picture.save(tmp_path / "b.avif", save_all=True, append_images=[picture.rotate(180)], quality=100)
    turned, first, second = list_images(tmp_path)
    assert np.abs(read_pixels(turned, 3).astype(int) - np.rot90(PICTURE, -1)).max() <= 8
    assert read_head(turned) == Head(16, 24, grey=False)
    assert (first.name, second.name) == ("b_0001.avif", "b_0002.avif")
    assert np.abs(read_pixels(second, 3).astype(int) - PICTURE[::-1, ::-1]).mean() < 8
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(UserError, match=r"a.AVIF: this build of Pillow lacks AVIF"):
        read_pixels(turned, 3)
