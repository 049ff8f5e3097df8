"""Images per second from shards beside plain folders, and what a million pictures take:  python -m benchmarks.beyond

Every variant reads the same JPEGs through the same loader, without its cache of decoded pictures; variants take turns,
and each is compared with folders by the median of its rounds. ``web`` comes from a server of this machine, a process of
its own, once everything lies in the cache; ``web, first`` is the epoch before that, which takes the index from beside
the shards; in ``failing`` every tenth request fails. With --million the index of so many pictures is made, and the
memory of the process told.
"""

import argparse
import io
import multiprocessing
import os
import re
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.common import Report, describe, machine
from benchmarks.data import make_images
from data import DATASETS, Loader
from options import TrainOptions
from options.parsing import parse
from util.cli import run

COLUMNS = {"variant": 16, "images/s": 9, "of folders": 10, "CPU ms": 8, "of folders'": 11}
PER_SHARD = 10_000
MIB = 2**20


# -- data --------------------------------------------------------------------------------------------------------------


def make_shards(root: Path, into: Path, count: int) -> None:
    """The same files in so many shards, dealt out in turn."""
    into.mkdir()
    files = sorted(path for path in root.rglob("*") if path.is_file())
    for number in range(count):
        with tarfile.open(into / f"{number:03}.tar", "w") as file:
            for path in files[number::count]:
                file.add(path, path.relative_to(root).as_posix())


def make_million(into: Path, count: int) -> None:
    """Small JPEGs with a class beside each, in shards of PER_SHARD samples; only names differ, so it is quick."""
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 120, 30)).save(picture, "JPEG")
    members = {"jpg": _member(picture.getvalue()), "cls": _member(b"7")}
    into.mkdir()
    for first in range(0, count, PER_SHARD):
        with open(into / f"{first // PER_SHARD:05}.tar", "xb") as file:  # noqa: PTH123
            for number in range(first, min(first + PER_SHARD, count)):
                for ending, member in members.items():
                    name = f"{number % 1000:03}/{number:08}.{ending}".encode()
                    member[: len(name)] = name
                    member[148:156] = b" " * 8
                    member[148:156] = b"%06o\0 " % sum(member[:512])
                    file.write(member)
            file.write(bytes(1024))


def _member(data: bytes) -> bytearray:
    info = tarfile.TarInfo("x")
    info.size = len(data)
    return bytearray(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))


# -- a server ----------------------------------------------------------------------------------------------------------


class Parts(BaseHTTPRequestHandler):
    """Gives parts of the files of a folder; every so many requests fail."""

    protocol_version, folder, every, count = "HTTP/1.1", Path(), 0, 0

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        kind = type(self)
        kind.count += 1
        path, part = (
            kind.folder / self.path.lstrip("/"),
            re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")),
        )
        if kind.every and kind.count % kind.every == 0:
            return self._answer(503, b"", "")
        if part is None or not path.is_file():
            return self._answer(404, b"", "")
        first, last, size = int(part[1]), int(part[2]), path.stat().st_size
        with path.open("rb") as file:
            data = os.pread(file.fileno(), last - first + 1, first)
        return self._answer(206, data, f"bytes {first}-{first + len(data) - 1}/{size}")

    def _answer(self, status: int, data: bytes, part: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Range", part)
        self.end_headers()
        self.wfile.write(data)


def serve(folder: Path, every: int, port: Any) -> None:
    Parts.folder, Parts.every = folder, every
    server = ThreadingHTTPServer(("127.0.0.1", 0), Parts)
    port.value = server.server_port
    server.serve_forever()


def served(folder: Path, every: int) -> tuple[Any, str]:
    """A process that serves, and its address."""
    context = multiprocessing.get_context("spawn")
    port = context.Value("i", 0)
    process = context.Process(target=serve, args=(folder, every, port), daemon=True)
    process.start()
    while not port.value:
        time.sleep(0.05)
    return process, f"http://127.0.0.1:{port.value}"


# -- what is measured --------------------------------------------------------------------------------------------------


def options(root: Any, *words: str) -> Any:
    own = ["--model", "cut", "--dataroot", str(root), "--num_threads", "0", "--cache_mb", "0", *words]
    return parse(TrainOptions, {"dataset_mode": DATASETS}, own[2:])


def timed(epoch: Callable[[], Iterator[Any]]) -> tuple[float, float, int]:
    """Seconds, seconds of the processor, and images of an epoch."""
    began, used, images = time.perf_counter(), time.process_time(), 0
    for batch in epoch():
        images += 2 * len(batch["A_paths"])
    return time.perf_counter() - began, time.process_time() - used, images


def throughput(report: Report, args: Any, folder: Path, flags: list[str]) -> None:
    make_images(folder / "d", args.images, args.size)
    make_shards(folder / "d", folder / "s", args.shards)
    pattern = f"{{000..{args.shards - 1:03}}}.tar"
    servers = [served(folder / "s", every) for every in (0, 10)]
    roots = {"folders": folder / "d", "shards": f"shards:{folder}/s"}
    roots |= {name: f"{address}/{pattern}" for name, (_, address) in zip(("web", "failing"), servers, strict=True)}
    own = ["--crop_size", str(args.size), "--load_size", str(round(args.size * 286 / 256)), *flags]
    own += ["--shard_cache_dir", str(folder / "cache")]
    rounds: dict[str, list[tuple[float, float, int]]] = {}
    loaders: dict[str, Loader] = {}
    try:
        for name, root in roots.items():
            opt = options(root, *own)

            def first(opt: Any = opt, name: str = name) -> Iterator[Any]:
                loaders[name] = Loader(DATASETS.find(opt.dataset_mode)(opt), opt)
                yield from loaders[name].epoch(1)

            rounds[f"{name}, first"] = [timed(first)]
        for number in range(2, args.rounds + 2):
            for name, loader in loaders.items():
                rounds.setdefault(name, []).append(timed(partial(loader.epoch, number)))
    finally:
        for loader in loaders.values():
            loader.close()
        for process, _ in servers:
            process.terminate()
    for name in sorted(rounds, key=lambda name: name.endswith("first")):
        base = "folders, first" if name.endswith("first") else "folders"
        (rate, cpu), (usual_rate, usual_cpu) = (medians(rounds[key]) for key in (name, base))
        row = {"variant": name, "images/s": rate, "of folders": rate / usual_rate, "CPU ms": cpu}
        report.row(**row, **{"of folders'": cpu / usual_cpu})


def medians(rounds: list[tuple[float, float, int]]) -> tuple[float, float]:
    """Images per second, and milliseconds of the processor for each."""
    rates, costs = ([f(*of) for of in rounds] for f in (lambda s, _, n: n / s, lambda _, c, n: 1000 * c / n))
    return statistics.median(rates), statistics.median(costs)


def memory() -> dict[str, float]:
    """MiB of this process: what is its own, and what is mapped from files."""
    text = Path("/proc/self/status").read_text()
    return {key: int(re.search(rf"{key}:\s+(\d+)", text)[1]) / 1024 for key in ("VmRSS", "RssAnon", "RssFile")}  # type: ignore[index]


def million(folder: Path, count: int) -> None:
    make_million(folder / "m", count)
    parse(TrainOptions, {"dataset_mode": DATASETS}, ["--dataroot", "digits", "--dataset_mode", "labeled"])
    before = memory()
    words = ["--dataroot", f"shards:{folder}/m", "--dataset_mode", "labeled", "--num_threads", "0", "--cache_mb", "0"]
    opt = parse(TrainOptions, {"dataset_mode": DATASETS}, words)
    for what in ("index made", "index found"):
        began, used = time.perf_counter(), time.process_time()
        dataset: Any = DATASETS.find("labeled")(opt)
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        tell(f"{what}, {len(dataset):,} of {count:,} to train on: {seconds:.1f} s, {cpu:.1f} s of a processor", before)
    loader = Loader(dataset, opt)
    for number, _ in enumerate(loader.epoch(1)):
        if number == 100:
            break
    tell("an epoch was begun, 100 batches read", before)
    loader.close()
    index = next((folder / "m").glob(".*.index"))
    print(f"the index takes {index.stat().st_size / MIB:.0f} MiB on the disk")


def tell(what: str, before: dict[str, float]) -> None:
    now = memory()
    more = ", ".join(f"{key} {now[key]:.0f} (+{now[key] - before[key]:.0f})" for key in now)
    print(f"{what}; MiB: {more}", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--size", type=int, default=256, help="of the files and of the crops, in pixels")
    parser.add_argument("--images", type=int, default=200, help="files of each side")
    parser.add_argument("--shards", type=int, default=8, help="in which they lie")
    parser.add_argument("--rounds", type=int, default=5, help="timed epochs of each variant")
    parser.add_argument("--million", type=int, default=0, help="also index so many pictures, in place of the rest")
    parser.add_argument("--json", help="append a line for each row to this file")
    args, flags = parser.parse_known_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if args.million:
            million(Path(folder), args.million)
            return 0
        facts = machine(torch.device("cpu"))
        report = Report(args.json, **facts, command=" ".join(flags))
        print(f"{describe(facts)}; {args.images} JPEGs a side in {args.shards} shards; {' '.join(flags)}")
        report.head(**COLUMNS)
        throughput(report, args, Path(folder), flags)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
