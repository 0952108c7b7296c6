"""Losses: the tables of adversarial objectives and reconstruction losses. Reading a table imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantools.registry import Registry

if TYPE_CHECKING:
    from gantools.losses.adversarial import AdversarialLoss
    from gantools.losses.perceptual import PerceptualLoss
    from gantools.losses.reconstruction import ReconstructionLoss

ADVERSARIAL: Registry[AdversarialLoss] = Registry(
    "adversarial objective",
    {
        "vanilla": "gantools.losses.adversarial:Vanilla",
        "lsgan": "gantools.losses.adversarial:LeastSquares",
        "hinge": "gantools.losses.adversarial:Hinge",
        "wasserstein": "gantools.losses.adversarial:Wasserstein",
        "relativistic": "gantools.losses.adversarial:RelativisticAverage",
    },
)

RECONSTRUCTION: Registry[ReconstructionLoss] = Registry(
    "reconstruction loss",
    {
        "l1": "gantools.losses.reconstruction:L1",
        "mse": "gantools.losses.reconstruction:MeanSquaredError",
        "charbonnier": "gantools.losses.reconstruction:Charbonnier",
        "psnr": "gantools.losses.reconstruction:Psnr",
    },
)

PERCEPTUAL: Registry[PerceptualLoss] = Registry(
    "perceptual loss", {"features": "gantools.losses.perceptual:PerceptualLoss"}
)
