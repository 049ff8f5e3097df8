"""A small classifier that is trained on the spot: what can be learnt from some images about the classes of others."""

import math

import torch
import torch.nn.functional as F

from networks.glyph_judge import GlyphJudge
from util.images import from_bytes
from util.seeding import derive
from util.stopwatch import Countdown

WIDTH, BATCH, RATE, DECAY = 16, 64, 3e-3, 0.01
EPOCHS, LEAST, MOST = 10, 100, 1000  # of the images; steps, of few and of many
SIDES = 32, 64  # pixels of a side: the network's least, and the most that is looked at, which bounds the time


def description(levels: torch.Tensor) -> dict[str, str]:
    """For metrics.json: what is trained on images like these, and in which size it sees them."""
    height, width = size_of(levels)
    network = f"a classifier of its own, {WIDTH} channels and more, {steps_for(len(levels))} steps of {BATCH} images"
    return {"extractor": network, "resize": f"to {width} x {height}"}


def steps_for(count: int) -> int:
    return min(MOST, max(LEAST, math.ceil(EPOCHS * count / BATCH)))


def size_of(levels: torch.Tensor) -> tuple[int, int]:
    """Height and width in which images are seen: their own where that is neither too small nor too large."""
    sides = levels.shape[2:]
    scale = max(SIDES[0] / min(sides), 1.0) if min(sides) < SIDES[0] else min(SIDES[1] / max(sides), 1.0)
    return tuple(max(SIDES[0], round(side * scale)) for side in sides)  # type: ignore[return-value]


def answers_about(levels: torch.Tensor, taught: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Classes (N,) that images have by a classifier that was trained on others: bytes (N, C, H, W) both, of one size.

    The same images give the same answers on the same machine: first weights and order are of a fixed seed, all is
    computed on the CPU, and nothing is drawn from a generator that somebody else draws from.
    """
    size = size_of(taught)
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive("classifier of images"))
            network = GlyphJudge("label", [str(k) for k in range(classes)], levels.shape[1], max(size), WIDTH)
        learn(network, taught.clone(), labels.clone(), size)
    network.eval()
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        return torch.cat([network(seen(part, size)).argmax(1) for part in levels.split(4 * BATCH)])


def learn(network: GlyphJudge, levels: torch.Tensor, labels: torch.Tensor, size: tuple[int, int]) -> None:
    steps, random = steps_for(len(levels)), torch.Generator().manual_seed(derive("order of images"))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    countdown, order = Countdown(steps, "training step"), torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        while len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(levels), generator=random)])
        rows, order = order[:BATCH], order[BATCH:]
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        F.cross_entropy(network(seen(levels[rows], size)), labels[rows]).backward()
        optimizer.step()
        countdown.step()


def seen(levels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    images = from_bytes(levels)
    if images.shape[2:] == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
