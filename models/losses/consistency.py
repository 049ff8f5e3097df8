"""Consistency: D says the same of an image and of the same image altered."""

from collections.abc import Sequence

import torch

from .precision import in_float32


def consistency(outputs: Sequence[torch.Tensor], augmented: Sequence[torch.Tensor]) -> torch.Tensor:
    r"""Mean squared difference of each output of D for images and for their altered copies, summed over outputs.

    .. math:: \sum_j \frac{1}{n_j} \lVert D_j(x) - D_j(T(x)) \rVert^2

    Zhang et al., "Consistency Regularization for Generative Adversarial Networks" (ICLR 2020), for the logit;
    StudioGAN adds D's embedding, and its weight is 10 in either. n_j counts the numbers of an output, those of the
    batch too. The gradient flows through both sides, as published: neither is the other's teacher.

    Args:
        outputs: tensors of any shape, such as logits (B,) and embeddings (B, D), of images.
        augmented: the same of ``networks.diff_augment.shift_and_flip`` of them, row by row.

    Raises:
        ValueError: there is nothing to compare, or two of a pair differ in shape.
    """
    shapes, others = [tuple(a.shape) for a in outputs], [tuple(b.shape) for b in augmented]
    if not shapes or shapes != others:
        raise ValueError(f"outputs of shapes {shapes} and of shapes {others} cannot be compared one by one")
    return torch.stack([mean_squared_difference(a, b) for a, b in zip(outputs, augmented, strict=True)]).sum()


@in_float32
def mean_squared_difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).square().mean()
