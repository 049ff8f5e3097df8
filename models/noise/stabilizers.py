"""What keeps a discriminator of few images from over-fitting, whatever the method: one flag each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from models.losses import consistency, lecam
from models.shared.augmentation import Annealed, Augmentation, AugmentationOptions
from networks.diff_augment import shift_and_flip
from networks.lecam import LeCamAverages
from options import UserError, option
from options.fields import LARGEST


@dataclass(frozen=True, kw_only=True)
class StabilizerOptions(AugmentationOptions):
    section = "stabilisers of the discriminator"
    of_a_family = True
    lambda_CR: float = option(0.0, "weight of consistency: D says the same of a moved real image", least=0)
    lambda_CR_fake: float = option(
        0.0, "weight of the same of generated images; beside --lambda_CR it is bCR, 10 and 10 as published", least=0
    )
    lambda_zCR: float = option(
        0.0, "weight of zCR for D, which says the same of images of noise and of noise moved a little; 20", least=0
    )
    lambda_zCR_G: float = option(0.0, "weight of zCR for G, whose two images are to differ; 0.5 as published", least=0)
    zCR_radius: float = option(0.05, "zCR: deviation of the numbers that are added to the noise", above=0)
    lambda_lecam: float = option(0.0, "weight of LeCam, which holds D's answers near their averages", least=0)
    lecam_from: int = option(1000, "LeCam: step of the discriminator from which it counts", least=0)

    def validate(self) -> None:
        if self.zCR_radius != 0.05 and not (self.lambda_zCR or self.lambda_zCR_G):
            raise UserError(
                f"--zCR_radius {self.zCR_radius}: how far noise is moved for --lambda_zCR and --lambda_zCR_G, and "
                "neither is given; add one, or leave it out"
            )


COMPARED = ("logit", "embedding", "classes")  # answers of D that consistency is of, of those that a method wants


def directions(vectors: torch.Tensor) -> torch.Tensor:
    """Embeddings as losses of classes compare them."""
    return F.normalize(vectors.float(), dim=1)


class Stabilizers(Augmentation):
    """Their state is in buffers, so that a continued run goes on with it.

    Args:
        opt: StabilizerOptions.
        mirror: whether a mirrored image is still of its class.
        annealed: see Augmentation.
    """

    def __init__(self, opt: Any, mirror: bool, annealed: Annealed = lambda start, end: end):
        super().__init__(opt, annealed)
        self.opt, self.mirror = opt, mirror
        self.averages = LeCamAverages() if opt.lambda_lecam > 0 else None

    @property
    def moves_noise(self) -> bool:
        """Whether the images of this pass have others beside them, of moved noise; G's term alone needs no more."""
        opt = self.opt
        return opt.lambda_zCR > 0 or (opt.lambda_zCR_G > 0 and torch.is_grad_enabled())

    def moved_noise(self, z: torch.Tensor) -> torch.Tensor:
        return z + self.opt.zCR_radius * torch.randn_like(z)

    def asks_of_fakes(self, wants: Sequence[str], wants_of_fakes: Sequence[str]) -> Sequence[str]:
        """What D is asked about generated images in its step: what the method wants, and what is to be compared."""
        compares = self.opt.lambda_CR_fake > 0 or self.opt.lambda_zCR > 0
        more = [name for name in wants if compares and name in COMPARED and name not in wants_of_fakes]
        return [*wants_of_fakes, *more]

    def terms(
        self,
        model: Any,
        images: torch.Tensor,
        y: torch.Tensor,
        real: Mapping[str, torch.Tensor],
        fake_logit: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Terms of D's loss; and what the next steps need to know is taken down.

        Args:
            model: answers ask(images, want, y).
            images, y: real images of the batch as the data have them, and their classes.
            real: D's answers about them.
            fake_logit: (B,) of generated ones.
        """
        opt, losses = self.opt, {}
        if opt.lambda_CR > 0:
            losses["D_CR"] = opt.lambda_CR * self.unlike(model, shift_and_flip(images, self.mirror), y, real)
        if self.averages is not None:
            self.averages.update(model.gather(real["logit"].detach()), model.gather(fake_logit.detach()))
            held = lecam(real["logit"], fake_logit, self.averages.real, self.averages.fake)
            losses["D_lecam"] = (
                opt.lambda_lecam * held * (self.averages.updates > min(opt.lecam_from * opt.accumulate, LARGEST))
            )
        self.observe(real["logit"][:, None], model.gather)
        return losses

    def terms_of_fakes(
        self, model: Any, images: torch.Tensor, near: torch.Tensor | None, y: Any, fake: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Further terms of D's loss: bCR's other half, and zCR.

        Zhao et al., "Improved Consistency Regularization for GANs" (AAAI 2021).

        Args:
            images, y: generated ones, and what they were to be of.
            near: images of moved noise, of the same y; None without zCR.
            fake: D's answers about ``images``.
        """
        opt, losses = self.opt, {}
        if opt.lambda_CR_fake > 0:
            moved = shift_and_flip(images.detach(), self.mirror)
            losses["D_CR_fake"] = opt.lambda_CR_fake * self.unlike(model, moved, y, fake)
        if opt.lambda_zCR > 0 and near is not None:
            losses["D_zCR"] = opt.lambda_zCR * self.unlike(model, near.detach(), y, fake)
        return losses

    def terms_G(self, images: torch.Tensor, near: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """zCR's term of G's loss, which is below 0: the further apart two images of near noises, the lower."""
        if self.opt.lambda_zCR_G == 0 or near is None:
            return {}
        return {"G_zCR": -self.opt.lambda_zCR_G * consistency([images], [near])}

    def unlike(self, model: Any, images: torch.Tensor, y: Any, answers: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """How otherwise D answers about these images than it did; of embeddings, which losses of classes compare by
        direction alone, the direction."""
        want = [name for name in COMPARED if name in answers]
        sides = (answers, model.ask(images, want, y))
        return consistency(*([directions(a[n]) if n == "embedding" else a[n] for n in want] for a in sides))
