"""How pictures go through a network: the model, the arithmetic, what is asked and what memory there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gantools.checkpoint.weights import DROPOUT_SEED
from gantools.inference.augmentation import eightfold
from gantools.inference.bundle import Model
from gantools.inference.footprint import bytes_per_px
from gantools.inference.memory import Memory
from gantools.inference.striped import Steps, steps_of

measured: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, float]] = WeakKeyDictionary()
"""What the features of a pixel take, by network and arithmetic."""


@dataclass(frozen=True, eq=False)
class Way:
    """How pictures go through a network. ``tile`` and ``tta`` are those of the settings."""

    model: Model
    dtype: torch.dtype | None
    tile: int | None
    tta: bool
    memory: Memory

    @property
    def device(self) -> torch.device:
        """Where the network's weights lie."""
        return next(self.model.network.parameters()).device

    def network(self, image: Tensor) -> Tensor:
        """Run the network. Shapes: [N, C, h, w] → [N, C', scale·h, scale·w], h and w as it asks for."""
        with torch.inference_mode():
            run: Callable[[Tensor], Tensor] = self._once
            return (eightfold(run) if self.tta else run)(image)

    def steps(self) -> Steps | None:
        """The network in steps on rows, if it can be. The mean over turns needs pictures that are not taken apart."""
        return None if self.tta else steps_of(self.model, self.dtype)

    def bytes_of(self, seen_px: int) -> int:
        """What the features of so many pixels take; nothing for so few that it does not matter."""
        return 0 if seen_px <= self.memory.carefree_px else int(seen_px * self.bytes_per_px())

    def bytes_per_px(self) -> float:
        """What the features of a pixel take."""
        known = measured.setdefault(self.model.network, {})
        if self.dtype not in known:
            says = self.model.generator
            side_px = -(-max(16, says.minimum_size_px) // says.size_multiple) * says.size_multiple
            known[self.dtype] = bytes_per_px(self._uncompiled, self.model.options.in_channels, side_px, self.device)
        return known[self.dtype]

    def _uncompiled(self, image: Tensor) -> Tensor:
        return self.model.runnable.form(self.dtype)(image).float()

    def _once(self, image: Tensor) -> Tensor:
        """Dropout, where a network keeps it, draws the same numbers for every picture, whatever came before."""
        devices, training = [image.device] if image.device.type == "cuda" else [], self.model.network.training
        with torch.random.fork_rng(devices, enabled=training):
            if training:
                torch.manual_seed(DROPOUT_SEED)
            return self.model.runnable(image, self.dtype)
