"""What tests share that train tiny recipes: runs, and comparing their weights and states to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.calls import META, Counts, counted
from gantools import api
from gantools.data.loading import loader
from gantools.data.loading.batches import to_network
from gantools.training import setup
from gantools.training.recipe import Stage, networks_of
from gantools.training.setup import Outcome
from gantools.training.state import RunSpec
from gantools.training.step import StageTrainer
from gantools.training.stopping import Limits


def prepared(settings: api.Settings) -> RunSpec:
    """The run on the CPU, its networks with their first weights."""
    return setup.prepare(settings.recipe, settings.config, "cpu")


def run(settings: api.Settings, folder: Path, max_steps: int | None = None) -> Outcome:
    """A training of the run, or the rest of one that stopped in ``folder``."""
    limits = Limits(max_steps=max_steps)
    if folder.exists():
        return setup.resume(prepared(settings), setup.RunDirectory.open(folder), limits, None)
    return setup.start(prepared(settings), settings.tree, folder, limits, None)


def trained(settings: api.Settings, folder: Path, max_steps: int | None = None) -> Any:
    """The recipe with what its networks have learnt."""
    return run(settings, folder, max_steps).loop.state.recipe


def counts(settings: api.Settings) -> dict[str, Counts]:
    """What a step of each stage asks of a device, on the run's first batch."""
    spec = prepared(settings)
    config, recipe = spec.config, spec.recipe
    stream = loader.batches(
        spec.training, batch_images=config.data.batch_images, start_batch=0, seed=config.seed, workers=0
    )
    batch = to_network(next(stream), META.device)
    for network in networks_of(list(recipe.stages())).values():
        META.place(network)
    for network in recipe.frozen().values():
        META.place_frozen(network)
    options = dict(config.stages)

    def of(stage: Stage) -> Counts:
        return counted(lambda: (StageTrainer(recipe, stage, options[stage.name].optimizers, META), batch))

    return {stage.name: of(stage) for stage in recipe.stages()}


def assert_same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    for (name, mine), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, other), f"{name}: differs by {(mine - other).abs().max()}"


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of a checkpoint's state by path."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = dict(enumerate(value)).items()
    else:
        return {path: value}
    return {key: leaf for name, item in items for key, leaf in flat(item, f"{path}/{name}").items()}


def assert_equal_states(one: Any, other: Any) -> None:
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for path, value in one.items():
        same = torch.equal(value, other[path]) if isinstance(value, torch.Tensor) else value == other[path]
        assert same, path
