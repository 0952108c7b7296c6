"""Health of adversarial training: metrics of what can go wrong in it, and one warning where something stays wrong.

It looks at what the step computed anyway every ``LOOK_EVERY`` steps, and at some of the weights every ``MARK_EVERY``,
on the device; nothing waits and no random number is drawn, so that a run is the same with and without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

ImagePairs = Mapping[str, tuple[Tensor, Tensor]]
Metrics = Mapping[str, float]

LOOK_EVERY, MARK_EVERY = 8, 50
THUMBNAIL_PX, THUMBNAILS = 8, 16
ROWS_IN_A_ROW, LASTING_STEPS = 3, 100
"""How many log rows in a row, and from the first to the last of them how many steps, a metric must be out of range: a
single bad batch is no reason for a warning, however often a run writes rows."""
YOUNG_STEPS = 200
"""Until then a generator may make the same gray image of everything."""

# Far from anything that the shipped presets show while they learn: a warning must mean something.
INVERTED_BELOW = -0.3
SATURATED_ABOVE = 0.5
COLLAPSED_BELOW = 0.05
DIVERGED_TIMES = 3.0
BEATEN_SHARE = 0.002
MOST_UNDECIDED = 2.0
"""The loss of a discriminator that cannot tell real from fake is at most this (hinge; cross-entropy: 2 ln 2)."""
MOVED_ABOVE = 0.7
"""In 50 steps no shipped preset moves by more than 0.4; at a hundred times its rate none by less than 1."""
KEPT_RATIOS = 8
"""Rows of every 100 steps still see an update three times."""
SAMPLED_VALUES, FEWEST_ROWS = 4096, 4
"""How much of each matrix or kernel is looked at; nothing as large as a network is kept, nothing drawn at random."""


@dataclass(frozen=True)
class _Look:
    """The metrics of one batch as scalars on the device, with thumbnails to see how different the images are."""

    correlation: Tensor
    saturation: Tensor
    made: Tensor
    like: Tensor


class Health:
    """Collects metrics between two log rows. ``monitored_pairs`` gives what was made and what it should be like."""

    def __init__(
        self,
        monitored_pairs: Callable[[Any, Any], ImagePairs],
        warn: Callable[[str], None],
        networks: Mapping[str, nn.Module],
    ) -> None:
        self._monitored_pairs, self._warn = monitored_pairs, warn
        self._update_ratio = WeightUpdateRatio(networks)
        self._calls, self._first_step = 0, 0
        self._looks: dict[str, deque[_Look]] = {}
        self._fresh = 0
        self._best, self._undecided = float("inf"), 0.0
        self._wrong: dict[str, list[int]] = {}
        self._warned: set[str] = set()

    def begin(self, step: int) -> None:
        """A stage begins, or is resumed, at ``step``: its metrics are not those of the one before."""
        self._first_step = step
        self._best, self._undecided = float("inf"), 0.0
        self._wrong.clear()
        self._update_ratio.begin()

    @torch.no_grad()
    def see(self, batch: Any, made: Any) -> None:
        """Look at a step's images. Shapes: as the recipe's batches and outputs."""
        self._calls += 1
        if self._calls % MARK_EVERY == 0:
            self._update_ratio.mark()
        if self._calls % LOOK_EVERY != 1:
            return
        self._fresh += 1
        for name, (image, like) in self._monitored_pairs(batch, made).items():
            self._looks.setdefault(name, deque(maxlen=THUMBNAILS)).append(_look(image.detach(), like))

    def scalars(self) -> dict[str, Tensor]:
        """What a row says of the images and weights since the last one, on their device."""
        movement = self._update_ratio.largest()
        found = {} if movement is None else {"movement": movement}
        for name, looks in self._looks.items() if self._fresh else ():
            recent = list(looks)[-self._fresh :]
            found[f"correlation/{name}"] = torch.stack([look.correlation for look in recent]).mean()
            found[f"saturation/{name}"] = torch.stack([look.saturation for look in recent]).mean()
            found[f"diversity/{name}"] = _diversity(looks)
        self._fresh = 0
        return found

    def row(self, step: int, metrics: Metrics, seen: Metrics) -> dict[str, float]:
        """The metrics of a log row with those of health added; warns once of what stays out of range.

        ``seen`` are the numbers in ``scalars``.
        """
        found = {f"health/{name}": value for name, value in _metrics(metrics, seen)}
        young = step - self._first_step < YOUNG_STEPS
        for line, wrong in self._verdicts(found, metrics, young).items():
            self._note(line, wrong, step)
        kept = {name: value for name, value in metrics.items() if not name.endswith(_LOGITS)}
        return {**kept, **found}

    def _verdicts(self, found: Metrics, metrics: Metrics, young: bool) -> dict[str, bool]:
        # Losses of the generator that compare images.
        distance = sum(
            value
            for name, value in metrics.items()
            if name.startswith("loss/generator/") and not name.endswith("/adversarial")
        )
        judged = _sum(metrics, "loss/discriminator/")
        self._best = min(self._best, distance or self._best)
        self._undecided = min(max(self._undecided, judged), MOST_UNDECIDED)
        return {
            _INVERTED: found.get("health/correlation", 0.0) < INVERTED_BELOW and not young,
            _SATURATED: found.get("health/saturation", 0.0) > SATURATED_ABOVE and not young,
            _COLLAPSED: found.get("health/diversity", 1.0) < COLLAPSED_BELOW and not young,
            _DIVERGED: distance > DIVERGED_TIMES * self._best > 0,  # a logarithm, such as psnr, has no multiple
            _BEATEN: "health/discriminator_share" in found and 0 < judged < BEATEN_SHARE * self._undecided,
            _UNSTABLE: found["health/movement"] > MOVED_ABOVE,
        }

    def _note(self, line: str, wrong: bool, step: int) -> None:
        """Count a row in which something was wrong, or forget those before it; warn where it lasts."""
        if line in self._warned:
            return
        steps = self._wrong[line] = [*self._wrong.get(line, ()), step] if wrong else []
        if len(steps) >= ROWS_IN_A_ROW and steps[-1] - steps[0] >= LASTING_STEPS:
            self._warned.add(line)
            self._warn(line)


_WORST: Mapping[str, Callable[[Sequence[float]], float]] = {"correlation": min, "saturation": max, "diversity": min}
_LOGITS = ("/real_logit", "/fake_logit")
_INVERTED = "health: outputs have inverted contrast; start again"
_SATURATED = "health: more than half of the values are black or white only; lower the learning rates"
_COLLAPSED = "health: the generator makes nearly the same image of everything; lower the learning rates"
_DIVERGED = "health: the generator's distance to the ground truth is three times its best; lower the learning rates"
_BEATEN = "health: the discriminator is never wrong any more; lower its learning rate or weight"

_UNSTABLE = "health: the weights move by more than 70 % of their size within 50 steps; lower the learning rates"


def _look(made: Tensor, like: Tensor) -> _Look:
    made, like = made.float(), like.float()
    saturation = (made.abs() > 0.99).float().mean() - (like.abs() > 0.99).float().mean()
    # Pearson's correlation over all values of the batch; 0 for one without contrast.
    a, b = made - made.mean(), like - like.mean()
    correlation: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-6)
    return _Look(correlation, saturation, _thumbnail(made), _thumbnail(like))


def _thumbnail(images: Tensor) -> Tensor:
    """The first image, small. Shapes: (N, C, H, W) → (C, 8, 8).

    Metal only takes sides that are multiples of 8, so what is beyond the last one is left out.
    """
    height, width = (side - side % THUMBNAIL_PX or side for side in images.shape[2:])
    return adaptive_avg_pool2d(images[:1, :, :height, :width], THUMBNAIL_PX)[0]


def _metrics(metrics: Metrics, seen: Metrics) -> Iterator[tuple[str, float]]:
    for side in ("real", "fake"):
        logits = [value for name, value in metrics.items() if name.endswith(f"/{side}_logit")]
        if logits:
            yield f"{side}_logit", sum(logits) / len(logits)
    judged, fooled = _sum(metrics, "loss/discriminator/"), _sum(metrics, "loss/generator/adversarial")
    if judged > 0 and fooled > 0:  # with a Wasserstein loss there is no share
        yield "discriminator_share", judged / (judged + fooled)
    for what, worst in _WORST.items():
        values = [value for name, value in seen.items() if name.startswith(f"{what}/")]
        if values:
            yield what, worst(values)
    yield "movement", seen.get("movement", 0.0)


def _diversity(looks: deque[_Look]) -> Tensor:
    """How different what was made lately is from batch to batch, beside how different it should be; 1 while unknown."""
    if len(looks) < THUMBNAILS // 2:
        return torch.ones_like(looks[0].correlation)
    made, like = (
        torch.stack(images).std(dim=0).mean() for images in ([one.made for one in looks], [one.like for one in looks])
    )
    return made / like.clamp_min(1e-3)


def _sum(metrics: Metrics, start: str) -> float:
    return sum(value for name, value in metrics.items() if name.startswith(start))


class WeightUpdateRatio:
    """How far the weights move, ‖now - before‖ / ‖before‖, from a fixed sample of each network's weights.

    A learning rate that is far too high shows here first, whatever recipe, losses and images. The largest of the last
    ratios is what counts: before a norm, weights that were thrown far away hardly move any more.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._weights = {
            name: [weight for weight in network.parameters() if weight.dim() > 1] for name, network in networks.items()
        }
        self.begin()

    def begin(self) -> None:
        """A stage begins, or is resumed: earlier updates do not count."""
        self._before = self._sample()
        self._ratios: deque[Tensor] = deque(maxlen=KEPT_RATIOS)

    def mark(self) -> None:
        """Measure the update since the last mark; nothing waits for the device."""
        now, ratios = self._sample(), []
        for name, before in self._before.items():
            length = before.norm()  # zero in layers that start at zero
            ratios.append(torch.where(length > 0, (now[name] - before).norm() / length, 0.0))
        self._ratios += [torch.stack(ratios).max()] if ratios else []
        self._before = now

    def largest(self) -> Tensor | None:
        """The largest of the last eight ratios of any network, from mark to mark; None before the first mark."""
        return torch.stack(list(self._ratios)).max() if self._ratios else None

    @torch.no_grad()
    def _sample(self) -> dict[str, Tensor]:
        """Some thousand values of every matrix and kernel of each network, always the same ones, as one vector."""
        return {
            name: torch.cat([_some(weight.detach()) for weight in weights])
            for name, weights in self._weights.items()
            if weights
        }


def _some(weight: Tensor) -> Tensor:
    """Every n-th row of a matrix or kernel: about 4096 values, four rows at least."""
    apart = max(1, min(weight.numel() // SAMPLED_VALUES, len(weight) // FEWEST_ROWS))
    return weight[::apart].float().reshape(-1)
