"""Adversarial objectives against their formulas, computed by hand."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor

from gantools.losses.adversarial import Hinge, LeastSquares, RelativisticAverage, Vanilla, Wasserstein

REAL = torch.tensor([[2.0], [0.5], [-1.0]], dtype=torch.float64)
FAKE = torch.tensor([[-2.0], [0.25], [1.5]], dtype=torch.float64)


def softplus(values: list[float]) -> float:
    return sum(log(1 + exp(value)) for value in values) / len(values)


def close(actual: Tensor, expected: float) -> None:
    assert actual.item() == pytest.approx(expected, rel=1e-12)


def test_vanilla() -> None:
    """-log σ(x) = softplus(-x), -log(1 - σ(x)) = softplus(x)."""
    close(Vanilla().judge(REAL, FAKE), softplus([-2, -0.5, 1]) + softplus([-2, 0.25, 1.5]))
    close(Vanilla().fool(FAKE), softplus([2, -0.25, -1.5]))


def test_smoothing_changes_the_real_side_alone() -> None:
    smooth = Vanilla(real_label=0.9)
    expected = 0.9 * softplus([-2, -0.5, 1]) + 0.1 * softplus([2, 0.5, -1]) + softplus([-2, 0.25, 1.5])
    close(smooth.judge(REAL, FAKE), expected)
    close(smooth.fool(FAKE), Vanilla().fool(FAKE).item())
    close(LeastSquares(real_label=0.9).judge(REAL, FAKE), (1.21 + 0.16 + 3.61) / 3 + (4 + 0.0625 + 2.25) / 3)


def test_least_squares() -> None:
    close(LeastSquares().judge(REAL, FAKE), (1 + 0.25 + 4) / 3 + (4 + 0.0625 + 2.25) / 3)
    close(LeastSquares().fool(FAKE), (9 + 0.5625 + 0.25) / 3)


def test_hinge() -> None:
    close(Hinge().judge(REAL, FAKE), (0 + 0.5 + 2) / 3 + (0 + 1.25 + 2.5) / 3)
    close(Hinge().fool(FAKE), 0.25 / 3)


def test_wasserstein() -> None:
    close(Wasserstein().judge(REAL, FAKE), -0.25 / 3 - 0.5)
    close(Wasserstein().fool(FAKE), 0.25 / 3)


def test_relativistic_average() -> None:
    """Mean real 0.5, mean fake -1/12."""
    real, fake = [x + 1 / 12 for x in (2, 0.5, -1)], [x - 0.5 for x in (-2, 0.25, 1.5)]
    vanilla = RelativisticAverage("vanilla")
    close(vanilla.judge(REAL, FAKE), softplus([-x for x in real]) + softplus(fake))
    close(vanilla.fool(FAKE, REAL), softplus([-x for x in fake]) + softplus(real))
    squares = RelativisticAverage("lsgan")
    close(squares.judge(REAL, FAKE), (sum((x - 1) ** 2 for x in real) + sum((x + 1) ** 2 for x in fake)) / 3)
    close(squares.fool(FAKE, REAL), (sum((x - 1) ** 2 for x in fake) + sum((x + 1) ** 2 for x in real)) / 3)
    hinge = RelativisticAverage("hinge")
    close(hinge.judge(REAL, FAKE), (sum(max(0, 1 - x) for x in real) + sum(max(0, 1 + x) for x in fake)) / 3)


def test_relativistic_least_squares_are_content_where_real_is_one_above_fake() -> None:
    """Each side is then 1 away from the other's mean, in its own direction: both targets are met."""
    squares, high, low = RelativisticAverage("lsgan"), torch.full((4, 1), 0.5), torch.full((4, 1), -0.5)
    close(squares.judge(high, low), 0.0)
    close(squares.fool(high, low), 0.0)
    close(squares.judge(low, high), 8.0)


@pytest.mark.parametrize("objective", ["vanilla", "lsgan", "hinge"])
def test_only_relativistic_objectives_need_the_real_logits_and_pass_them_a_gradient(objective: Any) -> None:
    real = REAL.clone().requires_grad_()
    assert torch.autograd.grad(RelativisticAverage(objective).fool(FAKE, real), real)[0].abs().sum() > 0
    assert not Vanilla().fool(FAKE, real).requires_grad
    with pytest.raises(ValueError, match="real logits"):
        RelativisticAverage(objective).fool(FAKE)


def test_large_logits_stay_finite() -> None:
    extreme = torch.tensor([[1e4], [-1e4]])
    for gan in (Vanilla(), LeastSquares(), Hinge(), Wasserstein(), RelativisticAverage()):
        assert torch.isfinite(gan.judge(extreme, -extreme))
        assert torch.isfinite(gan.fool(extreme, -extreme))
