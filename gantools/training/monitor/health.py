"""Watches over the game: figures of what goes wrong in it, and a line of warning when one of them stays wrong.

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

from gantools.training.monitor.movement import Movement

Resembling = Mapping[str, tuple[Tensor, Tensor]]
Figures = Mapping[str, float]

LOOK_EVERY, MARK_EVERY = 8, 50
THUMBNAIL_PX, THUMBNAILS = 8, 16
ROWS_IN_A_ROW, LASTING_STEPS = 3, 100
"""How many journal rows in a row, and from the first to the last of them how many steps, a figure must be wrong: single
bad batches are none of our business, however often a run writes rows."""
YOUNG_STEPS = 200
"""Until then a generator may draw the same gray for everything."""

# Far from anything that the shipped presets show while they learn: a warning must mean something.
INVERTED_BELOW = -0.3
SATURATED_ABOVE = 0.5
COLLAPSED_BELOW = 0.05
DIVERGED_TIMES = 3.0
BEATEN_SHARE = 0.002
MOST_UNDECIDED = 2.0
"""What a discriminator pays at most while it cannot tell (hinge; cross-entropy: 2 ln 2): no loss that exploded."""
MOVED_ABOVE = 0.7
"""In 50 steps no shipped preset moves by more than 0.4; at a hundred times its rate none by less than 1."""


@dataclass(frozen=True)
class _Look:
    """One batch's figures as scalars on the device, with thumbnails to tell how different pictures are."""

    correlation: Tensor
    saturation: Tensor
    made: Tensor
    like: Tensor


class Health:
    """Collects figures between two journal rows. ``resembling`` names what was made and what it should be like."""

    def __init__(
        self,
        resembling: Callable[[Any, Any], Resembling],
        warn: Callable[[str], None],
        networks: Mapping[str, nn.Module],
    ) -> None:
        self._resembling, self._warn = resembling, warn
        self._movement = Movement(networks)
        self._calls, self._first_step = 0, 0
        self._looks: dict[str, deque[_Look]] = {}
        self._fresh = 0
        self._best, self._undecided = float("inf"), 0.0
        self._wrong: dict[str, list[int]] = {}
        self._told: set[str] = set()

    def begin(self, step: int) -> None:
        """A stage begins, or goes on, at ``step``: its figures are not those of the one before."""
        self._first_step = step
        self._best, self._undecided = float("inf"), 0.0
        self._wrong.clear()
        self._movement.begin()

    @torch.no_grad()
    def see(self, batch: Any, made: Any) -> None:
        """Look at a step's pictures. Shapes: as the recipe's batches and outputs."""
        self._calls += 1
        if self._calls % MARK_EVERY == 0:
            self._movement.mark()
        if self._calls % LOOK_EVERY != 1:
            return
        self._fresh += 1
        for name, (picture, like) in self._resembling(batch, made).items():
            self._looks.setdefault(name, deque(maxlen=THUMBNAILS)).append(_look(picture.detach(), like))

    def row(self, step: int, figures: Figures) -> dict[str, float]:
        """The figures of a journal row with those of health in it; warns of what stays wrong, once for each thing."""
        found = {f"health/{name}": value for name, value in self._figures(figures)}
        young = step - self._first_step < YOUNG_STEPS
        for line, wrong in self._verdicts(found, figures, young).items():
            self._note(line, wrong, step)
        kept = {name: value for name, value in figures.items() if not name.endswith(_LOGITS)}
        return {**kept, **found}

    def _figures(self, figures: Figures) -> Iterator[tuple[str, float]]:
        for side in ("real", "fake"):
            logits = [value for name, value in figures.items() if name.endswith(f"/{side}_logit")]
            if logits:
                yield f"{side}_logit", sum(logits) / len(logits)
        judged, fooled = _sum(figures, "loss/discriminator/"), _sum(figures, "loss/generator/adversarial")
        if judged > 0 and fooled > 0:  # a Wasserstein game has no share
            yield "discriminator_share", judged / (judged + fooled)
        if self._fresh and self._looks:
            recent = [list(looks)[-self._fresh :] for looks in self._looks.values()]
            yield "correlation", min(_mean([look.correlation for look in looks]) for looks in recent)
            yield "saturation", max(_mean([look.saturation for look in looks]) for looks in recent)
            yield "diversity", min(_diversity(looks) for looks in self._looks.values())
        yield "movement", self._movement.longest()
        self._fresh = 0

    def _verdicts(self, found: Figures, figures: Figures, young: bool) -> dict[str, bool]:
        distance = sum(value for name, value in figures.items() if _is_distance(name))
        judged = _sum(figures, "loss/discriminator/")
        self._best = min(self._best, distance or self._best)
        self._undecided = min(max(self._undecided, judged), MOST_UNDECIDED)
        return {
            _INVERTED: found.get("health/correlation", 0.0) < INVERTED_BELOW and not young,
            _SATURATED: found.get("health/saturation", 0.0) > SATURATED_ABOVE and not young,
            _COLLAPSED: found.get("health/diversity", 1.0) < COLLAPSED_BELOW and not young,
            _DIVERGED: distance > DIVERGED_TIMES * self._best,
            _BEATEN: "health/discriminator_share" in found and 0 < judged < BEATEN_SHARE * self._undecided,
            _RESTLESS: found["health/movement"] > MOVED_ABOVE,
        }

    def _note(self, line: str, wrong: bool, step: int) -> None:
        """Count a row in which something was wrong, or forget those before it; warn where it lasts."""
        if line in self._told:
            return
        steps = self._wrong[line] = [*self._wrong.get(line, ()), step] if wrong else []
        if len(steps) >= ROWS_IN_A_ROW and steps[-1] - steps[0] >= LASTING_STEPS:
            self._told.add(line)
            self._warn(line)


_LOGITS = ("/real_logit", "/fake_logit")
_INVERTED = "health: light and dark are exchanged between what is made and what it should be like; start again"
_SATURATED = "health: more than half of the values are black or white only; lower the learning rates"
_COLLAPSED = "health: the generator makes nearly the same picture of everything; lower the learning rates"
_DIVERGED = "health: the generator's distance to the truth is three times its best; lower the learning rates"
_BEATEN = "health: the discriminator is never wrong any more; lower its learning rate or weight"

_RESTLESS = "health: the weights move by more than 70 % of their size within 50 steps; lower the learning rates"


def _look(made: Tensor, like: Tensor) -> _Look:
    made, like = made.float(), like.float()
    saturation = (made.abs() > 0.99).float().mean() - (like.abs() > 0.99).float().mean()
    return _Look(_correlation(made, like), saturation, _thumbnail(made), _thumbnail(like))


def _correlation(made: Tensor, like: Tensor) -> Tensor:
    """Pearson's over all values of a batch; 0 for one without contrast."""
    made, like = made - made.mean(), like - like.mean()
    correlation: Tensor = (made * like).sum() / (made.norm() * like.norm()).clamp_min(1e-6)
    return correlation


def _thumbnail(pictures: Tensor) -> Tensor:
    """The first image, small. Shapes: (N, C, H, W) → (C, 8, 8).

    Metal only takes sides that are multiples of 8, so what is beyond the last one is left out.
    """
    height, width = (side - side % THUMBNAIL_PX or side for side in pictures.shape[2:])
    return adaptive_avg_pool2d(pictures[:1, :, :height, :width], THUMBNAIL_PX)[0]


def _mean(values: Sequence[Tensor]) -> float:
    return float(torch.stack(list(values)).mean())


def _diversity(looks: deque[_Look]) -> float:
    """How different what was made lately is from batch to batch, beside how different it should be; 1 while unknown."""
    if len(looks) < THUMBNAILS // 2:
        return 1.0
    made, like = (
        torch.stack(pictures).std(dim=0).mean()
        for pictures in ([one.made for one in looks], [one.like for one in looks])
    )
    return float(made / like.clamp_min(1e-3))


def _is_distance(name: str) -> bool:
    """A loss of the generator that measures pictures, not the game."""
    return name.startswith("loss/generator/") and not name.endswith("/adversarial")


def _sum(figures: Figures, start: str) -> float:
    return sum(value for name, value in figures.items() if name.startswith(start))
