"""How much memory a network's activations may take and do take, and how a lack of memory shows."""

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

CPU_BYTES = 400 << 20
"""What the activations of an image may take on a CPU. More gains nothing: they leave its caches long before."""

ACCELERATOR_BYTES = {"cuda": 4 << 30, "mps": 3 << 29}
"""The same by type of accelerator. More gains little, and 2³¹ elements or more in one tensor, which many of cuDNN's and
Metal's kernels cannot count, would need 4 GiB in bf16."""

UNCHECKED_PX = 1 << 16
"""Images up to this size are computed whole without asking; the widest network here needs half a gigabyte."""

HEAP_BYTES = 400 << 20
"""What glibc keeps, at most, of activations that are freed: up to as much again as they take at once.

Blocks below 32 MiB come from its heap, which shrinks from its end alone, and blocks of many sizes split it (compact
restoration at 1328 px a side: 444 MB for 242 of activations). Without the heap the peak is that of the activations, at
half as much time again.
"""

ALLOWANCE = 1.2
"""For what convolutions take besides their outputs."""

_SHARE = 0.8
_UNKNOWN_BYTES = 2 << 30
_TOO_LARGE = (
    *("cuDNN", "CUDNN_STATUS", "unable to find an engine"),
    *("INT_MAX", "32BitIndexMath", "32 bit", "32-bit"),
)


class Memory(Protocol):
    """The memory that a network computes in."""

    @property
    def unchecked_px(self) -> int:
        """Images up to this size are computed without asking."""
        ...

    def preferred_bytes(self) -> int:
        """What activations may take where an image can be cut."""
        ...

    def free_bytes(self) -> int:
        """What they may take at most."""
        ...

    def claim(self, wanted_bytes: int) -> None:
        """Raise MemoryError when there is less than this."""
        ...

    def release(self) -> None:
        """Give back cached memory, after something did not fit."""
        ...


@dataclass(frozen=True)
class CpuMemory:
    """The memory of this computer or container."""

    unchecked_px: int = UNCHECKED_PX

    def preferred_bytes(self) -> int:
        return min(CPU_BYTES, self.free_bytes())

    def free_bytes(self) -> int:
        free = int(_SHARE * min(_available_bytes(), default=_UNKNOWN_BYTES))
        return max(free // 2, free - HEAP_BYTES)

    def claim(self, wanted_bytes: int) -> None:
        # Linux promises memory that it does not have and kills the process that uses it, so this is asked first.
        if wanted_bytes > self.free_bytes():
            raise MemoryError

    def release(self) -> None:
        return


@dataclass(frozen=True)
class AcceleratorMemory:
    """The memory of a GPU. Its allocator reports a lack of memory itself, but asking first is cheaper."""

    device: torch.device
    unchecked_px: int = UNCHECKED_PX

    def preferred_bytes(self) -> int:
        return min(ACCELERATOR_BYTES[self.device.type], self.free_bytes())

    def free_bytes(self) -> int:
        if self.device.type == "mps":
            return int(_SHARE * (torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
        cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(_SHARE * (torch.cuda.mem_get_info(self.device)[0] + cached))

    def claim(self, wanted_bytes: int) -> None:
        if wanted_bytes > self.free_bytes() / _SHARE:
            raise MemoryError

    def release(self) -> None:
        (torch.mps if self.device.type == "mps" else torch.cuda).empty_cache()


def memory_of(device: torch.device) -> Memory:
    """The memory of a device."""
    return CpuMemory() if device.type == "cpu" else AcceleratorMemory(device)


def may_be_too_large(error: BaseException) -> bool:
    """Whether a kernel may have failed because its input was large: out of memory, or beyond what it can count."""
    too_large = isinstance(error, RuntimeError) and any(text in str(error) for text in _TOO_LARGE)
    return too_large or is_out_of_memory(error)


def _available_bytes() -> Iterator[int]:
    """What the system has left, and what the limits of a container leave."""
    meminfo, cgroup = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.is_file():
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        yield int(rows["MemAvailable"].split()[0]) * 1024
    elif "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", ()):
        yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder, limit, usage, cache in (
        (cgroup, "memory.max", "memory.current", "inactive_file"),
        (cgroup / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if all((folder / name).is_file() for name in (limit, usage, "memory.stat")):
            most, used, statistics = ((folder / name).read_text() for name in (limit, usage, "memory.stat"))
            if most.strip().isdigit():  # else there is no limit
                cached = dict(row.split() for row in statistics.splitlines()).get(cache, "0")
                yield int(most) - int(used) + int(cached)


def bytes_per_px(network: Callable[[Tensor], Tensor], channels: int, side_px: int, device: torch.device) -> float:
    """Bytes of a network's activations per input pixel, by running it on two small images.

    ``side_px`` is a side that the network takes. What does not grow with the image does not count.
    """

    def peak_bytes(width_px: int) -> int:
        image, counter = torch.zeros(1, channels, side_px, width_px, device=device), _ActivationCounter()
        with torch.inference_mode():
            network(image)  # what is prepared once is no activation
            with counter:
                output = network(image)
        return counter.peak_bytes + image.nbytes + output.nbytes

    small, large = peak_bytes(side_px), peak_bytes(2 * side_px)
    return ALLOWANCE * (large - small) / side_px**2


class _ActivationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of what operations return, for as long as it is referred to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak_bytes = 0
        self._alive = set[int]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        returned = func(*args, **(kwargs or {}))
        for tensor in returned if isinstance(returned, Iterable) and not isinstance(returned, Tensor) else (returned,):
            if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
                continue
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self._alive:
                self._alive.add(key)
                self.bytes += size
                self.peak_bytes = max(self.peak_bytes, self.bytes)
                weakref.finalize(storage, self._remove, key, size)
        return returned

    def _remove(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.bytes -= size
