"""What tests share that compare a run with a loop written out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gantools import api
from gantools.data.loading import loader
from gantools.data.loading.batches import Batch, to_network
from gantools.training import setup
from gantools.training.setup import Outcome
from gantools.training.state import RunSpec
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


def first(settings: api.Settings) -> Any:
    """The recipe with the first weights of its networks, in the layout that they are trained in."""
    spec = prepared(settings)
    for stage in spec.recipe.stages():
        for player in stage.players.values():
            for network in player.networks.values():
                spec.runtime.place(network).train()
    return spec.recipe


def batches(settings: api.Settings) -> Iterator[Batch]:
    """The batches of the run, in its order."""
    data = settings.recipe.dataset(settings.config, "training")
    images, channels_last = settings.config.data.batch_images, prepared(settings).runtime.channels_last
    stream = loader.batches(data, batch_images=images, start_batch=0, seed=settings.config.seed, workers=0)
    return (to_network(batch, "cpu", channels_last=channels_last) for batch in stream)


def assert_same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """To the last bit."""
    for (name, mine), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, other), f"{name}: differs by {(mine - other).abs().max()}"
