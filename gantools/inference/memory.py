"""How much a network may take while it runs, and how it is told that there is no more."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gantools.devices import is_out_of_memory

COMFORTABLE_BYTES = 400 << 20
"""What a picture's features may take on a processor. More gains nothing: they leave its caches long before."""

ACCELERATOR_BYTES = {"cuda": 4 << 30, "mps": 3 << 29}
"""The same on an accelerator, by its type. More gains little, and 2³¹ elements or more in one tensor, which many of
cuDNN's and Metal's kernels cannot count, would need 4 GiB in bf16."""

UNCHECKED_PX = 1 << 16
"""Pictures up to this size are computed whole without asking; the widest network here needs half a gigabyte."""

HEAP_BYTES = 400 << 20
"""What glibc keeps, at most, of features that are given back: up to as much again as they take at once.

Blocks below 32 MiB come from its heap, which shrinks from its end alone, and blocks of many sizes split it (compact
restoration at 1328 px a side: 444 MB for 242 of features). Without the heap the peak is the features', at half as much
time again.
"""

_SHARE = 0.8
_UNKNOWN_BYTES = 2 << 30
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


class Memory(Protocol):
    """The memory that a network computes in."""

    @property
    def unchecked_px(self) -> int:
        """Pictures up to this size are not worth a question."""
        ...

    def preferred_bytes(self) -> int:
        """What features may take where there is a choice."""
        ...

    def free_bytes(self) -> int:
        """What they may take at most."""
        ...

    def claim(self, wanted_bytes: int) -> None:
        """Raise MemoryError when so much is not there."""
        ...

    def release(self) -> None:
        """Give back what is kept for later, after something did not fit."""
        ...


@dataclass(frozen=True)
class CpuMemory:
    """The computer's own memory, or the container's."""

    unchecked_px: int = UNCHECKED_PX

    def preferred_bytes(self) -> int:
        return min(COMFORTABLE_BYTES, self.free_bytes())

    def free_bytes(self) -> int:
        free = int(_SHARE * min(_available_bytes(), default=_UNKNOWN_BYTES))
        return max(free // 2, free - HEAP_BYTES)

    def claim(self, wanted_bytes: int) -> None:
        # Linux promises what it does not have and ends the process that uses it, so the question comes first.
        if wanted_bytes > self.free_bytes():
            raise MemoryError

    def release(self) -> None:
        return


@dataclass(frozen=True)
class AcceleratorMemory:
    """An accelerator's memory. Its allocator says itself when there is no more, but asking first costs less."""

    device: torch.device
    unchecked_px: int = UNCHECKED_PX

    def preferred_bytes(self) -> int:
        return min(ACCELERATOR_BYTES[self.device.type], self.free_bytes())

    def free_bytes(self) -> int:
        if self.device.type == "mps":
            return int(_SHARE * (torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(_SHARE * (torch.cuda.mem_get_info(self.device)[0] + kept))

    def claim(self, wanted_bytes: int) -> None:
        if wanted_bytes > self.free_bytes() / _SHARE:
            raise MemoryError

    def release(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def memory_of(device: torch.device) -> Memory:
    """The memory of a device."""
    return CpuMemory() if device.type == "cpu" else AcceleratorMemory(device)


def may_be_too_large(error: BaseException) -> bool:
    """Whether a kernel may have failed for the size of what it was given, memory or not."""
    return is_out_of_memory(error) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in _PERHAPS_TOO_LARGE)
    )


_PERHAPS_TOO_LARGE = (
    "cuDNN",
    "CUDNN_STATUS",
    "unable to find an engine",
    "INT_MAX",
    "32BitIndexMath",
    "32 bit",
    "32-bit",
)


def _available_bytes() -> Iterator[int]:
    """What the system says is left, and what a container's limit leaves."""
    if _MEMINFO.is_file():
        rows = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        yield int(rows["MemAvailable"].split()[0]) * 1024
    elif "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", ()):
        yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield from _container_bytes("memory.max", "memory.current", "memory.stat", "inactive_file")
    yield from _container_bytes(
        "memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"
    )


def _container_bytes(limit: str, used: str, statistics: str, reclaimable: str) -> Iterator[int]:
    """A control group's limit less what is used and could not be given back; nothing where there is no limit."""
    paths = [_CGROUP / name for name in (limit, used, statistics)]
    if not all(path.is_file() for path in paths):
        return
    most, taken, rows = (path.read_text() for path in paths)
    if most.strip().isdigit():
        cached = dict(row.split() for row in rows.splitlines()).get(reclaimable, "0")
        yield int(most) - int(taken) + int(cached)


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
