"""What the benchmarks share: the machine, the allocator, the memory of a process, the lines that are printed."""

import ctypes.util
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from options import UserError
from util.device import computes_in_bf16
from util.reading.json_file import decode_json
from util.writing import append

ROOT = Path(__file__).parents[1]
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
ALLOCATORS = ("default", "jemalloc", "glibc-keep")
CHOSEN = "DIPTYCH_BENCHMARK_ALLOCATOR"


def use_allocator(name: str, module: str, argv: Sequence[str]) -> None:
    """Start this script again under another allocator, which it and every process it starts will use.

    By default glibc maps every large tensor anew and gives it back at once, so that each is paid for page by page.
    ``jemalloc`` keeps what was freed; ``glibc-keep`` asks the same of glibc, with nothing to install.

    Raises:
        UserError: jemalloc is not on this machine.
    """
    if name == "default" or os.environ.get(CHOSEN) == name:
        return
    if name == "jemalloc":
        own = {"LD_PRELOAD": jemalloc(), "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"}
    else:
        own = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**26)}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *argv], os.environ | own | {CHOSEN: name})


def jemalloc() -> str:
    found = ctypes.util.find_library("jemalloc")
    folders = [Path(sys.prefix, "lib"), Path("/usr/lib"), Path("/usr/local/lib"), *Path("/usr/lib").glob("*-linux-gnu")]
    found = found or next((str(f) for folder in folders for f in sorted(folder.glob("libjemalloc.so*"))), None)
    if found is None:
        raise UserError("--allocator jemalloc: not on this machine; install libjemalloc2, or --allocator glibc-keep")
    return found


def machine(device: torch.device) -> dict[str, Any]:
    """What a result depends on."""
    if device.type == "cuda":
        name, flags = torch.cuda.get_device_name(device), []
    else:
        words = _proc("/proc/cpuinfo")
        name = words.get("model name") or platform.processor() or platform.machine()
        flags = [flag for flag in CPU_FLAGS if flag in words.get("flags", words.get("Features", "")).split()]
    return {
        "device": name,
        "cpu_flags": flags,
        "bf16": computes_in_bf16(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "allocator": os.environ.get(CHOSEN, "default"),
    }


def describe(facts: Mapping[str, Any]) -> str:
    return (
        f"{facts['device']} ({' '.join(facts['cpu_flags']) or 'no CPU flags'}), {facts['threads']} threads, "
        f"torch {facts['torch']}, allocator {facts['allocator']}, "
        f"bf16 arithmetic: {'yes' if facts['bf16'] else 'no'}"
    )


def memory(device: torch.device) -> tuple[float, float]:
    """MiB now and at most so far: of the GPU, or of this process.

    Not ``ru_maxrss``, which in a process that was just started counts what the one that started it held.
    """
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20, torch.cuda.max_memory_allocated(device) / 2**20
    words = _proc("/proc/self/status")
    if "VmHWM" in words:
        return int(words["VmRSS"].split()[0]) / 2**10, int(words["VmHWM"].split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return peak, peak


def _proc(path: str) -> dict[str, str]:
    """The first ``key: value`` of each key of a file in /proc; nothing where there is no such file."""
    words: dict[str, str] = {}
    if Path(path).is_file():
        for line in Path(path).read_text().splitlines():
            key, _, value = line.partition(":")
            words.setdefault(key.strip(), value.strip())
    return words


def in_own_process(module: str, argv: Sequence[str]) -> dict[str, Any]:
    """The JSON that ``python -m module argv`` prints last.

    Raises:
        UserError: it failed; its last line says why.
    """
    done = subprocess.run([sys.executable, "-m", module, *argv], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"{module} {' '.join(argv)}: {last}")
    return decode_json(done.stdout.splitlines()[-1])


class Report:
    """A table on the terminal; with a path, one line of JSON for each of its rows appended to that file."""

    def __init__(self, path: str | None, **facts: Any):
        self.path, self.facts = path, facts
        self.widths: dict[str, int] = {}

    def head(self, **columns: int) -> None:
        """Names of columns and their widths."""
        self.widths = columns
        print("  ".join(f"{name.replace('_', ' '):>{width}}" for name, width in columns.items()), flush=True)

    def row(self, note: str = "", /, **values: Any) -> None:
        """``values`` by column; those that are no column are for the file alone."""
        cells = [f"{_text(values.get(name)):>{width}}" for name, width in self.widths.items()]
        print("  ".join(cells).rstrip() + (f"  {note}" if note else ""), flush=True)
        if self.path:
            append(Path(self.path), json.dumps(self.facts | values | ({"note": note} if note else {})) + "\n")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.3f}"
    return "" if value is None else str(value)
