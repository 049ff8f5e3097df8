"""What keeps a discriminator of few images from over-fitting, whatever the method: one flag each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from models.losses import consistency, lecam
from models.shared.augmentation import Annealed, Augmentation, AugmentationOptions
from networks.diff_augment import shift_and_flip
from networks.lecam import LeCamAverages
from options import option
from options.fields import LARGEST


@dataclass(frozen=True, kw_only=True)
class StabilizerOptions(AugmentationOptions):
    section = "stabilisers of the discriminator"
    of_a_family = True
    lambda_CR: float = option(0.0, "weight of consistency: D says the same of a moved real image", least=0)
    lambda_lecam: float = option(0.0, "weight of LeCam, which holds D's answers near their averages", least=0)
    lecam_from: int = option(1000, "LeCam: step of the discriminator from which it counts", least=0)


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
            want = [name for name in ("logit", "embedding", "classes") if name in real]
            moved = model.ask(shift_and_flip(images, self.mirror), want, y)
            pairs = [
                [directions(answers[n]) if n == "embedding" else answers[n] for n in want] for answers in (real, moved)
            ]
            losses["D_CR"] = opt.lambda_CR * consistency(*pairs)
        if self.averages is not None:
            self.averages.update(model.gather(real["logit"].detach()), model.gather(fake_logit.detach()))
            held = lecam(real["logit"], fake_logit, self.averages.real, self.averages.fake)
            losses["D_lecam"] = (
                opt.lambda_lecam * held * (self.averages.updates > min(opt.lecam_from * opt.accumulate, LARGEST))
            )
        self.observe(real["logit"][:, None], model.gather)
        return losses
