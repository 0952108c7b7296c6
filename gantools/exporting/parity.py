"""Whether an exported file computes what the network does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantools.errors import GantoolsError
from gantools.exporting.baked import seeded
from gantools.exporting.graph import Run

TOLERANCE = 1e-4
"""Largest difference in float32, where colours are -1 to 1."""

HALF_TOLERANCE = 5e-2
"""The same in float16, of noise: six levels of 255. Deep networks differ so much at single pixels."""


@dataclass(frozen=True)
class Difference:
    """How far a file's result is from the network's for one input, which is ``shape``.

    ``largest`` is in the network's range, where 2 is from black to white; of 8-bit images a level is 2/255, of which
    the mean counts: what lies on the border between two levels may fall to either side.
    """

    shape: tuple[int, ...]
    largest: float
    engine: str

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.shape))}: {self.largest:.1e}"


class DifferentResult(GantoolsError):
    """An exported file makes something else than the network."""


def differences(
    run: Run, engine: str, network: Callable[..., Tensor], inputs: Iterable[Sequence[Tensor]]
) -> list[Difference]:
    """How far what the file makes of each of ``inputs`` is from what the network makes."""
    found = []
    for given in inputs:
        with torch.inference_mode():
            made, wanted = run(*given), network(*given)
        if made.shape != wanted.shape or made.dtype != wanted.dtype:
            largest = float("inf")
        elif made.dtype == torch.uint8:
            apart = (made.int() - wanted.int()).abs().float() * (2 / 255)
            largest = float(apart.mean() if apart.max() <= 2 / 255 else apart.max())
        else:
            largest = float((made - wanted).abs().max())
        found.append(Difference(tuple(given[0].shape), largest, engine))
    return found


def require(found: Sequence[Difference], tolerance: float) -> None:
    """Raise DifferentResult where a difference is above ``tolerance``, or no number."""
    for each in found:
        if not each.largest <= tolerance:
            raise DifferentResult(
                f"{each.engine} makes something else of {'×'.join(map(str, each.shape))} than the network: it differs "
                f"by {each.largest:.1e}, more than {tolerance:g}; nothing was written"
            )


def one_by_one(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network on each image of a batch alone, dropout drawn anew for each, as ``infer`` runs it."""

    def run(images: Tensor) -> Tensor:
        made = []
        for image in torch.split(images, 1):
            with seeded():
                made.append(network(image))
        return torch.cat(made)

    return run
