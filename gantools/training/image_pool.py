"""A pool of past fakes, so that a discriminator does not forget what the generator made before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gantools.data.loading import sampler


class ImagePool:
    """Keeps up to ``capacity`` past fakes and shows old ones in half of the cases.

    While the pool fills every fake is kept and shown. Afterwards a fake is shown itself, or, with probability one half,
    changes places with a random kept one. With capacity 0 every fake is shown. The choices come from a random stream of
    the pool's own: ``stream`` gives each pool of a run its own.
    Paper: Shrivastava 2017, arXiv 1612.07828; as in CycleGAN (Zhu 2017, arXiv 1703.10593), there with capacity 50.
    """

    def __init__(self, capacity: int, seed: int, stream: int = 0) -> None:
        self.capacity = capacity
        self._images: list[Tensor] = []
        self._stream = torch.Generator().manual_seed(sampler.side_stream(seed, stream))

    def __len__(self) -> int:
        return len(self._images)

    def swap(self, fakes: Tensor) -> Tensor:
        """What to show instead of ``fakes``; they are kept as they are, so the caller detaches them.

        Shapes: (N, C, H, W) → the same, on the same device.
        """
        if not self.capacity:
            return fakes
        shown = fakes.clone()
        for fake, place in zip(fakes, shown, strict=True):
            if len(self._images) < self.capacity:
                self._images.append(fake.clone())
            elif torch.rand((), generator=self._stream) < 0.5:
                kept = int(torch.randint(self.capacity, (), generator=self._stream))
                place.copy_(self._images[kept])  # also from another device, as after a resume
                self._images[kept] = fake.clone()
        return shown

    def state(self) -> dict[str, Any]:
        """The kept images and the random state, for a checkpoint."""
        return {"images": list(self._images), "stream": self._stream.get_state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state`` gave; the images move to the fakes' device when they are shown."""
        self._images = list(state["images"])
        self._stream.set_state(state["stream"])
