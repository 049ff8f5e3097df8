"""What draws an image to its class: contrast with the class's proxy and with the other images of a batch.

``labels`` are (N,) integers; vectors and proxies are compared by direction, whatever their lengths. Given the rows of
every process, each is the loss of the whole batch.
"""

import math

import torch
import torch.nn.functional as F

from .contrast import related
from .precision import in_float32


def log_one_plus(count: float, exponent: float) -> float:
    """log(1 + count * exp(exponent)), for any exponent."""
    if count <= 0:
        return 0.0
    x = math.log(count) + exponent
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@in_float32
def two_c(
    vectors: torch.Tensor,
    proxies: torch.Tensor,
    labels: torch.Tensor,
    tau: float = 1.0,
    more: torch.Tensor | None = None,
    more_labels: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""2C: an image's class is recognised by its proxy and by the other images of the class, among all images.

    .. math:: \ell_i = -\log \frac{e^{f_i\cdot e(y_i)/\tau} + \sum_{k\ne i,\,y_k=y_i} e^{f_i\cdot f_k/\tau}}
                                  {e^{f_i\cdot e(y_i)/\tau} + \sum_{k\ne i} e^{f_i\cdot f_k/\tau}}

    The 2C loss of Kang and Park, "ContraGAN: Contrastive Learning for Conditional Image Generation" (NeurIPS 2020). The
    proxy makes sure of one positive; other classes' proxies are no negatives. The released code exponentiates before it
    divides, which overflows at small tau; here the value is a difference of two log-sum-exps and finite at any tau.

    Args:
        vectors: (N, D) of the images, all real or all generated.
        proxies: (N, D), row i the proxy of class ``labels[i]``.
        tau: temperature, dimensionless.
        more: (M, D) further images to contrast with, which are no anchors; they receive gradient unless detached.
        more_labels: (M,) their labels.

    Returns:
        the mean over anchors, in nats: log(N / n_y) on average where all cosines are equal, n_y images being of the
        anchor's class; 0, with a gradient of 0, where there is one class.

    Raises:
        ValueError: one of ``more`` and ``more_labels`` without the other.
    """
    if (more is None) != (more_labels is None):
        raise ValueError("more and more_labels are given together, or neither is")
    f, e = F.normalize(vectors, dim=1), F.normalize(proxies, dim=1)
    keys, (positive, negative) = f, related(labels, labels)
    if more is not None and more_labels is not None:
        keys = torch.cat([f, F.normalize(more, dim=1)])
        masks = zip((positive, negative), related(labels, more_labels), strict=True)
        positive, negative = (torch.cat(pair, 1) for pair in masks)
    proxy = (f * e).sum(1, keepdim=True) / tau  # (N, 1)
    images = f @ keys.T / tau  # (N, N + M)
    same = torch.cat([proxy, images.masked_fill(~positive, -torch.inf)], 1)
    everyone = torch.cat([proxy, images.masked_fill(~(positive | negative), -torch.inf)], 1)
    return (everyone.logsumexp(1) - same.logsumexp(1)).mean()


def two_c_levels(batch: int, classes: int, tau: float) -> dict[str, float]:
    """Where 2C starts and how low it gets, in nats, for labels drawn uniformly.

    A cosine is at most 1, so perfect clusters do not reach 0. Counts of classes are at their expectation.

    Returns:
        ``chance``: all cosines equal, log(N / ((N-1)/C + 1)). ``floor``: every image on its proxy, the C proxies
        equally far apart, at the cosine -1/(C-1) of a simplex (which takes C - 1 dimensions).
    """
    mates = (batch - 1) / classes
    apart = 1 + 1 / (classes - 1) if classes > 1 else 0.0  # cosine to the own class less that to another
    return {
        "chance": math.log(batch / (mates + 1)),
        "floor": log_one_plus((batch - 1 - mates) / (mates + 1), -apart / tau),
    }


@in_float32
def supcon_in(vectors: torch.Tensor, labels: torch.Tensor, tau: float = 0.5) -> torch.Tensor:
    r"""2C without proxies: an image's class is recognised by the other images of the class.

    .. math:: \ell_i = -\log \frac{\sum_{k\ne i,\,y_k=y_i} e^{f_i\cdot f_k/\tau}}{\sum_{k\ne i} e^{f_i\cdot f_k/\tau}}

    L_in of Khosla et al., "Supervised Contrastive Learning" (NeurIPS 2020, equation 3), up to the constant that divides
    the sum by the number of positives.

    Args:
        vectors: (N, D).
        tau: temperature, dimensionless.

    Returns:
        the mean over anchors that have a positive, in nats; where none has, 0 with a gradient of 0.
    """
    f = F.normalize(vectors, dim=1)
    positive, negative = related(labels, labels)
    alone = ~positive.any(1, keepdim=True)
    # An anchor without positives would be log 0. Its row becomes a constant whose two sums are equal: no value, no
    # gradient, and no transfer from the device to find out how many there are.
    logits = (f @ f.T / tau).masked_fill(alone, 0)  # (N, N)
    same = logits.masked_fill(~(positive | alone), -torch.inf)
    everyone = logits.masked_fill(~(positive | negative | alone), -torch.inf)
    return (everyone.logsumexp(1) - same.logsumexp(1)).sum() / (~alone).sum().clamp(min=1)


def supcon_levels(batch: int, classes: int, tau: float) -> dict[str, float]:
    """Where ``supcon_in`` starts and how low it gets, as :func:`two_c_levels` of 2C."""
    apart = 1 + 1 / (classes - 1) if classes > 1 else 0.0
    return {"chance": math.log(classes), "floor": log_one_plus(classes - 1, -apart / tau)}


@in_float32
def tutorial_contrast(vectors: torch.Tensor, labels: torch.Tensor, tau: float = 0.5) -> torch.Tensor:
    r"""The ContraGAN tutorial's arithmetic, kept to reproduce it; ``supcon_in`` is what its text describes.

    .. math:: \ell_i = -\log \frac{P_i + n_{\ne}}{P_i + n_{\ne} + N_i + n_=},\qquad
              P_i = \sum_{k\ne i,\,y_k=y_i} e^{f_i\cdot f_k/\tau},\quad N_i = \sum_{y_k\ne y_i} e^{f_i\cdot f_k/\tau}

    Its masks multiply the similarities, so that each masked pair counts as exp(0) = 1: the n_!= images of other classes
    in the numerator, and in the denominator the n_= of the same class besides, the anchor among them. With 256 images
    of 10 classes the numerator is mostly that constant, and the gradient about a sixth of what it should be: the value
    falls and D learns little. The 1e-8 it adds to a denominator of at least N is left out.

    Args:
        vectors: (N, D), N > 1; the tutorial takes real and generated images together.
        tau: temperature, dimensionless.

    Returns:
        the mean over all anchors, in nats; finite for one without a positive.
    """
    f = F.normalize(vectors, dim=1)
    logits = f @ f.T / tau
    same = labels[:, None] == labels
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positives = (logits * same).masked_fill(itself, -torch.inf)
    negatives = logits * ~same
    return (torch.cat([positives, negatives], 1).logsumexp(1) - positives.logsumexp(1)).mean()


def tutorial_levels(batch: int, classes: int, tau: float) -> dict[str, float]:
    """Where ``tutorial_contrast`` starts, all cosines being 0, and how low it gets with clusters at a simplex."""
    mates = (batch - 1) / classes
    others = batch - 1 - mates

    def value(same: float, other: float) -> float:
        numerator = mates * math.exp(same / tau) + others
        return math.log1p((others * math.exp(other / tau) + mates + 1) / numerator)

    return {"chance": value(0.0, 0.0), "floor": value(1.0, -1 / (classes - 1) if classes > 1 else 0.0)}


@in_float32
def d2d_ce(
    vectors: torch.Tensor,
    proxies: torch.Tensor,
    labels: torch.Tensor,
    tau: float = 0.5,
    margin: float = 0.98,
    released: bool = False,
) -> torch.Tensor:
    r"""D2D-CE: an image's proxy is recognised among the images of other classes; what is easy has no gradient.

    .. math:: \ell_i = -\log \frac{e^{[f_i\cdot v_{y_i} - m_p]_-/\tau}}
              {e^{[f_i\cdot v_{y_i} - m_p]_-/\tau} + \sum_{y_k\ne y_i} e^{[f_i\cdot f_k - m_n]_+/\tau}}

    with [t]_- = min(t, 0), [t]_+ = max(t, 0) and m_n = 1 - m_p. Data-to-data cross-entropy of Kang et al., "Rebooting
    ACGAN: Auxiliary Classifier GANs with Stable Training" (NeurIPS 2021). Other images of the anchor's class play no
    part.

    Args:
        vectors: (N, D) of the images, all real or all generated.
        proxies: (N, D), row i the proxy of class ``labels[i]``.
        tau: temperature, dimensionless.
        margin: m_p, the cosine to its proxy beyond which an image is near enough.
        released: as the authors' code has it, which subtracts each row's largest logit from the negatives and not from
            the positive. Gradients are nearly the same, values lower: not to be compared with the paper's.

    Returns:
        the mean over anchors, in nats; 0, with a gradient of 0, where there is one class.
    """
    f, v = F.normalize(vectors, dim=1), F.normalize(proxies, dim=1)
    positive, negative = related(labels, labels)
    near = ((f * v).sum(1, keepdim=True) - margin).clamp(max=0) / tau  # (N, 1)
    far = (f @ f.T - (1 - margin)).clamp(min=0) / tau  # (N, N)
    if released:  # the largest over all other images, of the anchor's class too
        far = far - far.detach().masked_fill(~(positive | negative), 0).amax(1, keepdim=True)
    everyone = torch.cat([near, far.masked_fill(~negative, -torch.inf)], 1)
    return (everyone.logsumexp(1) - near.squeeze(1)).mean()


def d2d_ce_levels(batch: int, classes: int, tau: float, margin: float, released: bool = False) -> dict[str, float]:
    """Where D2D-CE starts and how low it gets, in nats, for labels drawn uniformly and a margin between 0 and 1.

    Returns:
        ``chance``: all cosines 0. ``floor``: every margin met, log(1 + n) with n = (N-1)(1-1/C) images of other
        classes expected; with ``released``, where an image of the same class lies at cosine 1, it is lower.
    """
    others = (batch - 1) * (1 - 1 / classes)
    return {
        "chance": log_one_plus(others, margin / tau),
        "floor": log_one_plus(others, -margin / tau if released else 0.0),
    }
