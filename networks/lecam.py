"""What D has lately said of real and of generated images, which LeCam's penalty compares with."""

import torch
from torch import nn


class LeCamAverages(nn.Module):
    """Moving averages ``real`` and ``fake`` (), in float32, of D's logits (Tseng et al., CVPR 2021).

    The first batch is their first value. StudioGAN's begin at 7777, which the penalty of a run that starts at once
    then compares with. ``updates`` () counts, so that a penalty can wait for averages to settle: published runs on
    CIFAR wait 1000. All three are buffers: a checkpoint of the module that holds this one has them.

    Args:
        decay: weight of the past, in [0, 1).
    """

    real: torch.Tensor
    fake: torch.Tensor
    updates: torch.Tensor

    def __init__(self, decay: float = 0.99):
        super().__init__()
        self.decay = decay
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("fake", torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, real_logits: torch.Tensor, fake_logits: torch.Tensor) -> None:
        """Add a batch of logits (B, ...); of every process where there are several, so that all have one average."""
        past = torch.where(self.updates == 0, 0.0, self.decay)
        self.real = real_logits.float().mean().lerp(self.real, past)
        self.fake = fake_logits.float().mean().lerp(self.fake, past)
        self.updates = self.updates + 1

    def extra_repr(self) -> str:
        return f"decay={self.decay}"
