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


class SgdOptions(Options):
    """Gradient descent with momentum, as the first GANs were trained."""

    name: Literal["sgd"] = "sgd"
    lr: float = setting(0.1, "learning rate", gt=0, plausible=(1e-5, 1))
    momentum: float = setting(0.5, "momentum", ge=0, lt=1)
    clip_norm: float | None = setting(
        None, "largest gradient norm; null leaves gradients alone", gt=0, plausible=(1e-3, 1e4)
    )


OptimizerOptions = Annotated[AdamOptions | AdamWOptions | SgdOptions, Field(discriminator="name")]


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

    steps: int | None = setting(None, "length in steps (or give epochs)", ge=1)
    epochs: float | None = setting(None, "length in epochs (or give steps)", gt=0)
    kimg: float | None = setting(None, "length in thousands of training images (give this, steps or epochs)", gt=0)
    optimizers: P = setting(..., "one optimizer per player")
    schedule: ScheduleOptions = setting(ConstantSchedule(), "learning-rate schedule of the stage, for all players")
    accumulate_batches: int | None = setting(
        None, "batches per optimizer step in this stage; null: train.accumulate_batches", ge=1, plausible=(1, 1024)
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if [self.steps, self.epochs, self.kimg].count(None) != 2:
            raise ValueError("give the stage's length either as steps or as epochs, or as kimg")
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
    """Settings of the training loop, the same for every recipe."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        "precision of networks and losses; auto: bf16 on GPUs that support it and on CPUs where it measures faster",
    )
    memory_format: Literal["auto", "contiguous", "channels_last"] = setting(
        "auto",
        "layout of network tensors; auto: the faster one on a CPU (measured); on CUDA contiguous for networks with "
        "image-wide norms, else channels_last; on Metal contiguous",
    )
    compile: Literal["auto", "off", "networks", "graphs"] = setting(
        "auto",
        "torch.compile of every network, on CUDA only; graphs: with CUDA graphs; auto: graphs where the GPU waits for "
        "the host and they prove faster, else off",
        why="not tested on a GPU yet: compare a run's metrics with those of off",
    )
    accumulate_batches: int = setting(1, "gradient accumulation: batches per optimizer step", ge=1, plausible=(1, 1024))
    sync_batch_norm: bool = setting(
        False, "batch norm statistics over all processes (SyncBatchNorm); two exchanges per layer"
    )
    ema_decay: float | None = setting(
        None,
        "decay of the exponential moving average that is exported; null exports the raw weights",
        gt=0,
        lt=1,
        plausible=(0.5, 0.99999),
    )
    ema_kimg: float | None = setting(
        None,
        "half-life of that average in thousands of images, instead of ema_decay: the same for any batch size",
        gt=0,
        plausible=(0.01, 1000),
    )
    log_every_steps: int = setting(50, "steps between rows of metrics.jsonl", ge=1)
    preview_every_steps: int = setting(500, "steps between sample sheets", ge=1)
    validate_every_steps: int | None = setting(
        None, "steps between validations; null validates at the end of each stage", ge=1
    )
    validation_px: int | None = setting(
        1024,
        "center-crop larger validation images to this side; null: whole images",
        ge=1,
    )
    checkpoint_every_steps: int = setting(1000, "steps between checkpoints", ge=1)
    checkpoint_every_minutes: float = setting(10.0, "minutes between checkpoints at most", gt=0)
    keep_checkpoints: int = setting(2, "newest checkpoints to keep", ge=2)
    max_skipped_steps: int = setting(
        20, "consecutive fp16 steps per player that may overflow before the run stops", ge=0
    )

    @model_validator(mode="after")
    def _one_average(self) -> Self:
        if self.ema_decay and self.ema_kimg:
            raise ValueError("give the moving average either as ema_decay or as ema_kimg")
        return self

    def average_decay(self, images_per_step: int) -> float | None:
        """The moving average's decay a step; None: there is no average."""
        return self.ema_decay if self.ema_kimg is None else 0.5 ** (images_per_step / (1000 * self.ema_kimg))


class DataSection(Options):
    """What the loop must know of any data set."""

    batch_images: int = setting(..., "batch size", ge=1)
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = setting(
        "auto", "data loader processes (0: none); batches are the same for any number"
    )


class RunConfig(Options):
    """A whole run. Recipes give ``data``, ``model`` and ``stages`` their own closed types."""

    recipe: str = setting(..., "name of the recipe")
    seed: int = setting(0, "seed of initial weights, data order, augmentation and dropout", ge=0, lt=2**63)
    data: DataSection = setting(..., "the data set")
    model: Options = setting(..., "networks and losses")
    stages: Options = setting(..., "training stages, in order")
    train: TrainOptions = setting(TrainOptions(), "the loop")
