"""A run before it begins, and its networks while it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gantools.config.schema import RunConfig, StageOptions
from gantools.data.loading.dataset import Dataset
from gantools.training.device.runtime import Runtime
from gantools.training.distributed import batch_norm
from gantools.training.ema import MovingAverage
from gantools.training.recipe import Recipe, Stage, exported_networks, networks_of
from gantools.training.step import StageTrainer
from gantools.training.validation import Validation


@dataclass(frozen=True)
class RunSpec:
    """A recipe built for its device, with its data checked; ``init_from`` describes the weights of a fine-tuning.

    ``measured`` is the line that says how precision and memory layout, or compiling, were chosen by measurement.
    """

    recipe: Recipe[Any, Any]
    config: RunConfig
    runtime: Runtime
    training: Dataset
    validation: Dataset
    init_from: dict[str, Any] | None = None
    measured: str | None = None


class TrainState:
    """The networks of a run on their device, equal in all ranks and compiled; their moving average and validation."""

    def __init__(self, spec: RunSpec) -> None:
        self.recipe, self.config, self.runtime = spec.recipe, spec.config, spec.runtime
        self.stages = list(self.recipe.stages())
        self.networks = {name: self.runtime.place(network) for name, network in networks_of(self.stages).items()}
        train = self.config.train
        if train.sync_batch_norm:
            for network in self.networks.values():
                batch_norm.share_statistics(network)
        self.runtime.ranks.broadcast_weights(self.networks.values())
        for network in self.recipe.frozen().values():
            self.runtime.place_frozen(network)
        self.runtime.compile(self.networks, self.recipe.composed())
        exported = exported_networks(self.recipe, self.networks)
        decay = train.average_decay(images_per_step=1)  # each stage sets its own
        self.average = None if decay is None else MovingAverage(exported, decay)
        self.validation = Validation(
            self.recipe, spec.validation, self.networks, self.runtime, self.average, train.validation_px
        )

    def options(self, stage: Stage) -> StageOptions[Any]:
        """A stage's length, schedule and optimizers."""
        options: StageOptions[Any] = dict(self.config.stages)[stage.name]
        return options

    def open(self, stage: Stage, monitor: Callable[[Any, Any], None]) -> StageTrainer:
        """A stage's players with fresh optimizers; ``monitor`` is shown every batch and what was made of it."""
        optimizers, most_skipped = self.options(stage).optimizers, self.config.train.max_skipped_steps
        return StageTrainer(self.recipe, stage, optimizers, self.runtime, most_skipped, monitor)

    def weights(self) -> dict[str, Any]:
        """The state of every network, and of the moving average where there is one."""
        networks = {name: network.state_dict() for name, network in self.networks.items()}
        return {"networks": networks, "average": self.average.state() if self.average else None}

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Restore what ``weights`` returned. Raises ValueError and others where it does not fit."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        if self.average:
            if state["average"] is None:
                raise ValueError("it has no moving average: leave out train.ema_decay and train.ema_kimg")
            self.average.load_state(state["average"])
