"""Pictures that do not fit in memory: in tiles where the generator can, and one line where they still do not fit."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from networks.tiling import check_tiles
from options import Exit, UserError
from util import contract
from util.cli import out_of_memory

TILE = 512  # pixels a side: what the message proposes


def may_tile(tile: int, generators: Iterable[Any]) -> None:
    """Raises:
    UserError: one of these generators cannot draw in tiles.
    """
    try:
        for netG in generators if tile else ():
            check_tiles(netG)
    except ValueError as error:
        raise UserError(f"--tile {tile}: {error}") from None


def check_model(opt: Any, model: Any) -> None:
    """Raises:
    UserError: the method of a test does not translate in ``--tile``.
    """
    if opt.tile and not hasattr(model, "tiled"):
        raise UserError(f"--tile {opt.tile}: --model {opt.model} does not translate in tiles; leave it out")
    may_tile(opt.tile, generators_of(model))


def check_tiled(opt: Any, model: Any, image: torch.Tensor) -> None:
    """Raises:
    UserError: a plugin translated an image that is larger than ``--tile`` as a whole.
    """
    if opt.tile and max(image.shape[2:]) > opt.tile and not model.tiled:
        raise contract.broken(model, "forward", "calls its generator itself; self.translate(netG, image) heeds --tile")


def generators_of(model: Any) -> list[Any]:
    return [network for name, network in model.networks.items() if name.startswith("G")]


@contextlib.contextmanager
def telling_of_memory(device: Any, ways: Iterable[str]) -> Iterator[None]:
    """Where memory runs out inside, on a GPU or in this machine, a line says what needs less.

    Args:
        ways: what does, read when it is needed: more may be known by then.

    Raises:
        UserError: it did (exit code 6).
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not out_of_memory(error):
            raise
        raise UserError(f"out of memory on {device}: use {', or '.join(ways)}", Exit.MEMORY) from None


def smaller(generators: Iterable[Any], tile: int, batch_size: int) -> list[str]:
    """What needs less memory to translate with."""
    ways = [f"a --tile smaller than {tile}"] if tile else []
    with contextlib.suppress(UserError):
        may_tile(TILE, generators)
        ways = ways or [f"--tile {TILE}"]
    ways += ["a smaller --batch_size"] if batch_size > 1 else []
    return ways or ["--scale 0.5, which translates at half the size"]
