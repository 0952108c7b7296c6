"""Where and in what arithmetic a run computes: device, autocast, memory layout, and who else computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from gantools.devices import choose_device, has_bf16
from gantools.errors import UsageError
from gantools.training import ranks
from gantools.training.ranks import Alone, Place, Ranks

PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Machine:
    """A device with the arithmetic and layout networks use on it, and the other processes that train the same run."""

    device: torch.device
    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool = False
    ranks: Ranks = field(default_factory=Alone)

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which networks and losses are computed."""
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """A loss scaler; it does nothing but in fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device in the run's layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return network.to(self.device, memory_format=layout)  # type: ignore[call-overload,no-any-return]

    @property
    def waits_for_values(self) -> bool:
        """True where reading a loss makes the host wait for a queue (CUDA, MPS)."""
        return self.device.type != "cpu"


def choose(device: str, precision: PrecisionName, memory_format: str = "contiguous") -> Machine:
    """The machine for ``--device`` and ``--precision``. Raises UsageError when this computer lacks it.

    Of several processes on this computer each has a CUDA device of its own.
    """
    found = _choose_device(device, ranks.place())
    return Machine(found, _choose_precision(found, precision), memory_format == "channels_last")


def _choose_device(name: str, where: Place) -> torch.device:
    found = choose_device(name)
    if where.count == 1 or found.type == "cpu":
        return found
    here, present = where.local_count, torch.cuda.device_count()
    if found.type != "cuda" or found.index is not None:
        raise UsageError(f"--device {name}: {where.count} processes train on cpu, or each on a CUDA device of its own")
    if here > present:
        raise UsageError(
            f"{here} processes on this computer, which has {present} CUDA devices; "
            f"start {present} (--nproc {present}), or add --device cpu"
        )
    torch.cuda.set_device(where.local_rank)
    return torch.device("cuda", where.local_rank)


def _choose_precision(device: torch.device, precision: PrecisionName) -> Literal["fp32", "bf16", "fp16"]:
    if precision != "auto":
        return precision
    return "bf16" if has_bf16(device) else "fp32"
