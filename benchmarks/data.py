"""Images per second of the loader by itself:  python -m benchmarks.data --workers 0,2

``published`` is a pipeline as the published code has it: torch's DataLoader over Pillow, with resize, random crop and
mirroring of Pillow images, ToTensor and Normalize. ``loader`` is ours without its cache of decoded pictures, ``cached``
ours with it, once every picture was read. The JPEGs are made up in a temporary folder.

With --model (say cut), the loader also feeds training steps: ``waits`` is the share of the time
that the loop waited for a batch. Flags of train.py are passed on.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.common import Report, describe, machine
from data import DATASETS, Loader
from models import MODELS
from options import TrainOptions
from options.parsing import parse
from util.cli import run
from util.training.engine import Engine

VARIANTS = {"published": "--cache_mb 0", "loader": "--cache_mb 0", "cached": ""}
COLUMNS = {"variant": 10, "px": 4, "workers": 7, "images/s": 8, "ratio": 6, "ms/batch": 8, "s/step": 7, "waits": 6}


class PublishedPairs(Dataset):
    """An A and a random B, through torchvision's transforms of Pillow images."""

    def __init__(self, opt: Any):
        self.files = [sorted(Path(opt.dataroot, f"train{side}").iterdir()) for side in "AB"]
        self.transform = transforms.Compose(
            [
                transforms.Resize([opt.load_size, opt.load_size], transforms.InterpolationMode.BICUBIC),
                transforms.RandomCrop(opt.crop_size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )

    def __len__(self) -> int:
        return max(map(len, self.files))

    def __getitem__(self, index: int) -> dict[str, Any]:
        files_A, files_B = self.files
        paths = {"A": files_A[index % len(files_A)], "B": files_B[random.randrange(len(files_B))]}
        images = {side: self.transform(Image.open(path).convert("RGB")) for side, path in paths.items()}
        return images | {f"{side}_paths": str(path) for side, path in paths.items()}


def make_images(root: Path, count: int, size: int) -> None:
    """JPEGs of smooth colours with some grain, about as large as photographs of that size."""
    draw = np.random.default_rng(0)
    for side in "AB":
        (root / f"train{side}").mkdir(parents=True)
        for i in range(count):
            coarse = Image.fromarray(draw.integers(0, 256, (size // 16 + 1, size // 16 + 1, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.int16)
            grain = draw.integers(-12, 13, smooth.shape)
            Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(root / f"train{side}/{i:04}.jpg")


def epochs(variant: str, opt: Any, place: Callable[[torch.Tensor], torch.Tensor]) -> tuple[Any, Callable[[], None]]:
    """A function from an epoch's number to its batches, and one that ends the workers."""
    if variant != "published":
        loader = Loader(DATASETS.find(opt.dataset_mode)(opt), opt, place)
        return loader.epoch, loader.close
    batches: Iterable[Any] = DataLoader(
        PublishedPairs(opt),
        opt.batch_size,
        shuffle=True,
        num_workers=opt.num_threads,
        drop_last=True,
        persistent_workers=opt.num_threads > 0,  # the published loader starts its workers anew in each epoch
    )

    def epoch(number: int) -> Iterator[dict[str, Any]]:
        for batch in batches:
            yield {key: place(v) if isinstance(v, torch.Tensor) else v for key, v in batch.items()}

    return epoch, lambda: None


def throughput(epoch: Callable[[int], Iterable[Any]], count: int, batch_size: int) -> tuple[float, float]:
    """Images per second, and milliseconds per batch, of ``count`` epochs after one that starts workers and caches."""
    for _ in epoch(1):
        pass
    start, batches = time.perf_counter(), 0
    for number in range(2, count + 2):
        for _ in epoch(number):
            batches += 1
    elapsed = time.perf_counter() - start
    return 2 * batches * batch_size / elapsed, 1000 * elapsed / batches


def fed_steps(epoch: Callable[[int], Iterator[Any]], model: Any, engine: Engine, count: int) -> tuple[float, float]:
    """Seconds per step of a loop over the loader, and the share of them in which it waited for the batch."""
    batches, waited, start = epoch(1), 0.0, 0.0
    for step in range(count + 1):
        asked = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            batches = epoch(step + 2)
            batch = next(batches)
        waited += time.perf_counter() - asked
        with engine.step(model):
            model.set_input(batch)
            model.optimize_parameters()
        if engine.device.type == "cuda":
            torch.cuda.synchronize()
        if step == 0:  # workers start
            waited, start = 0.0, time.perf_counter()
    elapsed = time.perf_counter() - start
    return elapsed / count, waited / elapsed


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--size", type=int, default=256, help="of the files and of the crops, in pixels")
    parser.add_argument("--workers", default="0,2,4", help="as for --num_threads, separated by commas")
    parser.add_argument("--images", type=int, default=100, help="files of each side")
    parser.add_argument("--epochs", type=int, default=2, help="timed epochs, after one that is not")
    parser.add_argument("--model", help="also train this model from each loader")
    parser.add_argument("--steps", type=int, default=5, help="timed training steps")
    parser.add_argument("--json", help="append a line for each row to this file")
    args, flags = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder), args.images, args.size)
        own = ["--dataroot", folder, "--crop_size", str(args.size), "--load_size", str(round(args.size * 286 / 256))]
        own += ["--model", args.model or "cut", *flags]
        report: Report | None = None
        for workers in args.workers.split(","):
            first = None
            for variant, cache in VARIANTS.items():
                words = [*own, "--num_threads", workers, *cache.split()]
                opt = parse(TrainOptions, {"model": MODELS, "dataset_mode": DATASETS}, words)
                engine = Engine(opt)
                if report is None:
                    facts = machine(engine.device)
                    report = Report(args.json, **facts, command=" ".join(flags))
                    print(f"{describe(facts)}; {args.images} JPEGs a side; {' '.join(flags) or 'default flags'}")
                    report.head(**COLUMNS)
                epoch, close = epochs(variant, opt, engine.place)
                try:
                    rate, each = throughput(epoch, args.epochs, opt.batch_size)
                    first = first or rate
                    row: dict[str, Any] = {"variant": variant, "px": args.size, "workers": workers}
                    row |= {"images/s": rate, "ratio": rate / first, "ms/batch": each}
                    if args.model:
                        model = engine.prepare(MODELS.find(args.model)(opt))
                        row["s/step"], share = fed_steps(epoch, model, engine, args.steps)
                        row |= {"waits": f"{share:.1%}", "waits_share": share}
                    report.row(**row)
                finally:
                    close()
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
