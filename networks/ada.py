"""How often to augment, from what D says of real images."""

import torch
from torch import nn


class AdaptiveProbability(nn.Module):
    r"""A probability ``p`` of augmentation that rises while D is too sure of real images and falls while it is not.

    .. math:: p \leftarrow p + \mathrm{sign}(r - \text{target}) \cdot \frac{N}{1000\,\text{kimg}}, \qquad
              r = \mathbb{E}\,\mathrm{sign}\,D(x)

    after every ``interval`` calls of ``observe``, with r over the N images seen in them; p starts at 0 and stays in
    [0, 1]. Karras et al., "Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020), section 3,
    whose target is 0.6 and whose p may exceed 1; 0.7 is that of StudioGAN's ReACGAN on CIFAR. They drive a
    pipeline of eighteen transformations, here ``networks.diff_augment.DiffAugment(x, p)`` is driven.

    ``p`` () is a buffer, as is what is counted on the way: a checkpoint of the module that holds this one has both.

    Args:
        target: of r; 1 is a D that calls every real image real, 0 one that guesses.
        kimg: thousands of images in which p goes from 0 to 1.
        interval: batches between two changes.
    """

    p: torch.Tensor
    signs: torch.Tensor
    images: torch.Tensor
    calls: torch.Tensor

    def __init__(self, target: float = 0.7, kimg: float = 500.0, interval: int = 4):
        super().__init__()
        self.target, self.kimg, self.interval = target, kimg, interval
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))  # sum over images since the last change
        self.register_buffer("images", torch.zeros(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def observe(self, real_logits: torch.Tensor) -> None:
        """Count D's logits (B, ...) of the real images that it is trained on, positive for real.

        Where there are several processes, those of all of them, so that all keep one p.
        """
        self.count(real_logits.float().sign())

    @torch.no_grad()
    def count(self, signs_of_reals: torch.Tensor) -> None:
        """The same of their signs, or of the mean sign (N,) of what D says of each image's parts."""
        N = len(signs_of_reals)
        signs, images = self.signs + N * signs_of_reals.mean(), self.images + N
        self.calls = self.calls + 1
        due = self.calls % self.interval == 0
        step = (signs / images - self.target).sign() * images / (1000 * self.kimg)
        self.p = torch.where(due, self.p + step, self.p).clamp(0, 1)
        self.signs, self.images = torch.where(due, 0.0, signs), torch.where(due, 0.0, images)

    def extra_repr(self) -> str:
        return f"target={self.target}, kimg={self.kimg}, interval={self.interval}"
