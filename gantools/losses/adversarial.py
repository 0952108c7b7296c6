"""Adversarial objectives of generator and discriminator, as costs on the discriminator's logits.

``judge`` is what the discriminator minimises: the cost of the real logits plus that of the fake ones (the recipes
halve it where their paper does). ``fool`` is what the generator minimises. Both average over every logit, so they serve
single scores and patch maps alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from torch.nn import functional

from gantools.losses.numerics import at_least_float32

if TYPE_CHECKING:
    from torch import Tensor


class AdversarialLoss(Protocol):
    """An adversarial objective."""

    def fool(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The generator's cost, a scalar. Only relativistic objectives need, and read, the real logits."""
        ...

    def judge(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The discriminator's cost, a scalar. The caller detaches the fakes."""
        ...


@dataclass(frozen=True)
class Vanilla:
    """Binary cross-entropy: judge = bce(real, real_label) + bce(fake, 0), fool = bce(fake, 1).

    ``fool`` is the non-saturating form; smoothing touches the real side of ``judge`` only.
    Paper: Goodfellow 2014, arXiv 1406.2661; Salimans 2016, arXiv 1606.03498 (one-sided smoothing).
    """

    real_label: float = 1.0

    def fool(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the Protocol's)
        return _cross_entropy(fake_logits, 1.0)

    def judge(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _cross_entropy(real_logits, self.real_label) + _cross_entropy(fake_logits, 0.0)


@dataclass(frozen=True)
class LeastSquares:
    """LSGAN: judge = mean (real - real_label)² + mean fake², fool = mean (fake - 1)².

    Paper: Mao 2017, arXiv 1611.04076 (b = 1, a = 0, c = 1).
    Differs from the paper: without its factor 1/2, as in CycleGAN, whose recipe halves the discriminator's cost.
    """

    real_label: float = 1.0

    def fool(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the Protocol's)
        return _squared_distance(fake_logits, 1.0)

    def judge(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _squared_distance(real_logits, self.real_label) + _squared_distance(fake_logits, 0.0)


@dataclass(frozen=True)
class Hinge:
    """judge = mean max(0, 1 - real) + mean max(0, 1 + fake), fool = -mean fake.

    Paper: Lim and Ye 2017, arXiv 1705.02894.
    """

    def fool(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the Protocol's)
        return -_mean(fake_logits)

    def judge(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (
            functional.relu(1 - at_least_float32(real_logits)).mean()
            + functional.relu(1 + at_least_float32(fake_logits)).mean()
        )


@dataclass(frozen=True)
class Wasserstein:
    """judge = mean fake - mean real, fool = -mean fake; ``-judge`` estimates the distance of the two distributions.

    Needs a Lipschitz bound on the critic: ``gantools.losses.penalties.gradient_penalty`` or spectral norm.
    Paper: Arjovsky 2017, arXiv 1701.07875.
    """

    def fool(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the Protocol's)
        return -_mean(fake_logits)

    def judge(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _mean(fake_logits) - _mean(real_logits)


@dataclass(frozen=True)
class RelativisticAverage:
    """Judge each side relative to the other's mean: with J another objective's ``judge``, r real, f fake logits,

    judge = J(r - mean f, f - mean r), fool = J(f - mean r, r - mean f).

    Least squares: judge = mean (r - mean f - 1)² + mean (f - mean r + 1)². The fake target is -1 here, not 0: a
    difference of logits is to be as far below zero for fakes as it is above for real images.
    Paper: Jolicoeur-Martineau 2018, arXiv 1807.00734; ESRGAN (vanilla), DeblurGAN-v2 (lsgan).
    Differs from the authors' code, which halves each sum. DeblurGAN-v2's also takes the means over its last 50 batches.
    """

    objective: Literal["vanilla", "lsgan", "hinge"] = "vanilla"

    def fool(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        if real_logits is None:
            raise ValueError("a relativistic objective needs the real logits to fool the discriminator")
        return self.judge(fake_logits, real_logits)

    def judge(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        relative_real = at_least_float32(real_logits) - _mean(fake_logits)
        relative_fake = at_least_float32(fake_logits) - _mean(real_logits)
        return _RELATIVE_TO[self.objective].judge(relative_real, relative_fake)


class _SymmetricLeastSquares(LeastSquares):
    """Least squares with a fake target of -1."""

    def judge(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _squared_distance(real_logits, 1.0) + _squared_distance(fake_logits, -1.0)


_RELATIVE_TO: Mapping[str, AdversarialLoss] = {
    "vanilla": Vanilla(),
    "lsgan": _SymmetricLeastSquares(),
    "hinge": Hinge(),
}


def _mean(logits: Tensor) -> Tensor:
    return at_least_float32(logits).mean()


def _squared_distance(logits: Tensor, label: float) -> Tensor:
    return (at_least_float32(logits) - label).square().mean()


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    wide = at_least_float32(logits)
    return functional.binary_cross_entropy_with_logits(wide, wide.new_full((), label).expand_as(wide))
