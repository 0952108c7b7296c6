"""Learning-rate schedules: a factor on the base learning rate as a function of a stage's progress.

A new schedule is a class here and its name in ``ScheduleOptions``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gantools.config.options import Options, setting


@dataclass(frozen=True)
class StageProgress:
    """How far a stage is: steps done of all steps, and passes over the data done."""

    step: int
    steps: int
    epoch: int

    @property
    def fraction(self) -> float:
        return self.step / self.steps


class ConstantSchedule(Options):
    """The base learning rate throughout."""

    name: Literal["constant"] = "constant"

    def rate_factor(self, progress: StageProgress) -> float:  # noqa: ARG002 - every schedule has it
        return 1.0


class LinearDecaySchedule(Options):
    """Constant, then linear to zero, once per epoch: 1 - max(0, epoch + 1 - constant) / (decay + 1).

    ``epoch`` counts from 0. So ``constant_epochs`` epochs have the base rate, each of the ``decay_epochs`` after them a
    lower one, and the one after the last would have 0 (Isola 2017, Zhu 2017, Kupyn 2018).
    """

    name: Literal["linear_decay"] = "linear_decay"
    constant_epochs: int = setting(100, "epochs at the base rate", paper=100, ge=0)
    decay_epochs: int = setting(100, "epochs over which the rate falls to zero", paper=100, ge=1)

    def rate_factor(self, progress: StageProgress) -> float:
        decayed = max(0, progress.epoch + 1 - self.constant_epochs)
        return max(0.0, 1.0 - decayed / (self.decay_epochs + 1))


class StepSchedule(Options):
    """Multiply the rate by ``factor`` at each of the given fractions of the stage."""

    name: Literal["step"] = "step"
    at: tuple[float, ...] = setting((0.5,), "fractions of the stage, 0 to 1, at which the rate drops")
    factor: float = setting(0.1, "what the rate is multiplied by at each drop", gt=0)

    def rate_factor(self, progress: StageProgress) -> float:
        return self.factor ** sum(progress.fraction >= at for at in self.at)


class OneCycleSchedule(Options):
    """Cosine rise to the base rate, then cosine fall (Smith 2018, as fastai's fit_one_cycle)."""

    name: Literal["one_cycle"] = "one_cycle"
    rise_share: float = setting(0.25, "fraction of the stage spent rising (fastai's pct_start)", gt=0, lt=1)
    start_factor: float = setting(1 / 25, "rate at the start, relative to the base rate", gt=0)
    end_factor: float = setting(1e-5, "rate at the end, relative to the base rate", ge=0)

    def rate_factor(self, progress: StageProgress) -> float:
        if progress.fraction < self.rise_share:
            return _half_cosine(self.start_factor, 1.0, progress.fraction / self.rise_share)
        return _half_cosine(1.0, self.end_factor, (progress.fraction - self.rise_share) / (1 - self.rise_share))


class CosineSchedule(Options):
    """Linear warm-up, then a half cosine to ``end_factor`` (Loshchilov and Hutter 2017, arXiv 1608.03983)."""

    name: Literal["cosine"] = "cosine"
    warmup_steps: int = setting(0, "steps of linear warm-up", ge=0)
    end_factor: float = setting(0.0, "rate at the end, relative to the base rate", ge=0)

    def rate_factor(self, progress: StageProgress) -> float:
        if progress.step < self.warmup_steps:
            return (progress.step + 1) / self.warmup_steps
        done = (progress.step - self.warmup_steps) / max(1, progress.steps - self.warmup_steps)
        return _half_cosine(1.0, self.end_factor, done)


class ExponentialSchedule(Options):
    """Multiply the rate by ``factor`` after every step (Goodfellow 2014: divided by 1.000004, from 0.1 to 1e-6)."""

    name: Literal["exponential"] = "exponential"
    factor: float = setting(1 / 1.000004, "what the rate is multiplied by after each step", gt=0, le=1)
    end_factor: float = setting(1e-5, "smallest rate, relative to the base rate", ge=0)

    def rate_factor(self, progress: StageProgress) -> float:
        return max(self.end_factor, self.factor**progress.step)


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, done))) / 2


ScheduleOptions = Annotated[
    ConstantSchedule | LinearDecaySchedule | StepSchedule | OneCycleSchedule | CosineSchedule | ExponentialSchedule,
    Field(discriminator="name"),
]
