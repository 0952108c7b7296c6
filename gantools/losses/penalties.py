"""Penalties on gradients: a critic's by its input, a generator's by its styles. In float32: they are second-order."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gantools.losses.numerics import at_least_float32


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Mean over the batch of (‖∇critic‖ - 1)² at a random point between each real and fake image. Unweighted.

    Shapes: two batches (N, C, H, W), detached here. A conditional critic comes as a function of the image alone.
    Paper: Gulrajani 2017, arXiv 1704.00028, equation 3 (weight 10): one random point and one norm per sample.
    """
    with torch.autocast(real.device.type, enabled=False):
        wide_real, wide_fake = at_least_float32(real.detach()), at_least_float32(fake.detach())
        share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=wide_real.dtype)
        between = wide_real.lerp(wide_fake, share).requires_grad_()
        lengths: Tensor = torch.linalg.vector_norm(_input_gradient(critic, between), dim=1)
        return (lengths - 1).square().mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Mean over the batch of ‖∇critic‖² at the real images. Unweighted (the paper's weight is γ/2).

    Shapes: a batch (N, C, H, W), detached here.
    Paper: Mescheder 2018, arXiv 1801.04406, equation 9.
    """
    with torch.autocast(real.device.type, enabled=False):
        wide_real = at_least_float32(real.detach()).requires_grad_()
        return _input_gradient(critic, wide_real).square().sum(dim=1).mean()


class PathLength(nn.Module):
    """How unevenly an image answers to its styles: (‖Jᵀy‖ - running mean)², y random. Unweighted (the paper's is 2).

    The norm is the root of the mean over rows. The running mean moves by 1 % each time.
    Shapes: styles (N, rows, style_size) → images (N, C, H, W).
    Paper: Karras 2020, arXiv 1912.04958, section 3.2 and appendix B.
    """

    running_mean: Tensor

    def __init__(self, decay: float = 0.01) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("running_mean", torch.zeros(()))

    def forward(self, synthesis: Callable[[Tensor], Tensor], styles: Tensor) -> Tensor:
        with torch.autocast(styles.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
            image = synthesis(at_least_float32(styles))
            noise = torch.randn(image.shape, device=image.device) / math.sqrt(image[0, 0].numel())
            (gradient,) = torch.autograd.grad((image * noise).sum(), styles, create_graph=True)
            lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
            mean = self.running_mean.lerp(lengths.mean(), self.decay)
            self.running_mean.copy_(mean.detach())
            return (lengths - mean).square().mean()


def _input_gradient(critic: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Gradient of each image's score, a patch map counting as its mean. (N, C·H·W), differentiable itself.

    A critic that was compiled runs as it is here: what torch compiles cannot be differentiated twice.
    """
    with torch.enable_grad(), torch.compiler.set_stance("force_eager"):
        scores = critic(image).reshape(len(image), -1).mean(dim=1)
        gradient: Tensor = torch.autograd.grad(scores.sum(), image, create_graph=True)[0]
    return gradient.flatten(1)
