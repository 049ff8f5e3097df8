"""How much of an image its parts tell: contrast between local and global features."""

import math

import torch
import torch.nn.functional as F

from .precision import in_float32


@in_float32
def infomax_nce(local: torch.Tensor, global_: torch.Tensor, paper: bool = False) -> torch.Tensor:
    r"""Recognise an image's places by its global feature, among places of other images.

    .. math:: \ell = \frac{1}{NA} \sum_{n,i} \log\Bigl(1 + \sum_{n'\ne n,\,i'}
                     e^{g_n\cdot l_{n'i'} - g_n\cdot l_{ni}}\Bigr)

    The InfoNCE term of Lee et al., "InfoMax-GAN: Improved Adversarial Image Generation via Information Maximization and
    Contrastive Learning" (WACV 2021), as its code has it: the denominator is the positive with the places of *other*
    images. In the paper it is all places of the batch, the image's own too. Scores are plain inner products, without
    temperature or normalisation; the spectral norm of the heads is what bounds them.

    The places of other images are the same for every place of an image and are summed once, which needs N * N * A
    scores in place of the N * A * N * A of the published code. That code leaves the image's own places in with scores
    of -10; here they are out. Given the rows of every process, in one order, it is the loss of the whole batch.

    Args:
        local: (N, A, R) features at the A places of each image.
        global_: (N, R) features of the images, in the same order.
        paper: the denominator of the paper.

    Returns:
        the mean over images and places, in nats; where all scores are equal log(1 + (N-1)A), ``paper`` log(NA). For a
        single image 0, ``paper`` log A or more.
    """
    N, A, R = local.shape
    scores = (global_ @ local.reshape(N * A, R).T).view(N, N, A)  # of each image's global feature with every place
    own = scores.diagonal().T  # (N, A)
    if paper:
        return scores.flatten(1).logsumexp(1).mean() - own.mean()
    itself = torch.eye(N, dtype=torch.bool, device=scores.device)[:, :, None]
    others = scores.masked_fill(itself, -torch.inf).flatten(1).logsumexp(1)  # (N,)
    return F.softplus(others[:, None] - own).mean()


def infomax_levels(batch: int, locations: int, paper: bool = False) -> dict[str, float]:
    """Where the term starts, all scores being equal, and how low it gets, in nats.

    With ``paper`` the A places of an image compete with one another, and the floor is log A.
    """
    if paper:
        return {"chance": math.log(batch * locations), "floor": math.log(locations)}
    return {"chance": math.log1p((batch - 1) * locations), "floor": 0.0}
