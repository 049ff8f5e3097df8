"""Shards on a server are the shards of a disk; whatever the server does, there is a value or one line."""

import fnmatch
import multiprocessing
import os
import random
import shutil
import sys
import time

import pytest

from data import Loader
from data.items import blocks as blocks_module
from data.items import servers
from data.items.blocks import Blocks, name_of
from options import UserError
from tests.data.helpers import dataset
from tests.data.items.shelf import shelf
from tests.data.items.tars import picture, shard
from tests.data.test_image_folder import same

SMALL = ("--load_size", 20, "--crop_size", 16)


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(servers, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(servers, "TIMEOUT", (0.3, 0.15))


def made(tmp_path, count=3, size=(20, 16)):
    """Shards of both sides in a folder, and as files of a server."""
    for number in range(count):
        files = {f"train{side}/{number}{i}.png": picture(10 * number + i, size) for i in range(4) for side in "AB"}
        shard(tmp_path / f"s/{number:03}.tar", files)
    return {f"/data/{path.name}": path.read_bytes() for path in sorted((tmp_path / "s").glob("*.tar"))}


def opened(root, *words):
    return dataset("unaligned", "--dataroot", root, *SMALL, *words)


def pictures(data, epoch=1):
    """What an epoch has, without its addresses."""
    return [{key: batch[key] for key in "AB"} for batch in Loader(data, data.opt).epoch(epoch)]


@pytest.mark.parametrize(
    ("every", "how"),
    [
        (0, "parts"),
        (10, "503"),
        (0, "whole"),
        *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in ((10, "short"), (10, "reset"), (0, "to:"))),
        *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in ((10, "other"), (10, "hang"))),
    ],
)
def test_a_server_gives_what_a_disk_has(tmp_path, every, how, capsys):
    files = made(tmp_path, count=12 if every else 3)
    if how == "to:":
        files |= {f"/there{path}": data for path, data in files.items()}
    local = opened(f"shards:{tmp_path}/s")
    with shelf(files, every, how) as server:
        data = opened(f"{server.address}/data/{{000..{11 if every else 2:03}}}.tar")
        assert same(pictures(data, 2), pictures(local, 2))
        place = data[0]["A_paths"]
        assert place.startswith(f"{server.address}/data/0") and ".tar/trainA/" in place
        asked = len(server.asked)
        assert same(pictures(opened(data.opt.dataroot)), pictures(local))
        if not every and how != "to:":
            assert len(server.asked) == asked + 3  # for sizes alone
    told = capsys.readouterr().err
    expected = {"503": "the server fails", "hang": "does not answer", "whole": "whole shards are fetched"}.get(how)
    assert expected is None or told.count(expected) == 1
    assert not every or "each part is asked for up to 6 times" in told


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("404", r"000\.tar: no such file on the server \(404\); see --dataroot"),
        ("403", r"000\.tar: the server refuses it \(403\)"),
        ("500", r"000\.tar: the server fails \(500\), 6 times"),
        ("418", r"000\.tar: the server fails \(418\); see"),
        ("hang", r"000\.tar: the server does not answer, 6 times"),
        ("short", r"000\.tar: the answer (breaks off|is of another length).*, 6 times"),
        ("other", r"000\.tar: the server gives other parts than it is asked for \(bytes 1-\d+/\d+\), 6 times"),
        ("larger", r"000\.tar: changed after its index was read"),
        (
            "whole",
            r"000\.tar: the server gives no parts of files, and this one has .* GiB; give a --shard_cache_gb above",
        ),
        ("to:file:///etc", r"000\.tar: cannot be asked for \(InvalidSchema\)"),
        ("to:http://127.0.0.1:1", r"000\.tar: no connection \(Connection refused\), 6 times"),
    ],
)
def test_a_server_that_does_not_serve_is_a_line(tmp_path, monkeypatch, how, line):
    monkeypatch.setattr(servers, "TIMEOUT", (0.3, 0.05))
    with shelf(made(tmp_path, count=1), 0, how) as server, pytest.raises(UserError, match=line) as error:
        opened(f"{server.address}/data/{{000..000}}.tar", "--shard_cache_gb", 0 if how == "whole" else 1)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("root", "line"),
    [
        ("https://127.0.0.1/folder", r"a folder on a web server cannot be listed; name its shards, as by \S+/\{000"),
        ("https://me:word@127.0.0.1/x.tar", r"--dataroot https://\.\.\.@127\.0\.0\.1: leave user and password out"),
        (
            "https://127.0.0.1:1/x.tar?key=secret",
            r"https://127\.0\.0\.1:1/x\.tar: no connection \(Connection refused\)",
        ),
        ("https://127.0.0.1/{0..x}.tar", r"\{0\.\.x\}: expected"),
        ("s3://bucket/x.tar", r"s3://bucket/x\.tar: needs s3fs, of the extra cloud: uv pip install s3fs"),
        ("gs://bucket/x.tar", r"gs://bucket/x\.tar: needs gcsfs, of the extra cloud: uv pip install gcsfs"),
    ],
)
def test_what_cannot_be_asked_for_is_a_line(root, line, monkeypatch):
    for name in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=line) as error:
        opened(root)
    assert "secret" not in str(error.value) and "word@" not in str(error.value)


def test_a_key_in_an_address_is_sent_and_never_shown(tmp_path, capsys):
    with shelf(made(tmp_path, count=1)) as server:
        data = opened(f"{server.address}/data/000.tar?key=secret")
        assert all(path == "/data/000.tar?key=secret" for path, _ in server.asked if "index" not in path)
    assert "secret" not in data[0]["A_paths"] + capsys.readouterr().err


def test_a_shard_that_changes_on_the_server(tmp_path):
    with shelf(made(tmp_path, count=1)) as server:
        root = f"{server.address}/data/000.tar"
        data = opened(root)
        server.tags["/data/000.tar"] = '"new"'
        assert len(opened(root)) == 4  # with an index of its own
        shutil.rmtree(tmp_path / "cache/diptych/blocks")
        data.shards["dataroot"].store._recent = (-1, 0, b"")
        with pytest.raises(UserError, match=r"000\.tar: changed after its index was read"):
            data[0]


def test_an_index_that_lies_beside_shards_on_a_server_is_taken(tmp_path, capsys):
    files = made(tmp_path, size=(300, 300))
    opened(f"shards:{tmp_path}/s")
    index = next((tmp_path / "s").glob(".*.index"))
    for content, taken in ((index.read_bytes(), True), (b"nothing", False)):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        with shelf(files | {f"/data/{index.name}": content}) as server:
            data = opened(f"{server.address}/data/{{000..002}}.tar")
            assert len(data) == 12
            parts = [part for path, part in server.asked if path.endswith(".tar") and part != "bytes=0-0"]
            assert bool(parts) != taken and ("by the index that lies beside them" in capsys.readouterr().err) == taken
            assert len(pictures(data)) == 12


class Bucket:
    """What fsspec has of a bucket, as far as it is asked."""

    def __init__(self, files):
        self.files, self.calls = {f"bucket{path}": data for path, data in files.items()}, 0

    def find(self, path):
        return [name for name in self.files if name.startswith(path.removeprefix("s3://"))]

    def glob(self, path):
        return fnmatch.filter(self.files, path.removeprefix("s3://"))

    def info(self, path):
        return {"size": len(self._data(path)), "ETag": "1"}

    def cat_file(self, path, start, end):
        self.calls += 1
        if self.calls % 10 == 0:
            raise OSError("slow down")
        return self._data(path)[start:end]

    def _data(self, path):
        if "secret" in path:
            raise PermissionError("no")
        if path.removeprefix("s3://") not in self.files:
            raise FileNotFoundError(path)
        return self.files[path.removeprefix("s3://")]


@pytest.mark.parametrize(
    "root",
    [
        "s3://bucket/data",
        pytest.param("s3://bucket/data/*.tar", marks=pytest.mark.exhaustive),
        pytest.param("s3://bucket/data/{000..011}.tar", marks=pytest.mark.exhaustive),
    ],
)
def test_buckets(tmp_path, monkeypatch, root):
    bucket = Bucket(made(tmp_path, count=12) | {"/data/notes.txt": b"x"})
    monkeypatch.setattr(servers.Cloud, "make_client", lambda self: bucket)
    data = opened(root)
    assert same(pictures(data), pictures(opened(f"shards:{tmp_path}/s")))
    assert data[0]["A_paths"].startswith("s3://bucket/data/0")
    for other, line in (
        ("s3://bucket/data/{000..012}.tar", r"s3://bucket/data/012\.tar: no such file on the server"),
        ("s3://bucket/secret.tar", r"s3://bucket/secret\.tar: the server refuses it"),
        ("s3://bucket/none", r"--dataroot s3://bucket/none: no \.tar there"),
    ):
        with pytest.raises(UserError, match=line):
            opened(other)


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_the_least_recently_used_blocks_go(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks_module, "SWEEPS", 1000)
    blocks, names = Blocks(tmp_path / "b", 5 * 1000), [name_of(n) for n in range(9)]
    for n, name in enumerate(names[:5]):
        blocks.put(name, bytes([n]) * 900)
        os.utime(blocks._path(name), (n, n))
    assert blocks.get(names[0], 0, 3) == b"\0\0\0"  # is used, so it stays
    for name in names[5:]:
        blocks.put(name, b"x" * 900)
    kept = [name for name in names if blocks.get(name, 0, 1) is not None]
    assert names[0] in kept and names[1] not in kept and names[8] in kept
    assert sum(path.stat().st_size for path in (tmp_path / "b").rglob("*.block")) <= 5000


@pytest.mark.parametrize("damage", ["cut", "bits", "gone", "link"])
def test_a_damaged_block_is_fetched_anew(tmp_path, damage):
    with shelf(made(tmp_path, count=1)) as server:
        data = opened(f"{server.address}/data/000.tar")
        first = data[0]["A"]
        for path in (tmp_path / "cache/diptych/blocks").rglob("*.block"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.unlink()
            if damage == "link":
                path.symlink_to("/etc/hostname")
            elif damage != "gone":
                path.write_bytes(content[:-9] if damage == "cut" else content)
        asked = len(server.asked)
        assert (opened(data.opt.dataroot)[0]["A"] == first).all() and len(server.asked) > asked + 1


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch, capsys):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(blocks_module, "write_atomically", full)
    with shelf(made(tmp_path)) as server:
        data = opened(f"{server.address}/data/{{000..002}}.tar")
        assert len(pictures(data)) == 12
    assert capsys.readouterr().err.count("No space left on device); what is fetched is not kept") == 1


def test_remnants_of_killed_processes_go(tmp_path):
    blocks = Blocks(tmp_path / "b", 1 << 20)
    blocks.put(name_of(0), b"x")
    for age, name in ((0, ".new.tmp"), (7200, ".old.tmp")):
        path = blocks._path(name_of(0)).with_name(name)
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    blocks.sweep()
    assert [path.name for path in sorted((tmp_path / "b").rglob("*.tmp"))] == [".new.tmp"]


def _use(folder, seed, wrong):
    blocks, draw = Blocks(folder, 40_000), random.Random(seed)
    for _ in range(300):
        number = draw.randrange(40)
        found = blocks.get(name_of(number), 10, 1000)
        if found is None:
            blocks.put(name_of(number), bytes([number]) * 2000)
        elif found != bytes([number]) * 990:
            wrong.set()


@pytest.mark.exhaustive
def test_many_processes_use_one_cache(tmp_path):
    context = multiprocessing.get_context("fork")
    wrong = context.Event()
    workers = [context.Process(target=_use, args=(tmp_path / "b", seed, wrong)) for seed in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers[:2]:
        worker.kill()
    for worker in workers:
        worker.join()
    assert not wrong.is_set() and all(worker.exitcode == 0 for worker in workers[2:])
    Blocks(tmp_path / "b", 40_000).sweep()
    assert 0 < sum(path.stat().st_size for path in (tmp_path / "b").rglob("*.block")) <= 40_000


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.exhaustive
def test_workers_have_connections_of_their_own(tmp_path):
    with shelf(made(tmp_path), every=10) as server:
        words = (f"{server.address}/data/{{000..002}}.tar", "--shard_cache_gb", 0)
        data = opened(*words)
        whole = list(Loader(data, data.opt).epoch(1))
        threads = opened(*words, "--num_threads", 2)
        loader = Loader(threads, threads.opt)
        assert same(list(loader.epoch(1)), whole)
        loader.close()
