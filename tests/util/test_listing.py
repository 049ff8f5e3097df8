import os
from pathlib import Path

from util.listing import Listing, list_images, look_into


def test_listing_is_sorted_and_complete(tmp_path):
    names = [
        "b.PNG",
        "a/z.Jpg",
        "a/y/x.tiff",
        "a.png",
        "B.webp",
        "c d#?%'.npy",
        "字.ppm",
        "ä.bmp",
        "z" * 250 + ".png",
        "new\nline.png",
        "<script>.png",
    ]
    for name in [*names, "notes.txt", ".hidden.png", ".cache/x.png", "png", "a/._x.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inside.jpeg").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == sorted([*names, "folder.png/inside.jpeg", "\udcff.png"])


def test_links_are_followed_but_not_round_in_circles(tmp_path):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    elsewhere.mkdir()
    root.mkdir()
    (elsewhere / "x.png").touch()
    (root / "link").symlink_to(elsewhere)
    (root / "loop").symlink_to(root)
    (root / "file.png").symlink_to(elsewhere / "x.png")
    (root / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert [p.relative_to(root).as_posix() for p in list_images(root)] == ["dangling.png", "file.png", "link/x.png"]


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()
    return look_into(folder)


def test_what_is_not_read_is_counted_and_named_with_what_is(tmp_path, capsys):
    listing = touched(tmp_path / "x", "1.png", *(f"n{i}.txt" for i in range(9)), "sub/c.psd", "z.XCF", "no_suffix")
    line = listing.unread()
    assert line.startswith(f"12 files of {tmp_path}/x are not read: n0.txt, no_suffix, sub/c.psd, z.XCF, n1.txt, ")
    assert ", n2.txt, ...; read are avif bmp dcm" in line and line.endswith("ppm tif tiff webp")
    assert listing.tell() == listing.tell() == [tmp_path / "x/1.png"]
    assert capsys.readouterr().err == line + "\n"  # once


def test_one_file_and_what_is_read_beside_pictures(tmp_path):
    listing = touched(tmp_path, "a.png", "a.txt", "b.txt")
    assert listing.unread({tmp_path / "a.txt"}, before="; ").startswith(f"; 1 file of {tmp_path} is not read: b.txt; ")
    assert listing.unread({tmp_path / "a.txt", tmp_path / "b.txt"}, before="; ") == ""


def test_hidden_files_and_those_of_the_system_do_not_count(tmp_path):
    listing = touched(tmp_path, "a.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".git/config", "._a.png")
    assert listing == Listing(tmp_path, [tmp_path / "a.png"], [])


def test_names_do_not_write_to_the_terminal(tmp_path):
    assert "a?[31m.psd" in touched(tmp_path, "a\x1b[31m.psd").unread()


def test_a_folder_itself_and_one_that_is_not_there(tmp_path):
    touched(tmp_path, "a.png", "sub/b.png", "sub/c.psd")
    assert look_into(tmp_path, below=False) == Listing(tmp_path, [tmp_path / "a.png"], [])
    assert look_into(tmp_path / "nowhere") == Listing(tmp_path / "nowhere", [], [])
