"""The random streams of the process (initial weights, dropout): saved, restored, and shielded from side work."""

from __future__ import annotations

from typing import Any

import torch


def seed(number: int) -> None:
    """Start every stream from one seed."""
    torch.manual_seed(number)


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
