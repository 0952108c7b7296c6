"""Steps of a run's own networks, made only to be timed: the run begins as if they had not been."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

from gantools.config.schema import RunConfig
from gantools.data.loading import loader
from gantools.data.loading.batches import Batch
from gantools.data.loading.dataset import Dataset
from gantools.training.device.runtime import Runtime
from gantools.training.recipe import Recipe, StepInfo, networks_of
from gantools.training.step import StageTrainer
from gantools.training.turns import Alternate


def trainer(kind: type[Recipe[Any, Any]], config: RunConfig, runtime: Runtime) -> StageTrainer:
    """The last stage of fresh networks, in whose steps every player plays."""
    recipe = kind(config)
    *_, stage = recipe.stages()
    recipe.begin_step(StepInfo(stage.name, 0, 1, 0))
    place(recipe, networks_of([stage]), runtime)
    runtime.compile(networks_of([stage]), recipe.composed())
    stage = replace(stage, policy=Alternate(*stage.players))
    return StageTrainer(recipe, stage, dict(config.stages)[stage.name].optimizers, runtime)


def place(recipe: Recipe[Any, Any], networks: Any, runtime: Runtime) -> None:
    """Move a recipe's networks to a runtime's device, in its layout."""
    for network in networks.values():
        runtime.place(network)
    for network in recipe.frozen().values():
        runtime.place_frozen(network)


def first_images(config: RunConfig, data: Dataset) -> Batch:
    """The run's first batch. Unreadable files are reported when the run comes to them."""
    images = config.data.batch_images
    batches = loader.batches(data, batch_images=images, start_batch=0, seed=config.seed, workers=0, warn=lambda _: None)
    with closing(batches):
        first: Batch = next(batches)
        return first
