"""Batch norm over the batches of all processes together, as if they were one batch: --sync_bn."""

from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from options import UserError
from util import distributed


class SyncedBatchNorm(_BatchNorm):
    """Torch's SyncBatchNorm, on a CPU too, and under penalties of a gradient, which differentiate it twice.

    In evaluation, and where a process is alone, it is torch's batch norm.
    """

    of_process = False  # statistics are the same in all, see util.training.own_state

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Of any number of axes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, C, ...); the processes may have different B."""
        if not self.training or distributed.world_size() == 1:
            return super().forward(x)
        wide = x if x.dtype == torch.float64 else x.float()
        axes, row = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        sums = torch.cat([wide.sum(axes), wide.new_tensor([x.numel() / x.shape[1]])])
        *_, count = sums = distributed.total(sums)
        mean = sums[:-1] / count
        centred = wide - mean.view(row)
        variance = distributed.total(centred.square().sum(axes)) / count
        if self.track_running_stats:
            self.follow(mean.detach(), (variance * count / (count - 1)).detach())
        y = centred * (variance + self.eps).rsqrt().view(row)
        if self.affine:
            y = y * self.weight.view(row) + self.bias.view(row)
        return y.to(x.dtype)

    @torch.no_grad()
    def follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics as torch does."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        part = 1 / self.num_batches_tracked.float() if self.momentum is None else torch.tensor(self.momentum)
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            running.lerp_(value.to(running.dtype), part.to(running))


def synchronise(model: Any) -> None:
    """Have every batch norm of a model's networks count all processes; parameters, buffers and names stay.

    Raises:
        UserError: there is none.
    """
    norms = [m for network in model.networks.values() for m in network.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        told = [f"--{name} {value}" for name in ("normG", "normD") if (value := getattr(model.opt, name, None))]
        beside = f" with {' '.join(told)}" if told else ""
        raise UserError(f"--sync_bn: --model {model.opt.model}{beside} has no batch norm; leave it out")
    if distributed.world_size() == 1:
        distributed.say_once("--sync_bn: there is one process, whose batch norm counts its whole batch as it is")
    for norm in norms:
        norm.__class__ = SyncedBatchNorm
