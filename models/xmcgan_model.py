"""XMC-GAN: images from captions, by contrasts of images with sentences, places with words, fakes with reals.

Zhang, Koh, Baldridge, Lee, Yang. Cross-Modal Contrastive Learning for Text-to-Image Generation. CVPR 2021.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from evaluation.captions import real_pictures
from evaluation.samples import Asked
from models.base_noise import COLUMNS, Answers, Losses, NoiseModel
from models.captions.encoders import (
    OwnEncoder,
    TextOptions,
    check_pretrained,
    make_encoder,
    note_pretrained,
    read_vocabulary,
)
from models.captions.frozen_network import FrozenNetwork
from models.captions.results import CaptionTestOptions, save_samples
from models.captions.selection import evenly, rows_in_turn
from models.losses import cosine_scores, matching_levels, matching_loss, weighted_levels, word_scores
from models.noise.presets import XMCGAN, presets
from models.noise.sampler import DRAWN_AT_ONCE
from models.noise.stabilizers import Stabilizers
from networks.text import Text
from networks.xmcgan import XMCGenerator
from networks.xmcgan_discriminator import XMCDiscriminator
from options import UserError, default, option
from util import distributed
from util.attributes import UNSAID, holds
from util.images import mosaic, to_bytes
from util.in_order import shared_out
from util.seeding import derive
from util.writing import write_atomically

ROWS = 10  # captions of the fixed grid
VOCABULARY, PRETRAINED = "vocabulary.json", "pretrained.json"  # of the run: its words, and whose networks it was lent
SETTLING = 256  # training captions at most that batch norm takes its statistics from in a test


class XMCGANModel(NoiseModel):
    """netG is told words and sentence, netD judges an image beside its sentence; netT is the encoder, if it is trained.

    netT learns from D's contrasts of real images with captions, and from nothing else.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(NoiseModel.Options, TextOptions):
        section = "XMC-GAN"
        preset: str = presets(XMCGAN, "small data and half an hour; the published settings for COCO")
        updates: Literal["simultaneous", "alternating"] = option(
            "simultaneous", "G learns from D as it is before D's step, as published, or as it is after"
        )
        lambda_sent: float = option(1.0, "weight of the contrast of images with sentences", least=0)
        lambda_word: float = option(1.0, "weight of the contrast of places with words", least=0)
        lambda_img: float = option(1.0, "weight of the contrast of fakes with reals in D's space", least=0)
        lambda_frozen: float = option(1.0, "weight of the same in the space of --frozen_weights", least=0)
        tau: float = option(0.1, "temperature of the contrasts of images", above=0)
        tau_word: float = option(0.02, "temperature of the contrast of places with words", above=0)
        rho1: float = option(5.0, "how sharply a word chooses among places", above=0)
        rho2: float = option(5.0, "how much the best of a caption's words count more than others", above=0)
        word_len_norm: bool = option(False, "take from a caption's score what it gains by its mere length")
        nce_form: Literal["symmetric", "one-way"] = option(
            "symmetric", "find captions of images and images of captions, as the code does; or the first alone"
        )
        frozen_weights: str | None = option(None, "file with the weights of a classifier of torchvision")
        frozen_network: str = option("resnet50", "which classifier that is, by torchvision's name")
        frozen_normalised: bool = option(False, "give it images as it was trained, which the published code does not")
        lr_text: float | None = option(None, "learning rate of the text encoder; none is that of D", least=0)
        dataset_mode: str = default("caption")
        similar: int = default(2)
        batch_size: int = default(32)
        ngf: int = default(16)
        ndf: int = default(24)
        lr: float = default(8e-4)
        n_epochs: int = default(28)
        n_epochs_decay: int = default(28)
        save_epoch_freq: int = default(7)

        def validate(self) -> None:
            if self.frozen_weights is None and (self.frozen_normalised or self.frozen_network != "resnet50"):
                raise UserError(
                    f"--frozen_network {self.frozen_network}: needs --frozen_weights, the file of its weights"
                )
            if self.normD != "none":
                raise UserError(
                    f"--normD {self.normD}: the discriminator of XMC-GAN has spectral norm alone; leave it out"
                )
            if self.fresh_fakes and self.updates == "simultaneous":
                raise UserError("--fresh_fakes: with --updates simultaneous there is one batch of fakes for both steps")

    @dataclass(frozen=True, kw_only=True)
    class TestOptions(Options, NoiseModel.TestOptions, CaptionTestOptions):
        section = "XMC-GAN: results"

    family = "from captions"
    ema_names: tuple[str, ...] = ("G", "T")
    wants = ("logit", "pooled", "sentence", "regions")

    # -- networks --------------------------------------------------------------------------------

    def see_data(self, dataset: Any) -> None:
        """Build networks for the channels and, where the text encoder is trained, the words of these data."""
        opt = self.opt
        first = opt.is_train and not opt.continue_train
        known = Path(
            opt.checkpoints_dir, opt.pretrained_name or "" if first else opt.name
        )  # whose words weights are of
        self.encoder = make_encoder(opt, dataset.captions, read_vocabulary(known / VOCABULARY))
        self.frozen = self.frozen_network() if opt.is_train else None
        check_pretrained(known / PRETRAINED, self.lent())
        if isinstance(self.encoder, OwnEncoder):
            self.netT = self.encoder.netT
        else:
            self.ema_names = ("G",)
        common = dict(size=opt.crop_size, channels=dataset.channels, text_dim=self.encoder.dim)
        try:
            self.netG = XMCGenerator(**common, z_dim=opt.z_dim, ngf=opt.ngf)
        except ValueError as error:
            raise UserError(f"--crop_size {opt.crop_size}: {error}") from None
        self.fixed_z, self.fixed_captions, self.settling = self.fixed_noise(dataset)
        if opt.is_train:
            self.tell_of_batches()
            self.refuse_lonely(dataset)
            self.netD = self.finish_D(XMCDiscriminator(**common, ndf=opt.ndf))
            self.stabilizers = Stabilizers(opt, mirror=dataset.mirrors, annealed=self.annealed)
            self.add_optimizer("D", self.netD)
            if isinstance(self.encoder, OwnEncoder):
                self.add_optimizer("D", self.netT, lr=opt.lr_text)
            self.add_optimizer("G", self.netG)

    def frozen_network(self) -> FrozenNetwork | None:
        opt = self.opt
        if opt.frozen_weights is None or opt.lambda_frozen == 0:
            return None
        return FrozenNetwork(opt.frozen_network, opt.frozen_weights, opt.frozen_normalised)

    def lent(self) -> dict[str, tuple[str, str]]:
        """Flag -> name and sha256 of each pretrained network."""
        lent: dict[str, Any] = {} if isinstance(self.encoder, OwnEncoder) else {"--text_encoder": self.encoder}
        lent |= {} if self.frozen is None else {"--frozen_weights": self.frozen}
        return {flag: (network.name, network.digest) for flag, network in lent.items()}

    def refuse_lonely(self, dataset: Any) -> None:
        """No contrast has a negative in a batch of one, or of one caption."""
        if self.opt.batch_size * distributed.world_size() < 2:
            raise UserError(
                f"--batch_size {self.opt.batch_size}: contrasts compare the images of a batch; give 2 or more"
            )
        if len(dataset.captions) < 2:
            raise UserError(f"--dataroot {self.opt.dataroot}: all pictures have one caption, and contrasts need two")

    def fixed_noise(self, dataset: Any) -> tuple[torch.Tensor, list[str], list[str]]:
        """z and captions of the grid that is drawn again and again, COLUMNS images of each of ROWS captions; and some
        of the training captions."""
        if kept := self.kept(captions=[str], settling=[str]):
            return kept["z"], kept["captions"], kept["settling"]
        generator = torch.Generator().manual_seed(derive(self.opt.seed, "fixed noise"))
        captions, settling = (
            [dataset.captions[i] for i in evenly(len(dataset.captions), count)] for count in (ROWS, SETTLING)
        )
        return torch.randn(COLUMNS, self.opt.z_dim, generator=generator).repeat(len(captions), 1), captions, settling

    def fixed(self) -> dict[str, Any]:
        return super().fixed() | {"captions": self.fixed_captions, "settling": self.settling}

    def save_files(self, folder: Path) -> None:
        super().save_files(folder)
        if isinstance(self.encoder, OwnEncoder):
            write_atomically(folder / VOCABULARY, json.dumps(self.encoder.vocabulary.as_dict(), ensure_ascii=False))
        if self.lent():
            note_pretrained(folder / PRETRAINED, self.lent())

    # -- training --------------------------------------------------------------------------------

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """image (B, C, S, S) in [-1, 1], caption; said and shown (B, A), for what no contrast may take as negatives."""
        self.real, self.captions = batch["image"], list(batch["caption"])
        self.said, self.shown = self.gather(batch["said"]), self.gather(batch["shown"])
        self.image_paths = {"A": list(batch["image_paths"])}

    def conditions(self) -> Text:
        """The captions of the batch; self.y has the encoder's gradient, which nothing that G learns from may have."""
        with torch.enable_grad():
            self.y = self.encoder.encode(self.captions)
        return self.y.detach()

    def optimize_parameters(self) -> None:
        if self.opt.updates == "alternating":
            return super().optimize_parameters()
        turn_of_G = self.every(self.opt.n_dis)
        with torch.set_grad_enabled(turn_of_G):
            self.forward()
        self.real_answers = super().answers_of_reals()  # once for both steps
        if turn_of_G:
            self.update("G", self.generator_losses)  # from a D that has not stepped, as if both stepped at once
        self.update("D", self.discriminator_losses)

    def answers_of_reals(self) -> Answers:
        return self.real_answers if self.opt.updates == "simultaneous" else super().answers_of_reals()

    def known_of_reals(self, *want: str) -> Answers:
        if self.opt.updates == "simultaneous":
            return {name: self.real_answers[name].detach() for name in want}
        return super().known_of_reals(*want)

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        return self.contrasts("D", real, self.y, holds(self.said, self.shown).T)

    def terms_G(self, fake: Answers) -> Losses:
        opt, losses = self.opt, self.contrasts("G", fake, self.fake_y, agree(self.said))
        true = holds(self.said, self.shown)  # of the real image in column j what the caption of row i says
        if opt.lambda_img > 0:
            real = self.known_of_reals("pooled")["pooled"]
            scores = cosine_scores(self.gather(fake["pooled"]), self.gather(real), opt.tau)
            losses["G_img"] = opt.lambda_img * self.match(scores, true)
        if self.frozen is not None:
            with torch.no_grad():
                real = self.frozen(self.real)
            scores = cosine_scores(self.gather(self.frozen(self.fake)), self.gather(real), opt.tau)
            losses["G_frozen"] = opt.lambda_frozen * self.match(scores, true)
        return losses

    def contrasts(self, who: str, answers: Answers, text: Text, true: torch.Tensor) -> Losses:
        """Images with sentences and places with words, of every process; ``true`` pairs are no negatives."""
        opt, losses = self.opt, {}
        if opt.lambda_sent > 0:
            scores = cosine_scores(self.gather(answers["pooled"]), self.gather(answers["sentence"]), opt.tau)
            losses[f"{who}_sent"] = opt.lambda_sent * self.match(scores, true)
        if opt.lambda_word > 0:
            alone = distributed.world_size() == 1
            words = text if alone else everyones(text, opt.max_words).map(self.gather)
            scores = word_scores(
                *(self.gather(answers["regions"]), words.words, words.mask),
                *(opt.tau_word, opt.rho1, opt.rho2, opt.word_len_norm),
                places=words.places,
            )
            losses[f"{who}_word"] = opt.lambda_word * self.match(scores, true)
        return losses

    def match(self, scores: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        return matching_loss(scores, true, self.opt.nce_form == "symmetric")

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        opt, levels = self.opt, matching_levels(self.opt.batch_size * self.engine.world, self.opt.nce_form != "one-way")
        weights = {f"{who}_sent": opt.lambda_sent for who in "DG"} | {f"{who}_word": opt.lambda_word for who in "DG"}
        weights |= {"G_img": opt.lambda_img} | ({"G_frozen": opt.lambda_frozen} if self.frozen is not None else {})
        return weighted_levels(levels, weights)

    # -- looking ---------------------------------------------------------------------------------

    def encode(self, captions: Sequence[str]) -> Text:
        """Captions as the encoder reads them, with averaged weights where there are any."""
        encoder = self.encoder
        if isinstance(encoder, OwnEncoder):
            encoder = OwnEncoder(self.current("T"), encoder.vocabulary, self.opt.max_words)
        with self.engine.inference():
            return encoder.encode(captions)

    def attention(self, z: torch.Tensor, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (N, C, S, S), and which part of each place's attention each word has, (N, T, h, w); on the CPU."""
        if not hasattr(self, "_sampler"):
            self._sampler = self.sampler()
        return self._sampler(z, text, maps=True)

    def settled_with(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, Text]:
        drawn = torch.randint(len(self.settling), (count,), generator=generator).tolist()
        return self.noise(count, generator), self.encode([self.settling[i] for i in drawn])

    def get_current_visuals(self) -> dict[str, torch.Tensor]:
        """The fixed grid, a row for each caption, and real images of the batch."""
        captions = [caption for caption in self.fixed_captions for _ in range(COLUMNS)]
        samples = self.sampler()(self.fixed_z, self.encode(captions))
        real = self.real[: len(samples)].float().cpu()
        return {"samples": mosaic(samples, COLUMNS)[None], "real": mosaic(real, COLUMNS)[None]}

    def save_samples(self, dataset: Any, engine: Any, folder: Path) -> None:
        save_samples(self, dataset, engine, folder)

    def asked_of(self, dataset: Any) -> Asked:
        data = real_pictures(dataset, self.opt.phase)
        captions = [] if data is None else data.asked.captions
        asked = [captions[row] for row in rows_in_turn(captions, self.opt.num_samples)] if captions else []
        return Asked(asked, None, len(asked), None if data is None else data.images())

    def generated(self, asked: Asked) -> torch.Tensor:
        self.settle_anew()
        generator = torch.Generator().manual_seed(derive(self.opt.seed, "samples"))
        self.noise(self.opt.images_per_caption, generator)  # of the page of a test, drawn first there
        z = self.noise(asked.count, generator)

        def drawn(start: int) -> torch.Tensor:
            rows = slice(start, start + DRAWN_AT_ONCE)
            return to_bytes(self.draw(z[rows], self.encode(asked.conditions[rows])))

        return torch.cat(shared_out(drawn, range(0, asked.count, DRAWN_AT_ONCE), self.engine.device))


def everyones(text: Text, most: int) -> Text:
    """A text that processes can put together: as many words as any caption of any of them may have."""
    missing = most - text.mask.shape[1]
    pad = torch.nn.functional.pad
    return Text(pad(text.words, (0, 0, 0, missing)), pad(text.mask, (0, missing)), text.sentence)


def agree(said: torch.Tensor) -> torch.Tensor:
    """(N, N) bool: whether one image could show all that two captions say (N, A)."""
    unsaid = said == UNSAID
    return (unsaid[None] | unsaid[:, None] | (said[None] == said[:, None])).all(2)
