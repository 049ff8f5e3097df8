"""Randomness as a pure function: what a step draws depends on (seed, rank, step) and on nothing else."""

import hashlib
import random

import numpy
import torch


def derive(*parts: object) -> int:
    """A 63-bit integer that depends on every part and on no machine, process or hash seed."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_everything(*parts: object) -> None:
    """Set Python's, numpy's and torch's global generators from ``parts``."""
    value = derive(*parts)
    random.seed(value)
    numpy.random.seed(value % 2**32)
    torch.manual_seed(value)
