"""Which inputs a page shows where they lie, and who finds them there."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from util.images import read_image, to_uint8
from util.inputs import LIST, Input, address, inputs_in, note_input, noted_inputs

P3 = b"\0" * 40 + b"Display P3" + b"\0" * 40  # as far as anybody looks at it


def levels(seed=0, size=(7, 9), channels=3):
    return np.random.default_rng(seed).integers(0, 256, (*size, channels)[: 2 + (channels > 1)], dtype=np.uint8)


def turned(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


def put(folder, kind):
    """A picture below the folder, of a kind."""
    folder.mkdir(parents=True, exist_ok=True)
    colours, grey = Image.fromarray(levels()), Image.fromarray(levels(channels=1))
    made = {
        "png": (colours, "a.png", {}),
        "jpeg": (colours, "a.jpg", {"quality": 90}),
        "grey jpeg": (grey, "a.jpg", {}),
        "webp": (colours, "a.webp", {}),
        "turned jpeg": (colours, "a.jpg", turned(colours)),
        "odd name": (colours, "it's a#b?c %20é\\.png", {}),
        "turned png": (colours, "a.png", turned(colours)),
        "other colours": (colours, "a.jpg", {"icc_profile": P3}),
        "transparent": (Image.fromarray(levels(channels=4)), "a.png", {}),
        "palette": (colours.quantize(9), "a.png", {"transparency": 0}),
        "cmyk": (colours.convert("CMYK"), "a.jpg", {}),
        "tiff": (colours, "a.tif", {}),
        "bmp": (colours, "a.bmp", {}),
        "16 bits": (Image.fromarray(levels(channels=1).astype(np.uint16) * 257), "a.png", {}),
        "frames": (colours, "a.gif", {"save_all": True, "append_images": [colours.rotate(180)]}),
    }
    image, name, words = made[kind]
    image.save(folder / name, **words)
    return folder / name


ALIKE = ("png", "jpeg", "grey jpeg", "webp", "turned jpeg", "odd name")
OTHER = ("turned png", "other colours", "transparent", "palette", "cmyk", "tiff", "bmp", "16 bits", "frames")


def given(path, page):
    """The address of a picture as a test reads it."""
    pages = path / f"{path.stem}_0001.gif" if path.suffix == ".gif" else path
    return address(str(pages), page, to_uint8(read_image(pages, 3)))


@pytest.mark.parametrize("kind", ALIKE + OTHER)
def test_what_a_browser_shows_as_it_was_read_needs_no_copy(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path, page = put(tmp_path / "data/deep", kind), tmp_path / "results/run"
    page.mkdir(parents=True)
    assert given(path, page) == (f"../../data/deep/{path.name}" if kind in ALIKE else None)
    assert given(path.relative_to(tmp_path), page.relative_to(tmp_path)) == given(path, page)


def test_what_was_altered_or_lies_elsewhere_is_copied(tmp_path, monkeypatch):
    here = tmp_path / "here"
    path, page = put(here / "data", "png"), here / "results"
    page.mkdir()
    shown = levels()
    monkeypatch.chdir(here)
    assert address(str(path), page, shown) == "../data/a.png"
    for other in (shown[:, ::-1], shown[:5], levels(channels=1), levels(seed=1)):
        assert address(str(path), page, other) is None
    (here / "link").symlink_to(here / "data")
    assert address("link/a.png", page, shown) is None
    assert address(str(path), here / "link", shown) is None
    assert address("U+0041", page, shown) is None and address("data", page, shown) is None
    monkeypatch.chdir(page)
    assert address(str(path), page, shown) is None
    monkeypatch.chdir(here / "data")
    assert address(str(path), page, shown) is None  # the page is not below


def test_the_list_is_read_whatever_became_of_it(tmp_path):
    one, odd = put(tmp_path / "data", "png"), os.fsdecode(b"caf\xe9.png")
    (tmp_path / "data" / odd).write_bytes(one.read_bytes())
    note_input(tmp_path, "images/real_A/a.png", "data/a.png", one)
    note_input(tmp_path, f"style/images/real_A/{odd}", f"data/{odd}", tmp_path / "data" / odd)
    with (tmp_path / LIST).open("a") as file:
        for line in ({"image": "../x.png", "file": "a", "sha256": ""}, {"image": "x", "file": "a", "sha256": ""}, [1]):
            file.write(json.dumps(line) + "\n")
        file.write('{"image": "images/real_A/b.pn')
    found = noted_inputs(tmp_path)
    assert list(found) == ["images/real_A/a.png", f"style/images/real_A/{odd}"]
    assert all(given.is_there() for given in found.values())
    assert list(inputs_in(tmp_path / "images/real_A")) == ["a.png"] and not inputs_in(tmp_path / "images/fake_B")
    assert list(inputs_in(tmp_path / "style")) == [f"images/real_A/{odd}"]
    one.write_bytes(b"another")
    assert not found["images/real_A/a.png"].is_there() and not Input(tmp_path / "none", "").is_there()
