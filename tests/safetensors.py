"""Read a .safetensors file: an 8-byte length, a JSON header, then the numbers."""

import json
from pathlib import Path

import torch

DTYPES = {"F16": torch.float16, "F32": torch.float32, "F64": torch.float64, "I64": torch.int64}


def load(path: Path) -> dict[str, torch.Tensor]:
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(
            data[start + a["data_offsets"][0] : start + a["data_offsets"][1]], dtype=DTYPES[a["dtype"]]
        )
        .reshape(a["shape"])
        .clone()
        for name, a in header.items()
    }


def under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
