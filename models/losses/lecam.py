"""LeCam: D does not run away from what it has said."""

import torch
import torch.nn.functional as F

from .precision import in_float32


@in_float32
def lecam(
    real_logits: torch.Tensor,
    fake_logits: torch.Tensor,
    mean_real: torch.Tensor,
    mean_fake: torch.Tensor,
    clipped: bool = True,
) -> torch.Tensor:
    r"""How far D's logits of real images are above its average of generated ones, and the other way round.

    .. math:: \mathbb{E}\,[D(x) - \alpha_F]_+^2 + \mathbb{E}\,[\alpha_R - D(G(z))]_+^2

    Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data" (CVPR 2021). The paper's R_LC has
    the squares alone, :math:`\lVert D(x) - \alpha_F\rVert^2 + \lVert D(G(z)) - \alpha_R\rVert^2`; the authors' code
    clips them, so that a real image which is scored below the average fake is not drawn to it, and the published
    weights are those of the clipped form.

    Args:
        real_logits, fake_logits: (B, ...) unnormalised scores of D, higher for real.
        mean_real, mean_fake: (), moving averages of D on real and on generated images; no gradient flows into them.
        clipped: as released; False is the paper's form.
    """
    above, below = real_logits - mean_fake.detach(), mean_real.detach() - fake_logits
    if clipped:
        above, below = F.relu(above), F.relu(below)
    return above.square().mean() + below.square().mean()
