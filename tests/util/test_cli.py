"""How a script ends when there is no memory left."""

import sys

import pytest
import torch

from options import Exit
from util.cli import run


@pytest.mark.parametrize("kind", ["gpu", "cpu", "python"])
def test_out_of_memory_is_one_line(kind, monkeypatch, capsys):
    def main():
        if kind == "gpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB.\nMore.")
        if kind == "python":
            raise MemoryError
        torch.empty(1 << 50)

    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(main) == Exit.MEMORY == 6
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train.py: out of memory (") and "use a smaller --batch_size" in line
    assert kind != "gpu" or "(CUDA out of memory. Tried to allocate 2.00 GiB)" in line


def test_other_errors_keep_their_traceback():
    with pytest.raises(RuntimeError, match="shapes"):
        run(lambda: (_ for _ in ()).throw(RuntimeError("shapes")))
