"""What an earlier test wrote is removed, and nothing else."""

import json

from util.pages.files import LIST, ResultFiles


def write(files, *paths):
    for path in paths:
        at = files.note(path)
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text("")


def left(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_a_folder_is_as_it_was(tmp_path):
    files = ResultFiles(tmp_path)
    write(
        files,
        "index.html",
        "new\nline/images/a/x.png",
        "b#?/images/y.png",
        b"\xe9.png".decode(errors="surrogateescape"),
    )
    (tmp_path / "metrics.json").write_text("{}")
    assert (tmp_path / LIST).is_file()
    ResultFiles(tmp_path).clear()
    assert left(tmp_path) == []
    ResultFiles(tmp_path).clear()


def test_what_somebody_else_put_there_stays(tmp_path):
    write(ResultFiles(tmp_path), "style/images/a/x.png", "style/index.html", "index.html")
    for mine in ("style/images/a/mine.png", "style/notes.txt", "other/images/z.png", "test_opt.txt"):
        (tmp_path / mine).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / mine).write_text("mine")
    ResultFiles(tmp_path).clear()
    assert [p for p in left(tmp_path) if (tmp_path / p).is_file()] == [
        "other/images/z.png",
        "style/images/a/mine.png",
        "style/notes.txt",
        "test_opt.txt",
    ]


def test_a_list_cannot_lead_outside(tmp_path):
    folder, outside = tmp_path / "results", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    for name in ("a", "b", "c"):
        (outside / name).write_text("kept")
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "c")
    paths = ["../outside/a", str(outside / "b"), "link/a", "link", "file", "", "."]
    (folder / LIST).write_text("".join(json.dumps(p) + "\n" for p in paths) + '"half a li')
    ResultFiles(folder).clear()
    assert sorted(p.name for p in outside.iterdir()) == ["a", "b", "c"] and left(folder) == []


def test_images_of_a_version_without_a_list_are_removed(tmp_path):
    (tmp_path / "images/fake_B").mkdir(parents=True)
    (tmp_path / "images/fake_B/x.png").write_text("")
    ResultFiles(tmp_path).clear()
    assert (tmp_path / "images/fake_B/x.png").is_file()  # there is no page: no test wrote them
    (tmp_path / "index.html").write_text("")
    ResultFiles(tmp_path).clear()
    assert not (tmp_path / "images").exists()
