"""Who plays in a run: a recipe's networks on their machine, the average that follows them, what measures them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gantools.config.schema import RunConfig, StageOptions
from gantools.data.loading.dataset import Dataset
from gantools.training.device.runtime import Machine
from gantools.training.distributed import batch_norm
from gantools.training.ema import MovingAverage
from gantools.training.recipe import Recipe, Stage, exported_networks, networks_of
from gantools.training.step import StagePlay
from gantools.training.validation import Validation


@dataclass(frozen=True)
class Prepared:
    """A recipe built on its machine, with its data found sound; ``init_from`` says what fine-tuning begins with.

    ``measured`` is the line that says how the machine's arithmetic was chosen, where it was measured.
    """

    recipe: Recipe[Any, Any]
    config: RunConfig
    machine: Machine
    training: Dataset
    validation: Dataset
    init_from: dict[str, Any] | None = None
    measured: str | None = None


class Cast:
    """The stages of a run and their networks, placed, alike in all ranks and compiled."""

    def __init__(self, prepared: Prepared) -> None:
        self.recipe, self.config, self.machine = prepared.recipe, prepared.config, prepared.machine
        self.stages = list(self.recipe.stages())
        self.networks = {name: self.machine.place(network) for name, network in networks_of(self.stages).items()}
        self._make_ready()
        exported, decay = exported_networks(self.recipe, self.networks), self.config.train.ema_decay
        self.average = MovingAverage(exported, decay) if decay else None
        data, largest_px = prepared.validation, self.config.train.validation_px
        self.validation = Validation(self.recipe, data, self.networks, self.machine, self.average, largest_px)

    def _make_ready(self) -> None:
        if self.config.train.sync_batch_norm:
            for network in self.networks.values():
                batch_norm.share_statistics(network)
        self.machine.ranks.begin_alike(self.networks.values())
        for network in self.recipe.frozen().values():
            self.machine.place(network)
        self.machine.compile(self.networks, self.recipe.composed())

    def options(self, stage: Stage) -> StageOptions[Any]:
        """A stage's length, schedule and optimizers."""
        options: StageOptions[Any] = dict(self.config.stages)[stage.name]
        return options

    def open(self, stage: Stage, watch: Callable[[Any, Any], None]) -> StagePlay:
        """A stage's players with fresh optimizers; ``watch`` sees every batch and what was made of it."""
        optimizers, most_skipped = self.options(stage).optimizers, self.config.train.max_skipped_steps
        return StagePlay(self.recipe, stage, optimizers, self.machine, most_skipped, watch)

    def weights(self) -> dict[str, Any]:
        """Every network's state, and their average's, where there is one."""
        networks = {name: network.state_dict() for name, network in self.networks.items()}
        return {"networks": networks, "average": self.average.state() if self.average else None}

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Take back what ``weights`` gave."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        if self.average:
            self.average.load_state(state["average"])
