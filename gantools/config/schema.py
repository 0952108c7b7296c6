"""The sections every run configuration shares: stages, optimizers, schedules, the loop's settings.

A recipe subclasses ``RunConfig`` with its own types for ``data``, ``model`` and ``stages``: the whole file is closed.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from gantools.config.options import Options, setting
from gantools.config.schedules import ConstantSchedule, ScheduleOptions

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
    """Optimizers of a stage that trains the generator alone."""

    generator: OptimizerOptions = setting(AdamOptions(), "optimizer of the generator")


class GanOptimizers(Options):
    """Optimizers of adversarial training."""

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
