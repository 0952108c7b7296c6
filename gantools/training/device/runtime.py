"""What a run computes with: device, precision, memory layout, and the other processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from gantools.devices import choose_device, has_bf16
from gantools.errors import UsageError
from gantools.training.device import compile
from gantools.training.device.compile import CompileName
from gantools.training.distributed import rank_info
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.distributed.rank_info import RankInfo

Precision = Literal["fp32", "bf16", "fp16"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
_TYPES: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """A device with the precision and memory layout of its networks, and the processes that train the same run."""

    device: torch.device
    precision: Precision
    channels_last: bool = False
    ranks: ProcessGroup = field(default_factory=ProcessGroup)
    compiled: CompileName = "off"

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which networks and losses are computed."""
        return nullcontext() if self.precision == "fp32" else torch.autocast(self.device.type, _TYPES[self.precision])

    def compile(self, networks: Mapping[str, nn.Module], composed: Mapping[str, nn.Module]) -> None:
        """Let a recipe's networks be compiled, where the run wants that."""
        compile.prepare(compile.roots(networks, composed), self.compiled)

    def begin_step(self) -> None:
        """Let cuDNN try its algorithms, once for each shape, and CUDA graphs reuse the memory of the last results."""
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        if self.compiled == "graphs":
            compile.begin_step()

    @contextmanager
    def any_size(self) -> Iterator[None]:
        """The context for images of other sizes than in training: nothing is compiled or tried for them."""
        kept, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False
        try:
            with nullcontext() if self.compiled == "off" else compile.eagerly():
                yield
        finally:
            torch.backends.cudnn.benchmark = kept

    def scaler(self) -> torch.amp.GradScaler:
        """A loss scaler; it does nothing but in fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device in the run's layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return network.to(self.device, memory_format=layout)  # type: ignore[call-overload,no-any-return]

    def place_frozen(self, network: nn.Module) -> None:
        """Move a network that never learns. Its convolutions keep the type in which autocast computes them.

        Autocast remembers what it converts for a step only of weights that learn.
        """
        for layer in self.place(network).modules():
            if isinstance(layer, nn.Conv2d):
                layer.to(_TYPES[self.precision])

    @property
    def waits_for_values(self) -> bool:
        """True where reading a loss makes the host wait for a queue (CUDA, MPS)."""
        return self.device.type != "cpu"


def choose(
    device: str,
    precision: PrecisionName,
    memory_format: str = "contiguous",
    compiled: CompileName | Literal["auto"] = "off",
) -> Runtime:
    """The runtime for ``--device`` and ``--precision``. Raises UsageError when this computer lacks it.

    ``auto`` is fp32 on a CPU, where ``precision.settle`` measures, contiguous, and uncompiled until ``graphs.settle``.
    Of several processes on this computer each has a CUDA device of its own.
    """
    found = _choose_device(device, rank_info.current())
    if compiled == "auto":
        compiled = "off"
    if compiled != "off" and (reason := compile.obstacle(found)):
        warnings.warn(f"train.compile: {reason}; training without", stacklevel=2)
        compiled = "off"
    # On Metal the backward pass of BatchNorm is wrong for channels_last (PyTorch issue 175189).
    layout = memory_format == "channels_last" and found.type != "mps"
    if precision == "auto":
        precision = "bf16" if found.type != "cpu" and has_bf16(found) else "fp32"
    return Runtime(found, precision, layout, compiled=compiled)


def _choose_device(name: str, info: RankInfo) -> torch.device:
    found = choose_device(name)
    if info.world_size == 1 or found.type == "cpu":
        return found
    here, present = info.local_world_size, torch.cuda.device_count()
    if found.type != "cuda" or found.index is not None:
        raise UsageError(
            f"--device {name}: {info.world_size} processes train on cpu, or each on a CUDA device of its own"
        )
    if here > present:
        raise UsageError(
            f"{here} processes on this computer, which has {present} CUDA devices; "
            f"start {present} (--nproc {present}), or add --device cpu"
        )
    torch.cuda.set_device(info.local_rank)
    return torch.device("cuda", info.local_rank)
