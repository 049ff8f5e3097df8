"""What methods share that make images from noise, whatever else they are told: order of updates, noise, looking."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from evaluation.samples import Asked
from models.base_adversarial import AdversarialModel
from models.losses import gan_loss
from models.noise.sampler import Sampler, truncate
from models.noise.stabilizers import StabilizerOptions, Stabilizers
from options import Exit, UserError, default, option
from util import distributed
from util.contract import broken
from util.reading.weights import read_weights, write_tensors
from util.seeding import derive

COLUMNS = 10  # noise vectors of the fixed grid; each of its classes or captions is drawn from every one
NOISE_FILE = "fixed_noise.pt"

Answers = Mapping[str, torch.Tensor]
Losses = dict[str, torch.Tensor]


class NoiseModel(AdversarialModel):
    """netG makes images from z ~ N(0, I) and, for some methods, classes or captions; netD answers what it is asked.

    A method builds both in ``see_data``, says which answers it ``wants`` to hear, and adds terms to the two losses:
    ``terms_D`` of reals, ``terms_G`` of fakes. All that D's answers need is D's own, and constant in G's step.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options, StabilizerOptions):
        section = "images from noise"
        shapes: ClassVar[tuple[str, ...]] = ("ngf", "z_dim")
        of_a_family = True
        ngf: int = option(128, "width of the generator; see docs/conditional.md for what it means to each", least=1)
        z_dim: int = option(64, "length of the noise vector", least=1)
        n_dis: int = option(1, "steps of the discriminator for each of the generator", least=1)
        fresh_fakes: bool = option(
            False, "G answers for new fakes, as published, and not for those that D has just learnt from"
        )
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

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(Options):
        section = "images from noise: results"
        num_samples: int = option(
            1000,
            "images to make, spread over the classes (see --sample_classes) or evenly over the captions",
            least=1,
            per_run=True,
        )
        truncation: float = option(
            0.0, "each number of the noise is drawn again while it is beyond this; 0 never", least=0, per_run=True
        )
        standing_steps: int | None = option(
            None,
            "batches that the generator's batch norm takes its statistics from first; 0 keeps those of training; "
            "none is 16, with --pretrained 0",
            least=0,
            per_run=True,
        )

    makes = "samples"
    channels_last = True
    wants: tuple[str, ...] = ("logit",)  # what D is asked about reals in its step, about fakes in G's
    wants_of_fakes: tuple[str, ...] = ("logit",)  # and about fakes in D's
    tasks = {"num_samples": "save_samples"}
    ema_names: tuple[str, ...] = ("G",)
    visual_names = ("samples", "real")
    netG: Any
    netD: Any
    stabilizers: Stabilizers
    real: torch.Tensor
    y: Any  # classes or captions of self.real
    fake_y: Any  # and those that self.fake were to be of; None without any
    near: torch.Tensor | None  # images of the same of noise that was moved a little, for zCR
    fixed_z: torch.Tensor

    # -- what a method adds ----------------------------------------------------------------------

    def conditions(self) -> Any:
        """Classes or captions of a step's fakes, a row each; none for a method without."""
        return None

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        """Further terms of D's loss, from its answers about the images of the batch, which are of self.y."""
        return {}

    def terms_G(self, fake: Answers) -> Losses:
        """Further terms of G's loss, from D's answers about fakes, which were to be of self.fake_y."""
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

    def save_samples(self, dataset: Any, engine: Any, folder: Path) -> None:
        """What test.py makes."""
        raise broken(self, "save_samples(dataset, engine, folder)", "is not written")

    def asked_of(self, dataset: Any) -> Asked:
        """What ``--num_samples`` images of a test are to be of, and the real images beside them."""
        raise broken(self, "asked_of(dataset)", "is not written")

    def generated(self, asked: Asked) -> torch.Tensor:
        """The images of a test, bytes (N, C, S, S), with the weights as they are now: those that test.py would save."""
        raise broken(self, "generated(asked)", "is not written")

    def tell_of_batches(self) -> None:
        """Say what contrasts within a batch do not gain by --accumulate."""
        if self.opt.accumulate > 1 and distributed.rank() == 0:
            print(
                f"--accumulate {self.opt.accumulate}: images are contrasted within a batch of {self.opt.batch_size}, "
                "which does not grow by it",
                file=sys.stderr,
            )

    # -- noise -----------------------------------------------------------------------------------

    def noise(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """z (count, z_dim) of N(0, I); in a test with --truncation of its middle. On the CPU if from a generator."""
        limit = 0.0 if self.opt.is_train else self.opt.truncation
        device = None if generator is not None else next(self.netG.parameters()).device
        z = torch.randn(count, self.opt.z_dim, generator=generator, device=device)
        return truncate(z, limit) if limit > 0 else z

    def kept(self, **shape: Any) -> dict[str, Any] | None:
        """What the run's file of fixed noise holds besides z, of this shape, if it is tested or goes on."""
        file = Path(self.opt.checkpoints_dir, self.opt.name, NOISE_FILE)
        if not file.is_file() or (self.opt.is_train and not self.opt.continue_train):
            return None
        kept, _ = read_weights(file, {"z": torch.Tensor} | shape, "fixed noise")
        if kept["z"].dtype != torch.float32 or kept["z"].shape != (len(kept["z"]), self.opt.z_dim):
            way_out = f"its noise is not of --z_dim {self.opt.z_dim}; delete it to draw anew"
            raise UserError(f"{file}: {way_out}", code=Exit.CHECKPOINT)
        return kept

    def fixed(self) -> dict[str, Any]:
        """What is drawn again and again, for the file of fixed noise."""
        return {"z": self.fixed_z}

    def save_files(self, folder: Path) -> None:
        if not (self.opt.continue_train and (folder / NOISE_FILE).is_file()):
            write_tensors(folder / NOISE_FILE, self.fixed())

    # -- training --------------------------------------------------------------------------------

    def forward(self) -> None:
        """self.fake, of new noise and of classes or captions self.fake_y; for zCR self.near too."""
        self.fake_y, z = self.conditions(), self.noise(len(self.real))
        self.fake, near = self.netG(z, self.fake_y), self.stabilizers.moves_noise
        self.near = self.netG(self.stabilizers.moved_noise(z), self.fake_y) if near else None

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

    def ask(self, images: torch.Tensor, want: Sequence[str], y: Any = None) -> Answers:
        """D's answers about images, augmented as all that it sees."""
        augment, reference = self.stabilizers.augment, self.reference()
        return self.netD(augment(images), want, y, None if reference is None else augment(reference))

    def discriminator_losses(self) -> Losses:
        real = self.answers_of_reals()
        wants_of_fakes = self.stabilizers.asks_of_fakes(self.wants, self.wants_of_fakes)
        fake = self.ask(self.fake.detach(), wants_of_fakes, self.fake_y)
        losses = self.adversarial_D(real["logit"], fake["logit"]) | self.terms_D(real, fake)
        losses |= self.stabilizers.terms(self, self.real, self.y, real, fake["logit"])
        losses |= self.stabilizers.terms_of_fakes(self, self.fake, self.near, self.fake_y, fake)
        return losses | self.penalties("D", self.netD, self.real, self.fake, self.score)

    def answers_of_reals(self) -> Answers:
        """D's answers about the real images in its own step."""
        return self.ask(self.real, self.wants, self.y)

    def score(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B,) of images as they are, for penalties of their gradient."""
        return self.netD.forward(images, ("logit",), self.y, self.reference())["logit"]

    def generator_losses(self) -> Losses:
        fake = self.ask(self.fake, self.wants, self.fake_y)
        losses = {"G_GAN": self.adversarial_G(fake["logit"])} | self.terms_G(fake)
        return losses | self.stabilizers.terms_G(self.fake, self.near)

    def known_of_reals(self, *want: str) -> Answers:
        """D's answers about the real images in G's step, as constants."""
        with torch.no_grad():
            return self.ask(self.real, want, self.y)

    # -- looking ---------------------------------------------------------------------------------

    def current(self, name: str) -> Any:
        """A network by name, with averaged weights where there are any."""
        average = self.engine.averages.get(name) if self.opt.is_train else None
        return self.networks[name] if average is None else average.module

    def settled_with(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, Any]:
        """Noise and conditions of a batch that standing statistics are taken from."""
        return self.noise(count, generator), None

    @property
    def standing_steps(self) -> int:
        """Of a test: published weights are taken as they are."""
        told = self.opt.standing_steps
        return told if told is not None else 0 if getattr(self.opt, "pretrained", ()) else 16

    def sampler(self) -> Sampler:
        opt = self.opt
        generator = torch.Generator().manual_seed(derive(opt.seed, "standing statistics"))
        return Sampler(
            self.current("G"),
            self.engine,
            lambda count: self.settled_with(count, generator),
            steps=4 if opt.is_train else self.standing_steps,
            size=64,
        )

    def settle_anew(self) -> None:
        """The weights are others: the next image is drawn with theirs."""
        self.__dict__.pop("_sampler", None)

    def draw(self, z: torch.Tensor, y: Any) -> torch.Tensor:
        """Images (N, C, S, S) on the CPU for noise (N, z_dim) and what they are to be of, a row each."""
        if not hasattr(self, "_sampler"):
            self._sampler = self.sampler()
        return self._sampler(z, y)
