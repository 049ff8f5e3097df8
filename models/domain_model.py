"""A network that learns to tell the images of a domain apart, without labels: what metrics of sets see through.

    python train.py --model domain --dataset_mode font --source_font DejaVuSans --target_font DejaVuSerif --name eyes
    python test.py --name eyes

It takes every image of a batch, of both sides, and learns to recognise each by another view of it (SimCLR: Chen et al.,
"A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020). Views are moved, turned and bent;
colours change little, for what views do not share the network learns not to see. The second command prints how often
two views of an image that was held out find one another by its features. Metrics take it as --extractor
domain:checkpoints/eyes; their values are of this run, and cannot be set beside those of another. Train it with the
--split_seed and --test_fraction of the models it scores.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from evaluation.judges import JUDGED_AT_ONCE, judge_weights
from models.base_judge import ObserverOptions
from models.base_model import BaseModel
from models.losses.views import between_views, views_levels
from networks.diff_augment import DiffAugment
from networks.domain_encoder import DomainEncoder, encoder_of
from networks.warp import random_warp
from options import Exit, UserError, default, option
from options.sizes import check_square
from util import distributed
from util.reading.weights import read_weights
from util.seeding import derive
from util.table import Row, Table, write_metrics
from util.writing import make_folder

KEYS = ("A", "B", "image")  # of an item that are images
ENOUGH = 200  # steps; on glyphs of two fonts 150 found 0.82 of the views of 330 that were held out


class DomainModel(BaseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(ObserverOptions):
        section = "domain network"
        shapes: ClassVar[tuple[str, ...]] = ("features", "njf")
        features: int = option(64, "numbers that describe an image; FID wants several times as many images", least=2)
        njf: int = option(16, "channels of the first layer", least=1)
        tau: float = option(0.1, "temperature of the cosines by which views find one another", above=0)
        crop_size: int = default(64)
        load_size: int = default(72)
        num_test: int | Literal["all"] = default(500)

    tasks: Mapping[str, str] = {"phase": "report"}  # always: there are no images to show
    ema_names = ("C",)  # off by default, as judges have it
    smallest = 32  # pixels a side
    netC: DomainEncoder
    mirrors = False

    def __init__(self, opt):
        super().__init__(opt)
        self.visual_names = ("real", "seen") if opt.is_train else ("real",)

    def see_data(self, dataset: Any) -> None:
        """Build a network for images of so many channels; outside training the one that the run trained."""
        opt = self.opt
        self.mirrors = getattr(dataset, "mirrors", False)
        if not opt.is_train:
            path = judge_weights(Path(opt.checkpoints_dir, opt.name), opt.epoch, "domain")
            try:
                self.netC = encoder_of(read_weights(path)[0])
            except (ValueError, TypeError) as error:
                raise UserError(f"{path}: {error}; train one with --model domain", code=Exit.CHECKPOINT) from None
            return
        check_square(opt.crop_size, f"--model {opt.model} learns from")
        if opt.crop_size < self.smallest:
            raise UserError(f"--crop_size {opt.crop_size}: too few pixels to learn from; give {self.smallest} or more")
        if opt.batch_size < 2:
            raise UserError("--batch_size 1: an image is told from others of its batch; 64 is usual")
        known = getattr(dataset, "channels", None)
        channels = known if isinstance(known, int) else max(opt.input_nc, opt.output_nc)
        self.netC = DomainEncoder(channels, opt.crop_size, opt.njf, opt.features)
        self.add_optimizer("C", self.netC)
        steps = len(dataset) // (opt.batch_size * distributed.world_size()) * opt.total_epochs
        if not opt.max_steps and steps < ENOUGH and distributed.rank() == 0:
            more = math.ceil(opt.total_epochs * ENOUGH / steps) if steps else "more"
            print(f"{steps} steps teach little; --n_epochs {more} makes {ENOUGH} of them", file=sys.stderr)

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """A, B and image are (B, C, H, W) in [-1, 1]; whichever there are, a row each."""
        self.real = torch.cat([self.netC.fit(batch[key]) for key in KEYS if key in batch])
        self.image_paths = {"A": [path for key in KEYS for path in batch.get(f"{key}_paths", ())]}

    def forward(self):
        if self.opt.is_train:
            self.seen, self.other = self.view(self.real), self.view(self.real)
            one, other = self.netC(torch.cat([self.seen, self.other])).chunk(2)
            self.one, self.others = self.gather(one), self.gather(other)

    def view(self, images: torch.Tensor) -> torch.Tensor:
        return view(images, self.opt.augment, self.mirrors)

    def optimize_parameters(self) -> None:
        self.forward()
        self.update("C", lambda: {"NTXent": between_views(self.one, self.others, self.opt.tau)})
        self.losses["found"] = found(self.one.detach(), self.others.detach())  # told, not minimised

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        return {"NTXent": views_levels(len(self.others))} if hasattr(self, "others") else {}

    # -- looking ---------------------------------------------------------------------------------

    def report(self, dataset: Any, engine: Any, folder: Path) -> None:
        """Print how often two views of an image of --phase find one another by its features, among all of them."""
        opt = self.opt
        images = list(self.images(dataset))
        if len(images) < 2:
            raise UserError(f"--phase {opt.phase}: {len(images)} images, and nothing to tell them from")
        network = self.netC.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(opt.seed, "views"))
            shown = torch.cat(images).split(JUDGED_AT_ONCE)
            one, other = (
                torch.cat([network.embed(self.view(part).to(engine.device)).cpu() for part in shown]) for _ in "12"
            )
            plain = torch.cat([network.embed(part.to(engine.device)).cpu() for part in shown])
        right, dimensions = found(one, other).item(), effective_dimensions(plain)
        print(
            f"{right:.4f} of the views of {len(plain):,} images of {opt.phase} find their own (by chance "
            f"{1 / len(plain):.4f}); {plain.shape[1]} features, which vary as {dimensions:.1f} independent ones would"
        )
        make_folder(folder, folder.parent)
        values = {"found": right, "effective dimensions": dimensions}
        row = Row(label=opt.phase, kind="result", values=values, count=len(plain))
        write_metrics(folder / "metrics.json", [Table(rows=[row], better={"found": "higher"})])

    def images(self, dataset: Any) -> Iterator[torch.Tensor]:
        """Images (1, C, S, S) of the first --num_test rows, of both sides, as the network takes them."""
        if not len(dataset):
            raise UserError(dataset.none_left)
        count = len(dataset) if self.opt.num_test == "all" else int(self.opt.num_test)
        for row in dataset.first_rows(count):
            try:
                item = dataset[row]
            except Exception:  # a file that --on_bad_image skip leaves out, and has said so
                if getattr(self.opt, "on_bad_image", "error") != "skip":
                    raise
                continue
            yield from (self.netC.fit(item[key][None]) for key in KEYS if key in item)


def view(images: torch.Tensor, strength: float = 1.0, mirrors: bool = False) -> torch.Tensor:
    """Each image (B, C, H, W) in [-1, 1] as it might be seen another time; numbers from torch's global generator.

    At strength 1: turned by up to 10 degrees, sheared by up to a tenth, scaled by up to a fifth, moved by up to a tenth
    of the canvas and bent by about a hundredth of it; a third of DiffAugment's change of colours; noise of up to 0.02
    of the range. A warp blurs, so half of them are not warped: else a sharp image would be a strange one.
    """
    if strength == 0:
        return images
    s, W = strength, images.shape[3]
    B, device = len(images), images.device

    def draw() -> torch.Tensor:
        return torch.rand(B, 1, 1, 1, device=device)

    warped = random_warp(images, scale=0.2 * s, rotate=10 * s, shear=0.1 * s, shift=s / 10, elastic=0.01 * s * W)
    seen = torch.where(draw() < 0.5, images, warped)
    if mirrors:
        seen = torch.where(draw() < 0.5, seen.flip(3), seen)
    seen = seen.lerp(DiffAugment("color")(seen), min(1.0, s / 3))
    return (seen + draw() * 0.04 * s * torch.randn_like(seen)).clamp(-1, 1)


def found(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Part of the rows (N, D) to which their own row of the other view is nearest."""
    return (
        (torch.cdist(one.float(), other.float()).argmin(1) == torch.arange(len(one), device=one.device)).float().mean()
    )


def effective_dimensions(features: torch.Tensor) -> float:
    """(tr C)^2 / tr C^2 of the covariance C of features (N, F): F if all vary alike and alone, 1 on a line."""
    centred = (features - features.mean(0)).double()
    spread = centred.T @ centred
    square = spread.square().sum()
    return (spread.trace().square() / square).item() if square > 0 else 0.0
