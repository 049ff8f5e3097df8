"""What methods share that make images from noise and classes, or noise alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

import networks
from evaluation.samples import Asked
from models.base_noise import COLUMNS, NOISE_FILE, Answers, Losses, NoiseModel
from models.noise.classes import asked_of
from models.noise.results import save_samples
from models.noise.sampler import DRAWN_AT_ONCE
from models.noise.stabilizers import Stabilizers
from networks.discriminator import Discriminator, LogitHead
from options import Exit, UserError, default, option
from options.sizes import sides
from util.images import mosaic, to_bytes
from util.in_order import shared_out
from util.seeding import derive

__all__ = ["Answers", "LatentModel", "Losses"]
ROWS = 20  # classes of the fixed grid at most


class LatentModel(NoiseModel):
    """G is told a class where ``conditional``; D is a trunk with a head for each answer, to which a method adds."""

    @dataclass(frozen=True, kw_only=True)
    class Options(NoiseModel.Options):
        section = "images from noise and classes"
        shapes: ClassVar[tuple[str, ...]] = ("netG", "netD")
        netG: str = option("small", "architecture of the generator", choices=lambda: networks.list_networks("latent_G"))
        netD: str = option("dcgan", "trunk of the discriminator", choices=lambda: networks.list_networks("latent_D"))
        dataset_mode: str = default("labeled")
        pretrained: tuple[str, ...] = option(
            (),
            "weights of StudioGAN, mimicry, BigGAN-PyTorch or R3GAN to begin with: files of G, its average, D",
            per_run=True,
        )
        known_classes: int = option(
            0, "classes of --pretrained weights, which say so themselves", least=0, per_run=True
        )

        def validate(self) -> None:
            if self.known_classes and not self.pretrained:
                raise UserError(f"--known_classes {self.known_classes}: --pretrained weights say it; leave it out")
            if self.pretrained and (run := getattr(self, "pretrained_name", None)):
                files = ",".join(self.pretrained)
                raise UserError(f"--pretrained {files} --pretrained_name {run}: a run begins with one; leave one out")
            if self.normD != "none" and not networks.takes("latent_D", self.netD, "norm"):
                raise UserError(f"--normD {self.normD}: --netD {self.netD} has no such norm; use --netD dcgan")

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(Options, NoiseModel.TestOptions):
        section = "images from noise and classes: results"
        classes: tuple[str, ...] = option((), "make images of these classes alone, by name", per_run=True)
        label_judge: str | None = option(
            None, "run folder of a judge of labels (--model label_judge), for scores and neighbours", per_run=True
        )

    family = "from noise, without classes"
    conditional: bool = False  # whether G is told a class
    contrasts: ClassVar[bool] = False  # whether a term compares the images of a batch with one another

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        """D's heads by the name of their answer; "logit" is needed."""
        return {"logit": LogitHead(features)}

    # -- networks --------------------------------------------------------------------------------

    def see_data(self, dataset: Any) -> None:
        """Build networks for the classes and channels of these data."""
        opt = self.opt
        self.class_names: tuple[str, ...] = tuple(dataset.classes)
        classes = len(self.class_names) if self.conditional else 0
        height, width = sides(opt.crop_size)
        size = height if height == width else (height, width)
        common = dict(size=size, channels=dataset.channels, z_dim=opt.z_dim, classes=classes)
        self.netG = self.build("G", opt.netG, ngf=opt.ngf, **common)
        networks.init_weights(self.netG, opt.init_type, opt.init_gain)
        self.fixed_z, self.fixed_y = self.fixed_noise()
        if opt.is_train:
            if self.contrasts:
                self.tell_of_batches()
            trunk: Any = self.build("D", opt.netD, ndf=opt.ndf, norm=opt.normD, **common)
            self.netD = self.finish_D(Discriminator(trunk, self.heads(trunk.features, trunk.local_channels, classes)))
            self.stabilizers = Stabilizers(opt, mirror=dataset.mirrors, annealed=self.annealed)
            self.add_optimizer("D", self.netD)
            self.add_optimizer("G", self.netG)

    def build(self, kind: str, name: str, **arguments: Any) -> nn.Module:
        try:
            return networks.define(f"latent_{kind}", name, **arguments)
        except ValueError as error:
            size = f"--crop_size {self.opt.crop_size} --z_dim {self.opt.z_dim}"
            raise UserError(f"--net{kind} {name} {size}: {error}") from None

    # -- noise -----------------------------------------------------------------------------------

    def labels(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor | None:
        """Classes (count,) of fakes, all alike; none for a method without classes."""
        if not self.conditional:
            return None
        device = None if generator is not None else next(self.netG.parameters()).device
        return torch.randint(len(self.class_names), (count,), generator=generator, device=device)

    def conditions(self) -> torch.Tensor | None:
        return self.labels(len(self.real))

    def settled_with(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.noise(count, generator), self.labels(count, generator)

    def fixed_noise(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """z and y of the grid that is drawn again and again: COLUMNS images of each of at most ROWS classes."""
        if kept := self.kept(**{"y": torch.Tensor} if self.conditional else {}):
            z, y, classes = kept["z"], kept.get("y"), len(self.class_names)
            if y is not None and (
                y.dtype != torch.int64 or y.shape != z.shape[:1] or not torch.isin(y, torch.arange(classes)).all()
            ):
                raise UserError(
                    f"{NOISE_FILE} of {self.opt.name}: not of its {classes} classes; delete it", code=Exit.CHECKPOINT
                )
            return z, y
        generator = torch.Generator().manual_seed(derive(self.opt.seed, "fixed noise"))
        if not self.conditional:
            return torch.randn(COLUMNS**2, self.opt.z_dim, generator=generator), None
        z, classes = torch.randn(COLUMNS, self.opt.z_dim, generator=generator), len(self.class_names)
        shown = torch.linspace(0, classes - 1, min(classes, ROWS)).round().long()
        return z.repeat(len(shown), 1), shown.repeat_interleave(COLUMNS)

    def fixed(self) -> dict[str, Any]:
        return super().fixed() | ({} if self.fixed_y is None else {"y": self.fixed_y})

    # -- training and looking --------------------------------------------------------------------

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """image (B, C, S, S) in [-1, 1], label (B,)."""
        self.real, self.y = batch["image"], batch["label"]
        self.image_paths = {"A": list(batch["image_paths"])}

    def get_current_visuals(self) -> dict[str, torch.Tensor]:
        """The fixed grid, and real images of the batch in the order of their classes."""
        samples = self.sampler()(self.fixed_z, self.fixed_y)
        real = self.real[self.y.argsort(stable=True)[: len(samples)]].float().cpu()
        return {"samples": mosaic(samples, COLUMNS)[None], "real": mosaic(real, COLUMNS)[None]}

    def save_samples(self, dataset: Any, engine: Any, folder: Path) -> None:
        save_samples(self, dataset, engine, folder)

    def asked_of(self, dataset: Any) -> Asked:
        return asked_of(self, dataset)

    def generated(self, asked: Asked) -> torch.Tensor:
        self.settle_anew()
        z = self.noise(asked.count, torch.Generator().manual_seed(derive(self.opt.seed, "samples")))
        rows = torch.arange(asked.count).split(DRAWN_AT_ONCE)
        y = asked.conditions
        drawn = shared_out(
            lambda some: to_bytes(self.draw(z[some], None if y is None else y[some])), rows, self.engine.device
        )
        return torch.cat(drawn)
