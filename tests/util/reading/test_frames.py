import numpy as np
import pytest
import tifffile
from PIL import Image

from options import UserError
from tests.data.helpers import dataset
from util.images import read_image, read_pixels
from util.listing import list_images
from util.picture_files import plan
from util.reading.frames import count_pages, named, pages_of, split


def stack(path, count, kind="uint8", size=(6, 7), **more):
    """Page k is filled with k + 1, or with (k + 1) / 10 if it is of floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = np.stack([np.full(size, (k + 1) / (10 if kind[0] == "f" else 1), kind) for k in range(count)])
    tifffile.imwrite(path, pages, photometric="minisblack", **more)
    return path


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_pages_are_images_and_never_channels(tmp_path, kind, count):
    stack(tmp_path / "deep.scan.tif", count, kind)
    found = list_images(tmp_path)
    assert [path.name for path in found] == [f"deep.scan_{k:04d}.tif" for k in range(1, count + 1)]
    for k, path in enumerate(found, 1):
        level = {"uint8": k / 127.5 - 1, "uint16": k / 32767.5 - 1, "float32": k / 5 - 1}[kind]
        for channels in (1, 3):
            image = read_image(path, channels)
            assert image.shape == (channels, 6, 7) and (image - level).abs().max() < 1e-5
    for channels in (1, 2, 3, count):
        with pytest.raises(UserError, match=rf"deep\.scan\.tif: has {count} pages or frames, and one picture is asked"):
            read_pixels(tmp_path / "deep.scan.tif", channels)
    with pytest.raises(UserError, match=rf"there are {count} pages"):
        read_pixels(tmp_path / f"deep.scan.tif/deep.scan_{count + 1:04d}.tif", 1)


def test_big_tiffs_and_pages_of_several_sizes(tmp_path):
    stack(tmp_path / "big.tif", 3, "uint16", bigtiff=True)
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as file:
        file.write(np.zeros((8, 9, 3), np.uint8), photometric="rgb")
        file.write(np.zeros((4, 5), np.uint8), photometric="minisblack", subfiletype=1)  # a thumbnail
        file.write(np.full((3, 2), 0.5, np.float32), photometric="minisblack")
    shapes = [read_pixels(path, 3).shape for path in list_images(tmp_path)]
    assert shapes == [(6, 7, 3)] * 3 + [(8, 9, 3), (3, 2, 3)]
    assert (read_pixels(list_images(tmp_path)[-1], 1) == 0).all()


def test_one_page_is_the_file_itself(tmp_path):
    stack(tmp_path / "one.tif", 1)
    Image.new("RGB", (4, 4)).save(tmp_path / "one.gif")
    (tmp_path / "bad.tif").write_bytes(b"II*\0")
    Image.new("RGB", (4, 4)).save(tmp_path / "scan_0002.png")
    assert [path.name for path in list_images(tmp_path)] == ["bad.tif", "one.gif", "one.tif", "scan_0002.png"]
    assert split(tmp_path / "scan_0002.png") == (tmp_path / "scan_0002.png", None)
    with pytest.raises(UserError, match=r"bad\.tif: cannot be read"):
        read_pixels(tmp_path / "bad.tif", 1)


def test_twenty_four_frames(tmp_path):
    frames = [Image.new("L", (8, 8), 10 * k) for k in range(24)]
    frames[0].save(tmp_path / "walk.gif", save_all=True, append_images=frames[1:])
    assert count_pages(tmp_path / "walk.gif") == 24
    assert [int(read_pixels(path, 1)[0, 0, 0]) for path in pages_of(tmp_path / "walk.gif")] == [*range(0, 240, 10)]
    assert named(pages_of(tmp_path / "walk.gif")[2]) == tmp_path / "walk_0003.gif"


def test_data_of_every_kind_see_pages(tmp_path):
    for side in "AB":
        stack(tmp_path / f"train{side}/s.tif" if side == "A" else tmp_path / "trainB/s.tiff", 3)
    words = ("--dataroot", tmp_path, "--preprocess", "none", "--input_nc", 1, "--output_nc", 1)
    assert len(dataset("unaligned", *words)) == 3
    pairs = dataset("aligned", *words)
    assert len(pairs) == 3 and all((pairs[i]["A"] == pairs[i]["B"]).all() for i in range(3))
    assert pairs[2]["A_paths"].endswith("trainA/s.tif/s_0003.tif")
    file = dataset("single", "--dataroot", tmp_path / "trainA/s.tif", "--input_nc", 1, train=False)
    assert [int((file[i]["A"][0, 0, 0] + 1) * 127.5 + 0.5) for i in range(len(file))] == [1, 2, 3]
    with pytest.raises(UserError, match=r"trainA and trainB must hold one image each .* trainA/ \(3 images\)"):
        dataset("singleimage", *words)


def test_results_are_named_after_pages(tmp_path):
    source = stack(tmp_path / "in/sub/s.tif", 2)
    jobs = plan([str(tmp_path / "in")], str(tmp_path / "out"), "png", False)
    assert [job.target for job in jobs] == [tmp_path / f"out/sub/s_000{k}.png" for k in (1, 2)]
    jobs = plan([str(source)], str(tmp_path / "out/"), "png", False)
    assert [job.target.name for job in jobs] == ["s_0001.png", "s_0002.png"]
    with pytest.raises(UserError, match=r"s\.tif: has 2 pages, each a picture; give --output a folder"):
        plan([str(source)], str(tmp_path / "out.png"), "png", False)
