"""What a network's features take: measured once on a small picture, so that no network has to be known."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Network = Callable[[Tensor], Tensor]

ALLOWANCE = 1.2
"""For what convolutions take besides their results. What the C library keeps is the memory's affair (``memory``)."""


def bytes_per_px(network: Network, channels: int, side_px: int, device: torch.device) -> float:
    """Bytes of features alive at once, per pixel of the input.

    ``side_px`` is a side that the network takes. What does not grow with the picture does not count.
    """
    small, large = (
        _peak_bytes(network, torch.zeros(1, channels, side_px, width_px, device=device))
        for width_px in (side_px, 2 * side_px)
    )
    return ALLOWANCE * (large - small) / side_px**2


def _peak_bytes(network: Network, image: Tensor) -> int:
    ledger = _Ledger()
    with torch.inference_mode():
        network(image)  # what is prepared once is no feature
        with ledger:
            made = network(image)
    return ledger.most + image.nbytes + made.nbytes


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of what operations return for as long as somebody holds it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known = set[int]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        returned = func(*args, **(kwargs or {}))
        for tensor in returned if isinstance(returned, Iterable) and not isinstance(returned, Tensor) else (returned,):
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided:
                self._enter(tensor.untyped_storage())
        return returned

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
