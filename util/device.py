"""Which device a run computes on."""

import os
import sys

import torch

from options import UserError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(device: str, gpu_ids: str, trains: bool = False) -> torch.device:
    """--device wins; ``auto`` follows --gpu_ids: -1 is the CPU, 0 the first GPU (or the CPU where there is none).

    Raises:
        UserError: no such device, or several ids, which is what torchrun is for.
    """
    ids = [word.strip() for word in gpu_ids.split(",") if word.strip()]
    if not ids or not all(word.removeprefix("-").isdecimal() for word in ids):
        raise UserError(f"--gpu_ids {gpu_ids}: expected a number such as 0, or -1 for the CPU")
    if len(ids) > 1:
        way_out = f"give one of them, such as --gpu_ids {ids[0]}"
        if trains:
            way_out = f"for {len(ids)} run torchrun --nproc_per_node {len(ids)} train.py ... without --gpu_ids"
        raise UserError(f"--gpu_ids {gpu_ids}: one process uses one GPU; {way_out}")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        if int(ids[0]) < 0:
            return torch.device("cpu")
        if "LOCAL_RANK" in os.environ and found:
            index = int(os.environ["LOCAL_RANK"])
            torch.cuda.set_device(index)
            return torch.device("cuda", index)
        if found == 0 and ids[0] == "0":
            return torch.device("cpu")
        device = f"cuda:{ids[0]}"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"--device {device}: expected auto, cpu, cuda, cuda:<n> or mps") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= found:
        has = f"GPUs 0 to {found - 1}" if found else "no CUDA device"
        raise UserError(f"--gpu_ids {ids[0]} / --device {device}: this machine has {has}; -1 uses the CPU")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: not available on this machine; use --device cpu")
    if chosen.type not in ("cpu", "cuda", "mps"):
        print(f"--device {device}: not tested by the toolkit", file=sys.stderr)
    return chosen


def computes_in_bf16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions beat float32 here: CUDA from Ampere on, CPUs with AMX or AVX512-BF16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type != "cpu" or supported is None or bool(supported())


def channels_last_pays(device: torch.device, low_precision: bool) -> bool:
    """Whether convolutions are faster with the channels innermost.

    In float32 a prototype's step was shorter so on a processor with AVX-512; with AVX2 alone CUT's is 6 to 13 % longer.
    """
    if device.type == "cpu":
        return low_precision or "AVX512" in torch.backends.cpu.get_cpu_capability()
    return device.type == "cuda"
