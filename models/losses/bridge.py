"""UNSB: an entropy of joint states, estimated by a network, and the cost of a bridge."""

import torch

from .precision import in_float32


@in_float32
def joint_entropy(joint: torch.Tensor, crossed: torch.Tensor) -> torch.Tensor:
    """What the estimator E learns: - mean E(joint, joint) + L + L^2, L = ln sum exp E(joint, another joint).

    Kim et al., "Unpaired Image-to-Image Translation via Neural Schrodinger Bridge" (ICLR 2024, appendix). As in the
    code, L is over the patches of all images and not divided by their number: L^2 pulls it, not the bound, to 0.

    Args:
        joint, crossed: (B, 1, h, w) of the state and prediction with themselves, and with those of another chain.
    """
    L = torch.logsumexp(crossed.flatten(), 0)
    return -joint.mean() + L + L.square()


@in_float32
def bridge_cost(
    joint: torch.Tensor, crossed: torch.Tensor, state: torch.Tensor, made: torch.Tensor, part: float, tau: float
) -> torch.Tensor:
    """What G pays for a bridge: the square of how far it goes, times tau, and less the entropy of the joint states.

    Args:
        joint, crossed: as in :func:`joint_entropy`.
        state, made: (B, C, H, W), where G is and what end it predicts.
        part: of the times that are still to come, (T - i) / T.
    """
    entropy = joint.mean() - torch.logsumexp(crossed.flatten(), 0)
    return -part * tau * entropy + tau * (state - made).square().mean()
