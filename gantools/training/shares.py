"""What of a run's state each rank has for itself: its random streams, and what its recipe keeps (image pools)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gantools.training import rng
from gantools.training.distributed.rank_info import Ranks
from gantools.training.recipe import Recipe


def collected(ranks: Ranks, recipe: Recipe[Any, Any], device: torch.device) -> dict[str, Any]:
    """The first rank's share as entries of a checkpoint, and the other ranks' below ``peers``; all of it on the first.

    Every rank must ask.
    """
    own = {"streams": rng.state(device), "extra": recipe.extra_state()}
    if ranks.place.count == 1:
        return {**own, "peers": []}
    return {**own, "peers": ranks.collected(_on_cpu(own))[1:]}


def count(state: Mapping[str, Any]) -> int:
    """How many ranks saved ``state``."""
    return 1 + len(state["peers"])


def take(ranks: Ranks, recipe: Recipe[Any, Any], state: Mapping[str, Any], seed: int, device: torch.device) -> None:
    """Take back this rank's share. A rank that was not there before begins with another one's pools and new streams."""
    saved = [{"streams": state["streams"], "extra": state["extra"]}, *state["peers"]]
    share = saved[ranks.place.rank % len(saved)]
    recipe.load_extra_state(share["extra"])
    if ranks.place.rank < len(saved):
        rng.load_state(share["streams"], device)
    else:
        rng.part(seed, ranks.place.rank, state["position"]["step"])


def _on_cpu(value: Any) -> Any:
    """The same with tensors that another process can open."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(item) for item in value)
    return value
