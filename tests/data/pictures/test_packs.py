"""Folders of classes in .zip and .tar, read in place; nothing in them leads out, or takes more than it should."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

import util.reading.packs as packs
from options import UserError
from tests.data.helpers import dataset
from tests.data.test_labeled_dataset import folder, shades

LAYOUT = {"pets/train/cat": 4, "pets/train/dog": 3, "pets/Valid/cat": 2, "pets/Valid/dog": 1}


def opened(path, *words, train=True):
    return dataset("labeled", "--dataroot", path, "--crop_size", 8, "--flip", "false", *words, train=train)


def packed(root, path, arcname=""):
    """All below root."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for part in sorted(root.rglob("*")):
                file.write(part, arcname + part.relative_to(root).as_posix())
    else:
        with tarfile.open(path, {".tar": "w", ".tgz": "w:gz", ".xz": "w:xz"}[path.suffix]) as file:
            file.add(root, arcname or ".")
    return path


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tgz", "d.tar.xz"])
def test_an_archive_is_read_as_the_folder_that_it_holds(tmp_path, name, capsys):
    root = folder(tmp_path / "d", LAYOUT)
    (root / "pets/notes.md").write_text("x")
    (root / "pets/train/.hidden.png").write_text("x")
    path = packed(root, tmp_path / name)
    for train in (True, False):
        data, plain = opened(path, train=train), opened(root / "pets", train=train)
        assert data.classes == plain.classes == ("cat", "dog") and data.channels == 3
        assert data.labels.tolist() == plain.labels.tolist() and shades(data) == shades(plain)
    assert data[0]["image_paths"].startswith(f"{path}/") and data.source.kind == name.split(".")[1].replace(
        "tgz", "tar"
    )
    captured = capsys.readouterr()
    assert "held out: 3 pictures of" in captured.out and "1 files are not read: 1 .md" in captured.err


def test_classes_alone_and_an_archive_for_each_phase(tmp_path, capsys):
    path = packed(folder(tmp_path / "d", {"cat": 5, "dog": 5}), tmp_path / "d.zip")
    assert len(opened(path)) == 8 and "held out: 2 pictures, 0.2 of each class" in capsys.readouterr().out
    (tmp_path / "two").mkdir()
    packed(folder(tmp_path / "one", {"cat": 3, "dog": 3}), tmp_path / "two/train.tar")
    packed(folder(tmp_path / "other", {"cat": 2, "fox": 2}), tmp_path / "two/test.tar")
    data = opened(tmp_path / "two")
    assert len(data) == 6 and len(data.half("test")) == 2 and "fox is no class" in capsys.readouterr().err


def test_tiny_imagenet_as_it_is_downloaded(tmp_path, capsys):
    root = folder(
        tmp_path / "d", {"t/train/n1/images": 3, "t/train/n2/images": 3, "t/val/images": 4, "t/test/images": 2}
    )
    (root / "t/val/val_annotations.txt").write_text("".join(f"{i:02d}.png\tn{1 + i % 2}\t0\n" for i in range(4)))
    data = opened(packed(root, tmp_path / "tiny-imagenet-200.zip"))
    assert data.classes == ("n1", "n2") and data.half("test").labels.tolist() == [0, 0, 1, 1]
    assert "2 pictures of test are left out, of no class of the training" in capsys.readouterr().err


def picture():
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_and_what_is_no_file_are_left_out(tmp_path, kind, capsys):
    names, bad = [f"{c}/{i}.png" for c in "ab" for i in range(3)], ["../../out.png", "/etc/x.png", "a/../../y.png"]
    path = tmp_path / "in/deep" / f"d.{kind}"
    path.parent.mkdir(parents=True)
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for name in (*names, *bad):
                file.writestr(name, picture())
    else:
        with tarfile.open(path, "w") as file:
            for name in (*names, *bad):
                info = tarfile.TarInfo(name)
                info.size = len(picture())
                file.addfile(info, io.BytesIO(picture()))
            link = tarfile.TarInfo("a/link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            file.addfile(link)
    data = opened(path, "--phase", "all")
    assert len(data) == 6 and data.classes == ("a", "b")
    assert f"{len(bad) + (kind == 'tar')} files are left out" in capsys.readouterr().err
    assert {p.name for p in tmp_path.rglob("*")} == {"in", "deep", path.name}


def test_a_file_that_unpacks_to_more_than_it_says_is_a_bad_picture(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("a/0.png", "b/0.png"):
            file.writestr(name, picture() + bytes(50_000))
    data = bytearray((tmp_path / "d.zip").read_bytes())
    whole = len(picture()) + 50_000
    place = data.rindex(b"PK\x01\x02") + 24  # of the index: bytes unpacked
    assert int.from_bytes(data[place : place + 4], "little") == whole
    data[place : place + 4] = (100).to_bytes(4, "little")
    (tmp_path / "d.zip").write_bytes(data)
    data = opened(tmp_path / "d.zip", "--phase", "all")
    data[0]
    with pytest.raises(UserError, match=r"d\.zip/b/0\.png: cannot be read \(it is cut off in the archive\)"):
        data[1]


def test_what_is_damaged_or_too_large_is_a_line(tmp_path, monkeypatch):
    root = folder(tmp_path / "d", {"cat": 2, "dog": 2})
    for name, content in (("x.zip", b"PK nothing"), ("x.tar", b"nothing" * 100), ("x.tgz", b"nothing")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: cannot be read as an archive of pictures"):
            opened(tmp_path / name)
    path = packed(root, tmp_path / "d.tgz")
    monkeypatch.setattr(packs, "MOST_UNPACKED", 1000)
    with pytest.raises(UserError, match=r"d\.tgz: .*unpack it to a \.tar, which is read in place"):
        opened(path)
    (tmp_path / "flat").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "flat/0.png")
    with pytest.raises(UserError, match="lie beside one another"):
        opened(packed(tmp_path / "flat", tmp_path / "flat.zip"))


def test_a_picture_that_is_none_can_be_skipped(tmp_path, capsys):
    root = folder(tmp_path / "d", {"cat": 2, "dog": 2})
    (root / "cat/00.png").write_bytes(b"nothing")
    path = packed(root, tmp_path / "d.zip")
    with pytest.raises(UserError, match=r"d\.zip/cat/00\.png: cannot be read \(not an image\); --on_bad_image skip"):
        opened(path, "--phase", "all")[0]
    data = opened(path, "--phase", "all", "--on_bad_image", "skip")
    assert len(data.arrays("all")[1]) == 3 and np.isfinite(data.arrays("all")[0].numpy()).all()


@pytest.mark.parametrize("size", [-512, -1024, -1])
@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_whose_headers_lead_back_ends(tmp_path, size, kind):
    """Python's reader goes back by the size and comes to the same header, for ever."""
    info = tarfile.TarInfo("b/0.png")
    if kind == tarfile.PAX_FORMAT:
        info.pax_headers = {"size": str(size)}
    header = bytearray(info.tobuf(kind))
    if kind == tarfile.GNU_FORMAT:
        header[124:136] = tarfile.itn(size, 12, kind)
        header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
    first = tarfile.TarInfo("a/0.png").tobuf(kind)
    (tmp_path / "d.tar").write_bytes(first + bytes(header) + bytes(1024))
    with pytest.raises(UserError, match=r"d\.tar: cannot be read .*\(a header of it leads back\)"):
        opened(tmp_path / "d.tar")
