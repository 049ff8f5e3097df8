"""What methods share that make images from noise, with or without classes: who is asked what, in which order."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn

import networks
from models.base_adversarial import AdversarialModel
from models.latent_results import save_samples
from models.losses import gan_loss
from models.sampler import Sampler, truncate
from models.stabilizers import StabilizerOptions, Stabilizers
from networks.discriminator import Discriminator, LogitHead
from options import UserError, default, option
from util import checkpoint, distributed
from util.images import mosaic
from util.seeding import derive

COLUMNS = 10  # noise vectors of the fixed grid; each of its classes is drawn from every one
ROWS = 20  # classes it has at most
NOISE_FILE = "fixed_noise.pt"

Answers = Mapping[str, torch.Tensor]
Losses = dict[str, torch.Tensor]


class LatentModel(AdversarialModel):
    """netG makes images from z ~ N(0, I) and, where ``conditional``, a class; netD judges them.

    A method adds heads to D, says which answers it ``wants`` to hear, and adds terms to the two losses: ``terms_D``
    of reals, ``terms_G`` of fakes. A head's parameters are D's own; they are constant in G's step.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options, StabilizerOptions):
        section = "images from noise"
        netG: str = option("small", "architecture of the generator", choices=lambda: networks.list_networks("latent_G"))
        netD: str = option("dcgan", "trunk of the discriminator", choices=lambda: networks.list_networks("latent_D"))
        ngf: int = option(128, "width of the generator; see docs/conditional.md for what it means to each", least=1)
        z_dim: int = option(64, "length of the noise vector", least=1)
        n_dis: int = option(1, "steps of the discriminator for each of the generator", least=1)
        fresh_fakes: bool = option(
            False, "G answers for new fakes, as published, and not for those that D has just learnt from"
        )
        dataset_mode: str = default("labeled")
        batch_size: int = default(64)
        num_threads: int = default(0)
        ndf: int = default(32)
        gan_mode: str = default("hinge_paper")
        lr: float = default(4e-4)
        lr_D: float | None = default(8e-4)
        normD: Literal["instance", "batch", "none"] = default("none")
        sn_D: bool = default(True)
        pool_size: int = default(0)
        ema_decay: float = default(0.999)
        n_epochs: int = default(160)
        n_epochs_decay: int = default(0)
        print_freq: int = default(3200)
        display_freq: int = default(12800)
        update_html_freq: int = default(12800)
        save_latest_freq: int = default(50000)
        save_epoch_freq: int = default(20)

        def validate(self) -> None:
            for flag, none in {"pool_size": 0, "direction": "AtoB", "input_nc": 3, "num_test": 50}.items():
                value = getattr(self, flag, none)
                if value != none:
                    hint = "--num_samples says how many images" if flag == "num_test" else "leave it out"
                    raise UserError(f"--{flag} {value}: means nothing to images from noise; {hint}")
            if self.normD != "none" and not networks.takes("latent_D", self.netD, "norm"):
                raise UserError(f"--normD {self.normD}: --netD {self.netD} has no such norm; use --netD dcgan")

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(Options):
        section = "images from noise: results"
        num_samples: int = option(1000, "images to make, spread evenly over the classes", least=1, per_run=True)
        classes: tuple[str, ...] = option((), "make images of these classes alone, by name", per_run=True)
        truncation: float = option(
            0.0, "each number of the noise is drawn again while it is beyond this; 0 never", least=0, per_run=True
        )
        standing_steps: int = option(
            16,
            "batches that the generator's batch norm takes its statistics from first; 0 keeps those of training",
            least=0,
            per_run=True,
        )
        label_judge: str | None = option(
            None, "run folder of a judge of labels (--model label_judge), for scores and neighbours", per_run=True
        )

    channels_last = True
    conditional: ClassVar[bool] = False  # whether G is told a class
    contrasts: ClassVar[bool] = False  # whether a term compares the images of a batch with one another
    wants: tuple[str, ...] = ("logit",)  # what D is asked about reals in its step, about fakes in G's
    wants_of_fakes: tuple[str, ...] = ("logit",)  # and about fakes in D's
    tasks = {"num_samples": "save_samples"}
    ema_names = ("G",)
    visual_names = ("samples", "real")
    netG: Any
    netD: Any
    fake_y: Any  # classes (B,) of self.fake; None without classes

    # -- what a method adds ----------------------------------------------------------------------

    def heads(self, features: int, local_channels: int, classes: int) -> dict[str, nn.Module]:
        """D's heads by the name of their answer; "logit" is needed."""
        return {"logit": LogitHead(features)}

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        """Further terms of D's loss, from its answers about the images of the batch, which are of classes self.y."""
        return {}

    def terms_G(self, fake: Answers) -> Losses:
        """Further terms of G's loss, from D's answers about fakes, which were to be of classes self.fake_y."""
        return {}

    def adversarial_D(self, real: torch.Tensor, fake: torch.Tensor) -> Losses:
        """D's adversarial terms from logits (B,); unlike in translation each counts fully, as published here."""
        mode = self.opt.gan_mode
        return {
            "D_real": gan_loss(real, True, mode, for_D=True),
            "D_fake": gan_loss(fake, False, mode, for_D=True),
        }

    def adversarial_G(self, fake: torch.Tensor) -> torch.Tensor:
        """G's adversarial term from the logits (B,) of its fakes."""
        return gan_loss(fake, True, self.opt.gan_mode, for_D=False)

    def reference(self) -> torch.Tensor | None:
        """Real images (B, C, H, W) that D compares each image with, for a trunk that does."""
        return None

    # -- networks --------------------------------------------------------------------------------

    def meet(self, dataset: Any) -> None:
        """Build networks for the classes and channels of these data."""
        opt = self.opt
        self.class_names: tuple[str, ...] = tuple(dataset.classes)
        classes = len(self.class_names) if self.conditional else 0
        common = dict(size=opt.crop_size, channels=dataset.channels, z_dim=opt.z_dim, classes=classes)
        self.netG = self.build("G", opt.netG, ngf=opt.ngf, **common)
        networks.init_weights(self.netG, opt.init_type, opt.init_gain)
        self.fixed_z, self.fixed_y = self.fixed_noise()
        if opt.is_train:
            if self.contrasts and opt.accumulate > 1 and distributed.rank() == 0:
                print(
                    f"--accumulate {opt.accumulate}: images are contrasted within a batch of {opt.batch_size}, which "
                    "does not grow by it",
                    file=sys.stderr,
                )
            trunk: Any = self.build("D", opt.netD, ndf=opt.ndf, norm=opt.normD, **common)
            self.netD = self.finish_D(Discriminator(trunk, self.heads(trunk.features, trunk.local_channels, classes)))
            self.stabilizers = Stabilizers(opt, mirror=dataset.mirrors)
            self.add_optimizer("D", self.netD)
            self.add_optimizer("G", self.netG)

    def build(self, kind: str, name: str, **arguments: Any) -> nn.Module:
        try:
            return networks.define(f"latent_{kind}", name, **arguments)
        except ValueError as error:
            size = f"--crop_size {self.opt.crop_size} --z_dim {self.opt.z_dim}"
            raise UserError(f"--net{kind} {name} {size}: {error}") from None

    # -- noise -----------------------------------------------------------------------------------

    def noise(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """z (count, z_dim) of N(0, I); in a test with --truncation of its middle. On the CPU if from a generator."""
        limit = 0.0 if self.opt.is_train else self.opt.truncation
        device = None if generator is not None else next(self.netG.parameters()).device
        z = torch.randn(count, self.opt.z_dim, generator=generator, device=device)
        return truncate(z, limit) if limit > 0 else z

    def labels(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor | None:
        """Classes (count,) of fakes, all alike; none for a method without classes."""
        if not self.conditional:
            return None
        device = None if generator is not None else next(self.netG.parameters()).device
        return torch.randint(len(self.class_names), (count,), generator=generator, device=device)

    def fixed_noise(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """z and y of the grid that is drawn again and again: COLUMNS images of each of at most ROWS classes."""
        file = Path(self.opt.checkpoints_dir, self.opt.name, NOISE_FILE)
        if file.is_file() and (not self.opt.is_train or self.opt.continue_train):
            kept = checkpoint.read(file)
            return kept["z"], kept.get("y")
        generator = torch.Generator().manual_seed(derive(self.opt.seed, "fixed noise"))
        if not self.conditional:
            return torch.randn(COLUMNS**2, self.opt.z_dim, generator=generator), None
        z, classes = torch.randn(COLUMNS, self.opt.z_dim, generator=generator), len(self.class_names)
        shown = torch.linspace(0, classes - 1, min(classes, ROWS)).round().long()
        return z.repeat(len(shown), 1), shown.repeat_interleave(COLUMNS)

    def save_files(self, folder: Path) -> None:
        if not (self.opt.continue_train and (folder / NOISE_FILE).is_file()):
            kept = {"z": self.fixed_z} | ({} if self.fixed_y is None else {"y": self.fixed_y})
            checkpoint.write(folder / NOISE_FILE, kept)

    # -- training --------------------------------------------------------------------------------

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """image (B, C, S, S) in [-1, 1], label (B,)."""
        self.real, self.y = batch["image"], batch["label"]
        self.image_paths = {"A": list(batch["image_paths"])}

    def forward(self) -> None:
        """self.fake, of new noise and classes self.fake_y."""
        self.fake_y = self.labels_of_step()
        self.fake = self.netG(self.noise(len(self.real)), self.fake_y)

    def labels_of_step(self) -> torch.Tensor | None:
        """Classes (B,) of a step's fakes."""
        return self.labels(len(self.real))

    def optimize_parameters(self) -> None:
        """Where G learns too, its fakes are generated once for both, unless --fresh_fakes."""
        fresh, turn_of_G = self.opt.fresh_fakes, self.every(self.opt.n_dis)
        with torch.set_grad_enabled(turn_of_G and not fresh):
            self.forward()
        self.update("D", self.discriminator_losses)
        if turn_of_G:
            if fresh:
                self.forward()
            self.update("G", self.generator_losses)

    def ask(self, images: torch.Tensor, want: Sequence[str], y: torch.Tensor | None = None) -> Answers:
        """D's answers about images, augmented as all that it sees."""
        augment, reference = self.stabilizers.augment, self.reference()
        return self.netD(augment(images), want, y, None if reference is None else augment(reference))

    def discriminator_losses(self) -> Losses:
        real = self.ask(self.real, self.wants, self.y)
        fake = self.ask(self.fake.detach(), self.wants_of_fakes, self.fake_y)
        losses = self.adversarial_D(real["logit"], fake["logit"]) | self.terms_D(real, fake)
        losses |= self.stabilizers.terms(self, self.real, self.y, real, fake["logit"])
        return losses | self.penalties("D", self.netD, self.real, self.fake, self.score)

    def score(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B,) of images as they are, for penalties of their gradient."""
        return self.netD.forward(images, ("logit",), self.y, self.reference())["logit"]

    def generator_losses(self) -> Losses:
        fake = self.ask(self.fake, self.wants, self.fake_y)
        return {"G_GAN": self.adversarial_G(fake["logit"])} | self.terms_G(fake)

    def known_of_reals(self, *want: str) -> Answers:
        """D's answers about the real images in G's step, as constants."""
        with torch.no_grad():
            return self.ask(self.real, want, self.y)

    # -- looking ---------------------------------------------------------------------------------

    def sampler(self) -> Sampler:
        """Draws with averaged weights where there are any."""
        opt, average = self.opt, self.engine.averages.get("G")
        generator = torch.Generator().manual_seed(derive(opt.seed, "standing statistics"))
        return Sampler(
            self.netG if average is None else average.module,
            self.engine,
            lambda count: (self.noise(count, generator), self.labels(count, generator)),
            steps=4 if opt.is_train else opt.standing_steps,
            size=64,
        )

    def get_current_visuals(self) -> dict[str, torch.Tensor]:
        """The fixed grid, and real images of the batch in the order of their classes."""
        samples = self.sampler()(self.fixed_z, self.fixed_y)
        real = self.real[self.y.argsort(stable=True)[: len(samples)]].float().cpu()
        return {"samples": mosaic(samples, COLUMNS)[None], "real": mosaic(real, COLUMNS)[None]}

    def save_samples(self, dataset: Any, engine: Any, folder: Path) -> None:
        save_samples(self, dataset, engine, folder)

    def draw(self, z: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        """Images (N, C, S, S) on the CPU for noise (N, z_dim) and classes or mixtures of them."""
        if not hasattr(self, "_sampler"):
            self._sampler = self.sampler()
        return self._sampler(z, y)
