"""The random state of the process (initial weights, dropout): saved, restored, and untouched by validation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from gantools.data.loading import sampler

_RANKS = 1 << 10  # the side streams before it belong to recipes


def seed(number: int) -> None:
    """Seed torch on every device."""
    torch.manual_seed(number)


def separate_ranks(number: int, rank: int, step: int) -> None:
    """Give each rank but the first a random state of its own at ``step``, once the first weights are made."""
    if rank:
        torch.manual_seed(sampler.side_stream(number, (step << 20) + _RANKS + rank))


def state(device: torch.device) -> dict[str, Any]:
    """The random state, for a checkpoint: the CPU's and that of ``device``, no other device's."""
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        own["mps"] = torch.mps.get_rng_state()
    return own


def load_state(stored: dict[str, Any], device: torch.device) -> None:
    """Continue from ``stored``; the device's only where it is of the kind that they were saved on."""
    torch.set_rng_state(stored["cpu"])
    if device.type == "cuda":
        own = stored.get("cuda")
        if isinstance(own, list):  # old checkpoints have that of every device
            index = torch.cuda.current_device() if device.index is None else device.index
            own = own[index] if index < len(own) else None
        if own is not None:
            torch.cuda.set_rng_state(own, device)
    elif device.type == "mps" and "mps" in stored:
        torch.mps.set_rng_state(stored["mps"])


@contextmanager
def preserved(device: torch.device) -> Iterator[None]:
    """Whatever is drawn within the context, the random state is the same afterwards."""
    before = state(device)
    try:
        yield
    finally:
        load_state(before, device)
