"""The networks of LAPGAN: one generator a level of a Laplacian pyramid."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.models.latent.dense_conv import joined


def shrink(image: Tensor) -> Tensor:
    """Half the size: the mean of every 2×2 block. Shapes: (N, C, H, W), H and W even."""
    return functional.avg_pool2d(image, 2)


def enlarge(image: Tensor) -> Tensor:
    """Twice the size, bilinear. Shapes: (N, C, H, W) → (N, C, 2H, 2W)."""
    return functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


def pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """The image at ``levels`` sizes, the coarsest first; the last one is the image itself."""
    images = [image]
    for _ in range(levels - 1):
        images.insert(0, shrink(images[0]))
    return images


class CoarseGenerator(nn.Module):
    """Dense layers to the coarsest image: ReLU, sigmoid, linear.

    Shapes: (N, latent_size), (N, condition_size) → (N, channels, height_px, width_px). Range: unbounded.
    Source: facebook/eyescream (hidden 8000 at 32 px).
    """

    def __init__(
        self,
        *,
        latent_size: int,
        image_px: tuple[int, int],
        channels: int = 3,
        units: int = 1200,
        condition_size: int = 0,
    ) -> None:
        super().__init__()
        self.latent_size, self.shape = latent_size, (channels, *image_px)
        self.layers = nn.Sequential(
            nn.Linear(latent_size + condition_size, units),
            nn.ReLU(),
            nn.Linear(units, units),
            nn.Sigmoid(),
            nn.Linear(units, channels * image_px[0] * image_px[1]),
        )

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.layers(joined(latent, condition)).unflatten(1, self.shape))


class CoarseDiscriminator(nn.Module):
    """Dense layers from the coarsest image to a logit, with dropout 0.5. (N, C, H, W) → (N, 1)."""

    def __init__(
        self, *, image_px: tuple[int, int], channels: int = 3, units: int = 600, condition_size: int = 0
    ) -> None:
        super().__init__()
        inputs = channels * image_px[0] * image_px[1] + condition_size
        hidden = [nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(), nn.Linear(units, units), nn.ReLU(), nn.Dropout()]
        self.layers = nn.Sequential(*hidden, nn.Linear(units, 1))

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.layers(joined(image.flatten(1), condition)))


class DetailGenerator(nn.Module):
    """What an enlarged image lacks, from one plane of noise beside it: convolutions 7×7, 7×7, 5×5, linear.

    Shapes: (N, 1, H, W), (N, C, H, W), (N, condition_size) → (N, C, H, W). Range: unbounded.
    Paper: Denton 2015, arXiv 1506.05751. ``batch_norm`` differs from it: training with Adam is faster with it.
    """

    def __init__(
        self, *, channels: int = 3, features: int = 64, condition_size: int = 0, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.label_plane = nn.Linear(condition_size, 1) if condition_size else None
        norms = [[nn.BatchNorm2d(features)] if batch_norm else [] for _ in range(2)]
        self.layers = nn.Sequential(
            nn.Conv2d(channels + 1 + bool(condition_size), features, 7, padding=3, bias=not batch_norm),
            *norms[0],
            nn.ReLU(),
            nn.Conv2d(features, features, 7, padding=3, bias=not batch_norm),
            *norms[1],
            nn.ReLU(),
            nn.Conv2d(features, channels, 5, padding=2),
        )

    def forward(self, noise: Tensor, coarse: Tensor, condition: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.layers(_with_label(torch.cat((noise, coarse), dim=1), self.label_plane, condition)))


class DetailDiscriminator(nn.Module):
    """Is the detail real? Sees the sum of detail and enlarged image: 5×5, 5×5 stride 2, dropout, a logit.

    Shapes: (N, C, H, W), (N, condition_size) → (N, 1).
    """

    def __init__(
        self, *, image_px: tuple[int, int], channels: int = 3, features: int = 64, condition_size: int = 0
    ) -> None:
        super().__init__()
        self.label_plane = nn.Linear(condition_size, 1) if condition_size else None
        height_px, width_px = ((side - 4 - 5) // 2 + 1 for side in image_px)
        self.layers = nn.Sequential(
            nn.Conv2d(channels + bool(condition_size), features, 5),
            nn.ReLU(),
            nn.Conv2d(features, features, 5, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(features * height_px * width_px, 1),
        )

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.layers(_with_label(image, self.label_plane, condition)))


class LaplacianGenerator(nn.Module):
    """The levels in turn: a coarse image, then what each enlargement lacks, each from its own noise.

    One latent vector holds all noise: ``noise_size`` values for the coarsest image, then a plane for each level.

    Shapes: (N, latent_size), (N, condition_size) → (N, channels, *out_px). Range: about [-1, 1], unbounded.
    Paper: Denton 2015, arXiv 1506.05751, equation 5.
    """

    def __init__(
        self,
        *,
        noise_size: int = 100,
        coarse_px: tuple[int, int] = (8, 8),
        levels: int = 3,
        channels: int = 3,
        units: int = 1200,
        features: int = 64,
        condition_size: int = 0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.condition_size = condition_size
        self.coarse = CoarseGenerator(
            latent_size=noise_size, image_px=coarse_px, channels=channels, units=units, condition_size=condition_size
        )
        detail = {"channels": channels, "features": features, "condition_size": condition_size}
        self.details = nn.ModuleList(DetailGenerator(**detail, batch_norm=batch_norm) for _ in range(levels - 1))
        self.planes = [(coarse_px[0] << level, coarse_px[1] << level) for level in range(1, levels)]
        self.out_px = self.planes[-1] if self.planes else coarse_px
        self.sizes = [noise_size, *(height * width for height, width in self.planes)]
        self.latent_size = sum(self.sizes)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.steps(latent, condition)[-1]

    def steps(self, latent: Tensor, condition: Tensor | None = None) -> list[Tensor]:
        """The image of every level, the coarsest first."""
        first, *noises = torch.split(latent, self.sizes, dim=1)
        images = [self.coarse(first, condition)]
        for detail, noise, plane in zip(self.details, noises, self.planes, strict=True):
            enlarged = enlarge(images[-1])
            images.append(enlarged + detail(noise.reshape(-1, 1, *plane), enlarged, condition))
        return images


def _with_label(image: Tensor, plane: nn.Linear | None, condition: Tensor | None) -> Tensor:
    """The label as one more channel: a learnt brightness of a constant plane."""
    if plane is None or condition is None:
        return image
    return joined(image, functional.relu(plane(condition)))
