"""Members of a .tar as Python's own reader has them, and one line for whatever is no .tar."""

import io
import random
import tarfile

import pytest

from tests.data.items.tars import shard
from util.reading.tar import BLOCK, Broken, members

FORMS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
FILES = {
    "a.png": b"x" * 700,
    "deep/" * 15 + "name.png": b"y",
    "empty.txt": b"",
    "d" * 70 + "/" + "n" * 90 + ".png": b"z" * BLOCK,
    "link.png": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "hard.png": {"type": tarfile.LNKTYPE, "linkname": "a.png"},
    "device": {"type": tarfile.CHRTYPE},
    "folder": {"type": tarfile.DIRTYPE},
    "last.png": b"w" * 9000,
}


def of(data):
    return members(lambda offset, size: data[offset : offset + size], len(data))


@pytest.mark.parametrize("form", FORMS)
def test_members_are_those_of_pythons_reader(tmp_path, form):
    files = FILES if form == tarfile.USTAR_FORMAT else FILES | {"é" * 120 + "/ü.png": b"u", "k/" * 200 + "v.png": b"v"}
    data = shard(tmp_path / "x.tar", files, form).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        known = [info for info in file if not info.isdir()]
        contents = [file.extractfile(info).read() if info.isreg() else b"" for info in known]
    found = list(of(data))
    assert [(m.name, m.size, m.plain) for m in found] == [(i.name, i.size, i.isreg()) for i in known]
    assert [data[m.offset : m.offset + m.size] for m in found] == contents


def header(name, size=0, kind=b"0", **fields):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def record(text):
    return header("pax", len(text), b"x") + text.ljust(BLOCK, b"\0")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"nothing" * 100, "it is no .tar"),
        (header("a", 20) + b"x" * 10, "it is cut short in a"),
        (header("a", 1 << 50) + bytes(1024), "it is cut short in a"),
        (header("a", 512) + b"x" * 512, "it is cut short"),
        (header("a") + b"y" * 512, "it is damaged at byte 512"),
        (header("a", -1) + bytes(1024), "leads back"),
        (record(b"12 size=-99\n") + header("a") + bytes(1024), "leads back"),
        (record(b"99999 size=1\n") + header("a") + bytes(1024), "it is damaged at byte 0"),
        (record(b"0 size=1\n") + header("a") + bytes(1024), "it is damaged at byte 0"),
        (record(b"x size=1\n") + header("a") + bytes(1024), "it is damaged at byte 0"),
        (record(b"16 size=1000000\n") + header("a") + bytes(1024), "it is cut short in a"),
        (header("long", 1 << 30, b"L") + bytes(1024), "a header of it is too long"),
        (header("long", 600, b"x"), "it is cut short"),
    ],
)
def test_what_is_no_tar_is_a_line(data, why):
    with pytest.raises(Broken, match=why):
        list(of(data))


def test_sparse_files_are_passed_over():
    first = bytearray(header("holes", 512, b"S"))
    first[482] = 1  # its map goes on
    first[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(first))[0]
    data = bytes(first) + bytes(512) + b"x" * 512 + header("a", 3) + b"abc".ljust(512, b"\0") + bytes(1024)
    pax = record(b"22 GNU.sparse.major=1\n") + header("b", 3) + b"abc".ljust(512, b"\0") + data
    assert [(m.name, m.plain) for m in of(pax)] == [("b", False), ("holes", False), ("a", True)]


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.exhaustive)])
def test_any_damage_is_members_or_a_line(tmp_path, count):
    whole, draw = bytearray(shard(tmp_path / "x.tar", FILES, tarfile.PAX_FORMAT).read_bytes()), random.Random(0)
    for _ in range(count):
        data = whole[: draw.randrange(len(whole))] if draw.random() < 0.3 else bytearray(whole)
        for _ in range(draw.randrange(4)):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            for member in of(bytes(data)):
                assert 0 <= member.offset <= member.offset + member.size <= len(data)
        except Broken:
            continue
