"""The sections every run configuration shares: stages, optimizers, schedules, the loop's settings.

A recipe subclasses ``RunConfig`` with its own types for ``data``, ``model`` and ``stages``: the whole file is closed.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from gantools.config.options import Options, setting

# --- schedules: a factor on the base learning rate as a function of a stage's progress


class ConstantSchedule(Options):
    """The base learning rate throughout."""

    name: Literal["constant"] = "constant"


class LinearDecaySchedule(Options):
    """Constant, then linear to zero, once per epoch: 1 - max(0, epoch + 1 - constant) / (decay + 1).

    ``epoch`` counts from 0. So ``constant_epochs`` epochs have the base rate, each of the ``decay_epochs`` after them a
    lower one, and the one after the last would have 0 (Isola 2017, Zhu 2017, Kupyn 2018).
    """

    name: Literal["linear_decay"] = "linear_decay"
    constant_epochs: int = setting(100, "epochs at the base rate", paper=100, ge=0)
    decay_epochs: int = setting(100, "epochs over which the rate falls to zero", paper=100, ge=1)


class StepSchedule(Options):
    """Multiply the rate by ``factor`` at each of the given shares of the stage."""

    name: Literal["step"] = "step"
    at: tuple[float, ...] = setting((0.5,), "shares of the stage, 0 to 1, at which the rate drops")
    factor: float = setting(0.1, "what the rate is multiplied by at each drop", gt=0)


class OneCycleSchedule(Options):
    """Cosine rise to the base rate, then cosine fall (Smith 2018, as fastai's fit_one_cycle)."""

    name: Literal["one_cycle"] = "one_cycle"
    rise_share: float = setting(0.25, "share of the stage spent rising (fastai's pct_start)", gt=0, lt=1)
    start_factor: float = setting(1 / 25, "rate at the start, relative to the base rate", gt=0)
    end_factor: float = setting(1e-5, "rate at the end, relative to the base rate", ge=0)


class CosineSchedule(Options):
    """Linear warm-up, then a half cosine to ``end_factor`` (Loshchilov and Hutter 2017, arXiv 1608.03983)."""

    name: Literal["cosine"] = "cosine"
    warmup_steps: int = setting(0, "steps of linear warm-up", ge=0)
    end_factor: float = setting(0.0, "rate at the end, relative to the base rate", ge=0)


ScheduleOptions = Annotated[
    ConstantSchedule | LinearDecaySchedule | StepSchedule | OneCycleSchedule | CosineSchedule,
    Field(discriminator="name"),
]

# --- optimizers


class AdamOptions(Options):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980); fused where the device has it."""

    name: Literal["adam"] = "adam"
    lr: float = setting(2e-4, "learning rate", gt=0, plausible=(1e-7, 0.05))
    betas: tuple[float, float] = setting((0.5, 0.999), "decay of the first and second moments", plausible=(0, 0.99999))
    eps: float = setting(1e-8, "added to the denominator", gt=0, plausible=(1e-12, 1e-3))
    clip_norm: float | None = setting(
        None, "largest gradient norm; null leaves gradients alone", gt=0, plausible=(1e-3, 1e4)
    )


class AdamWOptions(Options):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

    name: Literal["adamw"] = "adamw"
    lr: float = setting(2e-4, "learning rate", gt=0, plausible=(1e-7, 0.05))
    betas: tuple[float, float] = setting((0.9, 0.999), "decay of the first and second moments", plausible=(0, 0.99999))
    eps: float = setting(1e-8, "added to the denominator", gt=0, plausible=(1e-12, 1e-3))
    weight_decay: float = setting(1e-2, "decoupled weight decay", ge=0, plausible=(0, 0.5))
    clip_norm: float | None = setting(
        None, "largest gradient norm; null leaves gradients alone", gt=0, plausible=(1e-3, 1e4)
    )


OptimizerOptions = Annotated[AdamOptions | AdamWOptions, Field(discriminator="name")]


class GeneratorOnly(Options):
    """Optimizers of a stage in which the generator plays alone."""

    generator: OptimizerOptions = setting(AdamOptions(), "optimizer of the generator")


class Game(Options):
    """Optimizers of a two-player game."""

    generator: OptimizerOptions = setting(AdamOptions(), "optimizer of the generator")
    discriminator: OptimizerOptions = setting(AdamOptions(), "optimizer of the discriminator")


# --- stages and the loop

P = TypeVar("P", bound=Options)


class StageOptions(Options, Generic[P]):
    """One stage of training: how long, with which optimizers and schedule."""

    steps: int | None = setting(None, "length in steps (give this or epochs)", ge=1)
    epochs: float | None = setting(None, "length in passes over the data (give this or steps)", gt=0)
    optimizers: P = setting(..., "one optimizer per player")
    schedule: ScheduleOptions = setting(ConstantSchedule(), "learning-rate schedule of every player of the stage")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give the stage's length either as steps or as epochs")
        return self


class SomeStages(Options):
    """Stages of which any may be left out by null, but not all."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        stages = dict(self)
        if all(stage is None for stage in stages.values()):
            raise ValueError(f"give at least one of {', '.join(stages)}")
        return self


class TrainOptions(Options):
    """How the loop runs, whatever the recipe."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        "arithmetic of networks and losses; auto is bf16 where a GPU computes it in hardware, and on a processor where "
        "it is measured to be faster",
    )
    memory_format: Literal["auto", "contiguous", "channels_last"] = setting(
        "auto",
        "layout of network tensors; auto is measured together with precision auto on a processor; else contiguous "
        "in U-Nets and with norms over a picture or transposed convolutions, and channels_last without",
    )
    compile: Literal["off", "networks", "graphs"] = setting(
        "off",
        "torch.compile of every network, on CUDA only; graphs: launched as CUDA graphs too",
        why="neither has been run on a GPU yet: try it, and compare a run's figures",
    )
    accumulate_batches: int = setting(
        1, "batches whose gradients are averaged into one step", ge=1, plausible=(1, 1024)
    )
    sync_batch_norm: bool = setting(
        False, "with several processes, take a batch norm's statistics over all of them; costs two exchanges a layer"
    )
    ema_decay: float | None = setting(
        None,
        "decay of the moving average that is exported; null exports the raw weights",
        gt=0,
        lt=1,
        plausible=(0.5, 0.99999),
    )
    log_every_steps: int = setting(50, "steps between rows of metrics.jsonl", ge=1)
    preview_every_steps: int = setting(500, "steps between sample sheets", ge=1)
    validate_every_steps: int | None = setting(
        None, "steps between validations; null validates at the end of each stage", ge=1
    )
    validation_px: int | None = setting(
        1024,
        "longest side of the images of validation and sample sheets, the middle of larger ones is taken; null: whole",
        ge=1,
    )
    checkpoint_every_steps: int = setting(1000, "steps between checkpoints", ge=1)
    checkpoint_every_minutes: float = setting(10.0, "minutes after which a checkpoint is due anyway", gt=0)
    keep_checkpoints: int = setting(2, "checkpoints kept, the newest first", ge=2)
    max_skipped_steps: int = setting(
        20, "fp16 steps in a row that may overflow, for each player, before the run stops", ge=0
    )


class DataSection(Options):
    """What the loop must know of any data set."""

    batch_images: int = setting(..., "images in a batch", ge=1)
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = setting(
        "auto", "processes that read and prepare images (0: none); the batches do not depend on it"
    )


class RunConfig(Options):
    """A whole run. Recipes give ``data``, ``model`` and ``stages`` their own closed types."""

    recipe: str = setting(..., "name of the recipe")
    seed: int = setting(0, "seed of initial weights, data order, augmentation and dropout", ge=0, lt=2**63)
    data: DataSection = setting(..., "where pictures come from and how pairs are made")
    model: Options = setting(..., "networks and losses")
    stages: Options = setting(..., "stages in the order they are played")
    train: TrainOptions = setting(TrainOptions(), "the loop")
