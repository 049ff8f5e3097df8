"""The one way to write: never through a link, and never half of a file, on every system."""

import os

import pytest

from options import UserError
from tests.kills import Deaths, Killed
from util import writing
from util.writing import (
    Folder,
    Refused,
    append,
    appending,
    check_folders,
    check_written_to,
    make_folder,
    new_file,
    remove_folder,
    write_atomically,
)


@pytest.fixture(params=["linux", "windows"], autouse=True)
def system(request, monkeypatch):
    """All that there is here, or what Windows has: no folders that are open, no O_NOFOLLOW."""
    if request.param == "windows":
        monkeypatch.setattr(os, "supports_dir_fd", set())
        monkeypatch.setattr(writing, "FRESH", writing.FRESH & ~writing.NOFOLLOW)
        monkeypatch.setattr(writing, "NOFOLLOW", 0)
    return request.param


@pytest.fixture
def root(tmp_path):
    """A run, beside what it must not reach."""
    (tmp_path / "run").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/bashrc").write_text("mine")
    return tmp_path / "run"


def untouched(root):
    outside = root.parent / "outside"
    return [(p.name, p.read_text()) for p in outside.iterdir()] == [("bashrc", "mine")]


WAYS = {
    "whole": lambda path, root: write_atomically(path, "new", root),
    "opened": lambda path, root: save(path, root),
    "added": lambda path, root: append(path, "new", root),
}


def save(path, root):
    with new_file(path, root) as file:
        file.write(b"new")


@pytest.mark.parametrize("way", WAYS)
def test_folders_are_made_below_the_root_which_may_be_a_link(root, way):
    root.rmdir()
    root.symlink_to(root.parent / "disk")
    (root.parent / "disk").mkdir()
    WAYS[way](root / "web/images/x", root)
    assert (root.parent / "disk/web/images/x").read_text() == "new"
    assert [p.name for p in (root / "web/images").iterdir()] == ["x"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("target", ["outside", "outside/new", "outside/bashrc"])
@pytest.mark.parametrize("link", ["web", "web/images"])
def test_a_link_below_the_root_is_refused_by_its_name(root, way, target, link):
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(root.parent / target)
    with pytest.raises(Refused, match=rf"run/{link} is a link, through which nothing is written; remove it$") as error:
        WAYS[way](root / "web/images/x", root)
    assert error.value.code == 5 and untouched(root)


@pytest.mark.parametrize("way", ["whole", "opened"])
@pytest.mark.parametrize("target", ["outside/bashrc", "outside/new", "outside"])
def test_a_link_is_replaced_by_the_file(root, way, target):
    (root / "x").symlink_to(root.parent / target)
    WAYS[way](root / "x", None)
    assert untouched(root) and not (root / "x").is_symlink() and (root / "x").read_text() == "new"


@pytest.mark.parametrize("target", ["outside/bashrc", "outside/new"])
def test_nothing_is_added_through_a_link(root, target):
    (root / "x").symlink_to(root.parent / target)
    with pytest.raises(Refused, match="run/x is a link"):
        append(root / "x", "new")
    assert untouched(root)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("read", [False, True])
def test_a_pipe_is_not_waited_for(root, read):
    os.mkfifo(root / "x")
    reader = os.open(root / "x", os.O_RDONLY | os.O_NONBLOCK) if read else None
    with pytest.raises(Refused, match="run/x is no plain file; remove it"):
        append(root / "x", "new")
    if reader is not None:
        assert os.read(reader, 9) == b""
        os.close(reader)
    write_atomically(root / "x", "new")
    assert (root / "x").read_text() == "new"


def test_a_device_is_refused():
    with pytest.raises(Refused, match="/dev/null is no plain file"):
        writing.open_plain(writing.Path("/dev/null"), os.O_WRONLY)


def test_other_names_of_a_file_keep_what_it_said(root):
    """As in a backup of hard links, or of a file that somebody else wants changed."""
    os.link(root.parent / "outside/bashrc", root / "log")
    append(root / "log", " and more")
    append(root / "log", " still")
    assert (root / "log").read_text() == "mine and more still" and untouched(root)
    assert [p.name for p in root.iterdir()] == ["log"]


def test_what_is_added_is_at_the_end_whoever_else_adds(root):
    with appending(root / "log") as one:
        append(root / "log", "a")
        os.write(one, b"b")
    assert (root / "log").read_text() == "ab"


def test_a_folder_that_is_replaced_meanwhile_gets_nothing(root, system):
    """It was opened once: what is written goes where it went."""
    make_folder(root / "web", root)
    with Folder(root / "web", root) as folder:
        staged = folder.stage("x", b"new")
        (root / "web").rename(root / "old")
        (root / "web").symlink_to(root.parent / "outside")
        if system == "linux":
            folder.rename(staged, "x")
            assert (root / "old/x").read_text() == "new"
    assert untouched(root)


def test_an_error_leaves_what_was_there(root):
    (root / "x").write_text("old")
    with pytest.raises(KeyboardInterrupt), new_file(root / "x") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [(p.name, p.read_text()) for p in root.iterdir()] == [("x", "old")]


@pytest.mark.parametrize("way", WAYS)
def test_the_longest_name_of_a_file_can_be_written(root, way):
    for name in ("x" * 255, "\N{GREEK SMALL LETTER OMEGA}" * 127, "\N{PILE OF POO}" * 63):
        WAYS[way](root / name, None)
        WAYS[way](root / name, root)
    assert len(list(root.iterdir())) == 3


def test_an_error_names_the_file(root):
    with pytest.raises(NotADirectoryError) as error:
        write_atomically(root.parent / "outside/bashrc/x", "new", root.parent / "outside")
    assert "bashrc" in str(error.value.filename)
    with pytest.raises(FileNotFoundError) as error:
        append(root / "gone/x", "new")
    assert str(error.value.filename) == str(root / "gone/x")


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_change_a_file_is_the_old_or_the_new(root, way):
    def begin():
        (root / "web/x").parent.mkdir(exist_ok=True)
        (root / "web/x").write_text("old")

    begin()
    with Deaths(root) as whole:
        WAYS[way](root / "web/x", root)
    after = (root / "web/x").read_text()
    for fatal in range(1, len(whole.done) + 1):
        begin()
        with Deaths(root, fatal), pytest.raises(Killed):
            WAYS[way](root / "web/x", root)
        assert (root / "web/x").read_text() in ("old", after) or way == "added"
    assert len(whole.done) >= 2


def test_what_is_written_in_place_is_looked_at_before(root):
    make_folder(root / "web", root)
    (root / "log").write_text("")
    check_written_to(root, ["web", "web/images", "log", "log/odd", "none"])
    (root / "web/images").symlink_to(root.parent / "nowhere")
    with pytest.raises(Refused, match="run/web/images is a link"):
        check_written_to(root, ["web", "web/images", "log"])
    os.mkfifo(root / "pipe")
    with pytest.raises(Refused, match="run/pipe is no plain file"):
        check_written_to(root, ["pipe"])


def test_links_out_of_a_folder_are_found_at_any_depth(root):
    make_folder(root / "test/a/b", root)
    (root / "test/a/b/weights").symlink_to(root.parent / "outside/bashrc")
    check_folders(root / "test", root)  # a plain file, which would be replaced
    check_folders(root / "none", root)
    (root / "test/a/b/deep").symlink_to(root.parent / "outside")
    with pytest.raises(Refused, match="run/test/a/b/deep is a link"):
        check_folders(root / "test", root)
    (root / "link").symlink_to(root / "test/a")
    with pytest.raises(Refused, match="run/link is a link"):
        check_folders(root / "link/b", root)


def test_a_folder_goes_with_its_links_and_not_with_what_they_lead_to(root):
    make_folder(root / "a/b", root)
    (root / "a/b/out").symlink_to(root.parent / "outside")
    (root / "link").symlink_to(root.parent / "outside")
    remove_folder(root / "a", root)
    for path in (root / "link", root / "link/bashrc"):
        with pytest.raises(UserError, match="run/link is a link"):
            remove_folder(path, root)
    assert untouched(root) and [p.name for p in root.iterdir()] == ["link"]
