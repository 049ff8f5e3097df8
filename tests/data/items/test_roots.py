"""What braces, stars and folders stand for, and one line for what stands for nothing."""

import pytest

from data.items.roots import expanded, identity, is_beyond, local_shards
from options import UserError


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("s/{008..011}.tar", ["s/008.tar", "s/009.tar", "s/010.tar", "s/011.tar"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{train,val}-{0..1}.tar", ["train-0.tar", "train-1.tar", "val-0.tar", "val-1.tar"]),
    ],
)
def test_braces(pattern, names):
    assert list(expanded(pattern, pattern, "dataroot")) == names


@pytest.mark.parametrize("pattern", ["{0..x}", "{3..1}", "{a", "{{0..1}}", "{}", "{0..9999999}", "{0..99999}{0..99}"])
def test_braces_that_mean_nothing_are_a_line(pattern):
    with pytest.raises(UserError, match=r"^--A x: \{"):
        list(expanded(pattern, "x", "A"))


def test_folders_stars_and_single_shards(tmp_path, monkeypatch):
    for name in ("b/1.tar", "a/2.TAR", "0.tar", ".hidden.tar", "notes.txt", "b/2.tar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def names(pattern):
        return local_shards(f"shards:{pattern}", "dataroot").names

    assert names(tmp_path) == ("0.tar", "a/2.TAR", "b/1.tar", "b/2.tar")
    assert names(tmp_path / "b/*.tar") == names(tmp_path / "b/{1..2}.tar") == ("1.tar", "2.tar")
    assert names(tmp_path / "{a,b}/2*") == ("a/2.TAR", "b/2.tar") and names(tmp_path / "0.tar") == ("0.tar",)
    monkeypatch.chdir(tmp_path)
    assert names("b/{1..2}.tar") == ("1.tar", "2.tar")
    assert identity("shards:b/../b") == f"shards:{tmp_path}/b" and identity("s3://x/../y") == "s3://x/../y"
    assert is_beyond("shards:b") and is_beyond("s3://b/c") and not is_beyond("b")


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("none", "no such shard; write it in quotes"),
        ("{0..3}.tar", "2 of 4 shards are not there: 2.tar, 3.tar"),
        ("none*", "no file is called so"),
        ("empty", "no .tar in this folder"),
        ("packed", r"x\.tar\.gz is compressed as a whole, .*unpack it"),
        ("packed/x.tar.gz", r"x\.tar\.gz is compressed as a whole"),
    ],
)
def test_what_is_not_there_is_a_line(tmp_path, pattern, line):
    for name in ("0.tar", "1.tar", "empty/x.png", "packed/x.tar.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"^--dataroot shards:{tmp_path}/\S+: {line}"):
        local_shards(f"shards:{tmp_path}/{pattern}", "dataroot")
