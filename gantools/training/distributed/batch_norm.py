"""Batch norms whose statistics are those of the whole global batch, of every rank's part of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gantools.training.distributed import communicator


class GlobalBatchNorm(nn.BatchNorm2d):
    """Normalises by the mean and variance over all ranks' images; with one rank, or in eval mode, a BatchNorm2d.

    So it is where gradients are off, too: validation shows ranks different numbers of images.
    Unlike torch's SyncBatchNorm it also runs on CPUs, and its gradient can be differentiated again.
    Every rank must put as many values through it as the others.
    Shapes: (N, C, H, W) → the same.
    """

    def forward(self, images: Tensor) -> Tensor:
        if not self.training or not torch.is_grad_enabled() or communicator.current().world_size == 1:
            return super().forward(images)
        wide = images.float()
        mean = _over_ranks(wide.mean((0, 2, 3)))
        centred = wide - mean[:, None, None]
        variance = _over_ranks(centred.square().mean((0, 2, 3)))
        self._follow(mean.detach(), variance.detach(), images.numel() // len(mean) * communicator.current().world_size)
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        shift = 0.0 if self.bias is None else self.bias[:, None, None]
        return (centred * scale[:, None, None] + shift).to(images.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, the variance being the unbiased one as in BatchNorm2d."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / max(1, count - 1)), share)


def share_statistics(network: nn.Module) -> None:
    """Let the batch norms within ``network`` take their statistics over all ranks. Parameters and names stay."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not nn.BatchNorm2d:
                continue
            options = child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            made = GlobalBatchNorm(*options)
            made.weight, made.bias = child.weight, child.bias
            made.running_mean, made.running_var = child.running_mean, child.running_var
            made.num_batches_tracked = child.num_batches_tracked
            setattr(parent, name, made.train(child.training))


class _Mean(torch.autograd.Function):
    """The mean over the ranks. Each rank's loss counts as its share, so that the gradient is a mean as well."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        return communicator.current().mean(values)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return _over_ranks(gradient)


def _over_ranks(values: Tensor) -> Tensor:
    mean: Tensor = _Mean.apply(values)
    return mean
