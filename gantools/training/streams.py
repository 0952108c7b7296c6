"""The random streams of the process (initial weights, dropout): saved, restored, and shielded from side work."""

from __future__ import annotations

from typing import Any

import torch

from gantools.data import seeds

_RANKS = 1 << 10  # the side streams before it belong to recipes


def seed(number: int) -> None:
    """Start every stream from one seed."""
    torch.manual_seed(number)


def part(number: int, rank: int, step: int) -> None:
    """Give each rank streams of its own at ``step``, once the first weights are made; the first one's go on."""
    if rank:
        torch.manual_seed(seeds.side_stream(number, (step << 20) + _RANKS + rank))


def state() -> dict[str, Any]:
    """The streams' state, for a checkpoint."""
    return {
        "cpu": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else [],
    }


def load_state(stored: dict[str, Any]) -> None:
    """Continue the streams from ``stored``; CUDA streams only where the number of devices is the same."""
    torch.set_rng_state(stored["cpu"])
    if torch.cuda.is_available() and len(stored["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(stored["cuda"])
