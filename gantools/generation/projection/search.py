"""The optimisation of StyleGAN2's projector: from an image to styles that make it. No files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.errors import GantoolsError

if TYPE_CHECKING:
    from gantools.generation.latents import Vectors
    from gantools.losses.perceptual import PerceptualLoss
    from gantools.models.latent.style import StyleGenerator

STATISTICS_SEED = 123
STATISTICS_LATENTS = 10_000
RAMP_UP = 0.05
RAMP_DOWN = 0.25
"""Shares of the steps in which the learning rate rises, and falls again."""
STYLE_NOISE = 0.05
STYLE_NOISE_UNTIL = 0.75
"""Noise on the styles, in deviations of a style, and the share of the steps in which it falls to nothing."""
STAY_WEIGHT = 0.1
"""With ``stay`` 1 a style as far from the mean as styles are counts as L1 of this, which is 5 % of the range."""
PLANE_WEIGHT = 1e5
SMALLEST_PLANE_PX = 8
COMPARED_PX = 256
"""Larger images are averaged to this side before they are compared."""
SEEN_PX = 64
"""Smaller images are enlarged to at least this side before a feature network sees them."""


def learning_rate(peak: float, done: float) -> float:
    """The learning rate after a share ``done`` of the steps: linear up from 0, later down to 0 by a cosine."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / RAMP_DOWN))
    return peak * down * min(1.0, done / RAMP_UP)


def style_noise(deviation: float, done: float) -> float:
    """The deviation of the noise on the styles after a share ``done`` of the steps."""
    return float(deviation * STYLE_NOISE * max(0.0, 1 - done / STYLE_NOISE_UNTIL) ** 2)


def plane_regularity(planes: Sequence[Tensor]) -> Tensor:
    """How much planes of noise look like their neighbourhood, at their own size and averaged down to 8 px.

    The squared mean product of a plane and itself, moved by one pixel across and down; 0 is white noise.
    Shapes: (1, 1, side, side) each → ().
    """
    terms = []
    for each in planes:
        plane = each
        while True:
            terms += [(plane * plane.roll(1, dims=axis)).mean().square() for axis in (3, 2)]
            if plane.shape[3] <= SMALLEST_PLANE_PX:
                break
            plane = functional.avg_pool2d(plane, 2)
    return torch.stack(terms).sum()


@torch.no_grad()
def normalise(planes: Sequence[Tensor]) -> None:
    """Bring each plane of noise to mean 0 and root mean square 1, in place."""
    for plane in planes:
        plane -= plane.mean()
        plane *= plane.square().mean().rsqrt()


@dataclass(frozen=True)
class Statistics:
    """Mean style of a model, (style_size), and the root mean squared length of the differences from it."""

    mean: Tensor
    deviation: float


@torch.inference_mode()
def statistics(network: StyleGenerator, condition: Vectors | None = None) -> Statistics:
    """The mean and deviation of the styles of 10,000 latent vectors, with one label or none."""
    device = network.mapping.running_mean.device
    drawn = np.random.RandomState(STATISTICS_SEED).randn(STATISTICS_LATENTS, network.latent_size).astype(np.float32)
    given = None
    if condition is not None:
        given = torch.from_numpy(condition).to(device).expand(len(drawn), -1)
    styles = network.mapping(torch.from_numpy(drawn).to(device), given)
    mean = styles.mean(dim=0)
    return Statistics(mean.clone(), float((styles - mean).square().sum().div(len(styles)).sqrt()))


class Distance(nn.Module):
    """How far an image is from the one that is projected: perceptual + L1, of at most 256 px.

    Without a feature network L1 at every halved size stands for the perceptual distance: it compares large shapes too.
    Shapes: (1, C, H, W) → (). Range: [-1, 1].
    """

    _target: Tensor

    def __init__(self, target: Tensor, perceptual: PerceptualLoss | None) -> None:
        super().__init__()
        self._perceptual = perceptual
        self.register_buffer("_target", self._compared(target))
        self._features = [] if perceptual is None else perceptual.features(self._seen(self._target))

    def forward(self, image: Tensor) -> Tensor:
        image = self._compared(image)
        difference = image - self._target
        nearness = difference.abs().mean()
        if self._perceptual is not None:
            return nearness + self._perceptual.compared(self._seen(image), self._features)
        levels = []
        while min(difference.shape[2:]) > 1:
            difference = functional.avg_pool2d(difference, 2)
            levels.append(difference.abs().mean())
        return nearness + torch.stack(levels).mean()

    @torch.no_grad()
    def perceived(self, image: Tensor) -> float:
        """The perceptual part alone; 0 without a feature network."""
        if self._perceptual is None:
            return 0.0
        found: float = self._perceptual.compared(self._seen(self._compared(image)), self._features).item()
        return found

    @staticmethod
    def _compared(image: Tensor) -> Tensor:
        if min(image.shape[2:]) <= COMPARED_PX:
            return image
        return functional.interpolate(image, size=(COMPARED_PX, COMPARED_PX), mode="area")

    @staticmethod
    def _seen(image: Tensor) -> Tensor:
        factor = -(-SEEN_PX // min(image.shape[2:]))
        return functional.interpolate(image, scale_factor=factor, mode="bilinear") if factor > 1 else image


@dataclass(frozen=True)
class Search:
    """How styles are looked for. ``stay`` weighs their squared distance from the mean style, in squared deviations."""

    space: Literal["w", "w+"] = "w+"
    steps: int = 1000
    lr: float = 0.1
    stay: float = 0.1
    seed: int = 303


class Projection:
    """An image on its way to styles; between two steps it can be stored, and goes on from there bit for bit.

    Styles start at the mean style, planes of noise at N(0, 1). Paper: Karras 2020, arXiv 1912.04958, appendix D.
    Differs from the paper: L1 beside the perceptual distance, a row of styles for each layer (W+) by default, and a
    pull to the mean.
    """

    def __init__(self, network: StyleGenerator, known: Statistics, distance: Distance, search: Search) -> None:
        self._network, self._known, self.distance, self.search = network, known, distance, search
        self._device = known.mean.device
        self._random = torch.Generator().manual_seed(search.seed)  # on the CPU: the same numbers for every device
        rows = network.rows if search.space == "w+" else 1
        self.done = 0
        self.styles = known.mean.repeat(1, rows, 1).requires_grad_()
        self.planes = [self._drawn(1, 1, *shape).requires_grad_() for shape in network.synthesis.noise_shapes]
        self._adam = torch.optim.Adam([self.styles, *self.planes], lr=search.lr, betas=(0.9, 0.999))

    def step(self) -> float:
        """Go one step nearer; the distance before it. Raises GantoolsError where that is no number."""
        share, search = self.done / self.search.steps, self.search
        for group in self._adam.param_groups:
            group["lr"] = learning_rate(search.lr, share)
        noise = self._drawn(*self.styles.shape) * style_noise(self._known.deviation, share)
        distance = self.distance(self._image(self.styles + noise))
        found: float = distance.item()
        if not math.isfinite(found):
            raise GantoolsError(f"the distance became {found} at step {self.done}; try a smaller --lr")
        away = (self.styles - self._known.mean).square().sum(dim=2).mean() / self._known.deviation**2
        loss = distance + STAY_WEIGHT * search.stay * away + PLANE_WEIGHT * plane_regularity(self.planes)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        normalise(self.planes)
        self.done += 1
        return found

    @torch.no_grad()
    def image(self) -> Tensor:
        """The image so far. Shapes: (1, C, H, W)."""
        return self._image(self.styles)

    def state(self) -> dict[str, Any]:
        """All that the next steps depend on."""
        return {
            "done": self.done,
            "styles": self.styles.detach(),
            "planes": [plane.detach() for plane in self.planes],
            "adam": self._adam.state_dict(),
            "random": self._random.get_state(),
        }

    @torch.no_grad()
    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a stored state. Raises KeyError, RuntimeError or ValueError for one that does not fit."""
        for own, stored in zip([self.styles, *self.planes], [state["styles"], *state["planes"]], strict=True):
            own.copy_(stored)
        self._adam.load_state_dict(state["adam"])
        self._random.set_state(state["random"])
        self.done = int(state["done"])

    def _image(self, styles: Tensor) -> Tensor:
        rows = styles.expand(-1, self._network.rows, -1)
        return cast(Tensor, self._network.synthesis(rows, self.planes)).float()

    def _drawn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._random).to(self._device)
