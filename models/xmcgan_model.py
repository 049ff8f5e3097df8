"""XMC-GAN: images from captions, by contrasts of images with sentences, places with words, fakes with reals.

Zhang, Koh, Baldridge, Lee, Yang. Cross-Modal Contrastive Learning for Text-to-Image Generation. CVPR 2021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from models.base_noise import COLUMNS, Answers, Losses, NoiseModel
from models.losses import cosine_scores, matching_levels, matching_loss, word_scores
from models.stabilizers import Stabilizers
from models.text_encoders import OwnEncoder
from networks.text import Text, TextTransformer
from networks.xmcgan import XMCGenerator
from networks.xmcgan_discriminator import XMCDiscriminator
from options import UserError, default, option
from util.images import mosaic
from util.seeding import derive
from util.vocabulary import Vocabulary

ROWS = 10  # captions of the fixed grid


class XMCGANModel(NoiseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(NoiseModel.Options):
        section = "XMC-GAN"
        updates: Literal["simultaneous", "alternating"] = option(
            "simultaneous", "G learns from D as it is before D's step, as published, or as it is after"
        )
        lambda_sent: float = option(1.0, "weight of the contrast of images with sentences", least=0)
        lambda_word: float = option(1.0, "weight of the contrast of places with words", least=0)
        lambda_img: float = option(1.0, "weight of the contrast of fakes with reals in D's space", least=0)
        tau: float = option(0.1, "temperature of the contrasts of images", above=0)
        tau_word: float = option(0.02, "temperature of the contrast of places with words", above=0)
        rho1: float = option(5.0, "how sharply a word chooses among places", above=0)
        rho2: float = option(5.0, "how much the best of a caption's words count more than others", above=0)
        word_len_norm: bool = option(False, "take from a caption's score what it gains by its mere length")
        nce_form: Literal["symmetric", "one-way"] = option(
            "symmetric", "find captions of images and images of captions, as the code does; or the first alone"
        )
        text_encoder: str = option("transformer", "what reads captions")
        max_words: int = option(32, "words of a caption at most", least=1)
        text_dim: int = option(128, "numbers of a word")
        text_layers: int = option(2, "layers")
        text_heads: int = option(4, "heads of attention")
        vocab_size: int = option(8000, "words it knows at most")
        lr_text: float | None = option(None, "learning rate of the text encoder; none is that of D", least=0)
        dataset_mode: str = default("caption")
        ngf: int = default(32)
        n_dis: int = default(1)

    ema_names = ("G", "T")
    wants = ("logit", "pooled", "sentence", "regions")
    netT: TextTransformer
    encoder: Any

    # -- networks --------------------------------------------------------------------------------

    def meet(self, dataset: Any) -> None:
        """Build networks for these captions and channels."""
        opt = self.opt
        self.encoder = self.own_encoder(dataset)
        common = dict(size=opt.crop_size, channels=dataset.channels, text_dim=self.encoder.dim)
        try:
            self.netG = XMCGenerator(**common, z_dim=opt.z_dim, ngf=opt.ngf)
        except ValueError as error:
            raise UserError(f"--crop_size {opt.crop_size}: {error}") from None
        self.fixed_z, self.fixed_captions = self.fixed_noise(dataset)
        if opt.is_train:
            self.netD = self.finish_D(XMCDiscriminator(**common, ndf=opt.ndf))
            self.stabilizers = Stabilizers(opt, mirror=dataset.mirrors)
            self.add_optimizer("D", self.netD)
            self.add_optimizer("D", self.netT, lr=opt.lr_text)
            self.add_optimizer("G", self.netG)

    def own_encoder(self, dataset: Any) -> OwnEncoder:
        opt = self.opt
        vocabulary = Vocabulary.build(dataset.captions, opt.vocab_size)
        self.netT = TextTransformer(len(vocabulary), opt.text_dim, opt.text_layers, opt.text_heads, opt.max_words)
        return OwnEncoder(self.netT, vocabulary, opt.max_words)

    def fixed_noise(self, dataset: Any) -> tuple[torch.Tensor, list[str]]:
        """z and captions of the grid that is drawn again and again: COLUMNS images of each of ROWS captions."""
        if kept := self.kept():
            return kept["z"], kept["captions"]
        generator = torch.Generator().manual_seed(derive(self.opt.seed, "fixed noise"))
        z, most = torch.randn(COLUMNS, self.opt.z_dim, generator=generator), len(dataset.captions)
        captions = [dataset.captions[i] for i in torch.linspace(0, most - 1, min(most, ROWS)).round().long().tolist()]
        return z.repeat(len(captions), 1), captions

    def fixed(self) -> dict[str, Any]:
        return super().fixed() | {"captions": self.fixed_captions}

    # -- training --------------------------------------------------------------------------------

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """image (B, C, S, S) in [-1, 1], caption, said and shown (B, A)."""
        self.real, self.captions = batch["image"], list(batch["caption"])
        self.said, self.shown = batch["said"], batch["shown"]
        self.image_paths = {"A": list(batch["image_paths"])}

    def conditions(self) -> Text:
        """The captions of the batch; nothing that G learns from teaches the encoder."""
        self.text = self.encoder.encode(self.captions)
        return self.text.detach()

    def optimize_parameters(self) -> None:
        if self.opt.updates == "alternating":
            return super().optimize_parameters()
        turn_of_G = self.every(self.opt.n_dis)
        with torch.set_grad_enabled(turn_of_G):
            self.forward()
        if turn_of_G:
            self.update("G", self.generator_losses)  # of a D that has not stepped, as if both stepped at once
        self.update("D", self.discriminator_losses)

    @property
    def y(self) -> Text:
        return self.text

    def discriminator_losses(self) -> Losses:
        self.text = self.encoder.encode(self.captions)
        return super().discriminator_losses()

    def terms_D(self, real: Answers, fake: Answers) -> Losses:
        """Captions are matched with real images; one that is true of another image too is no negative of it."""
        return self.contrasts("D", real, self.text, true_of(self.said, self.shown))

    def terms_G(self, fake: Answers) -> Losses:
        opt, text = self.opt, self.fake_y
        losses = self.contrasts("G", fake, text, agree(self.said))
        if opt.lambda_img > 0:
            real = self.known_of_reals("pooled")["pooled"]
            scores = cosine_scores(self.gather(fake["pooled"]), self.gather(real), opt.tau)
            losses["G_img"] = opt.lambda_img * self.match(scores, true_of(self.said, self.shown).T)
        return losses

    def contrasts(self, who: str, answers: Answers, text: Text, true: torch.Tensor) -> Losses:
        opt, losses = self.opt, {}
        if opt.lambda_sent > 0:
            scores = cosine_scores(answers["pooled"], answers["sentence"], opt.tau)
            losses[f"{who}_sent"] = opt.lambda_sent * self.match(scores, true)
        if opt.lambda_word > 0:
            scores = word_scores(
                answers["regions"], text.words, text.mask, opt.tau_word, opt.rho1, opt.rho2, opt.word_len_norm
            )
            losses[f"{who}_word"] = opt.lambda_word * self.match(scores, true)
        return losses

    def match(self, scores: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        return matching_loss(scores, true, self.opt.nce_form == "symmetric")

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        opt, levels = self.opt, matching_levels(self.opt.batch_size * self.engine.world, self.opt.nce_form != "one-way")
        weights = {"sent": opt.lambda_sent, "word": opt.lambda_word}
        terms = {f"{who}_{term}": weight for term, weight in weights.items() for who in "DG"}
        return {
            name: {level: weight * value for level, value in levels.items()}
            for name, weight in (terms | {"G_img": opt.lambda_img}).items()
            if weight
        }

    # -- looking ---------------------------------------------------------------------------------

    def encode(self, captions: Sequence[str]) -> Text:
        """Captions as averaged weights read them."""
        encoder = OwnEncoder(self.current("T"), self.encoder.vocabulary, self.opt.max_words)
        with self.engine.inference():
            return encoder.encode(captions)

    def settled_with(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, Text]:
        captions = [self.fixed_captions[i % len(self.fixed_captions)] for i in range(count)]
        return self.noise(count, generator), self.encode(captions)

    def get_current_visuals(self) -> dict[str, torch.Tensor]:
        """The fixed grid, a row for each caption, and real images of the batch."""
        captions = [caption for caption in self.fixed_captions for _ in range(COLUMNS)]
        samples = self.sampler()(self.fixed_z, self.encode(captions))
        real = self.real[: len(samples)].float().cpu()
        return {"samples": mosaic(samples, COLUMNS)[None], "real": mosaic(real, COLUMNS)[None]}


def true_of(said: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """(N, N) bool: whether caption j, which says said[j], is true of picture i, which shows shown[i]; both (N, A)."""
    return ((said == -1)[None] | (said[None] == shown[:, None])).all(2)


def agree(said: torch.Tensor) -> torch.Tensor:
    """(N, N) bool: whether one image could show all that two captions say."""
    unsaid = said == -1
    return (unsaid[None] | unsaid[:, None] | (said[None] == said[:, None])).all(2)
