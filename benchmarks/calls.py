"""Calls of a training step and what makes the host wait, counted without a GPU.

    python -m benchmarks.calls [CASE…]

Prints Markdown. Steps are those of the papers' presets, on torch's meta device, which knows shapes and no values:
what reads a value there would be a wait for a GPU. Optimizers are SGD, as fused ones do not run there; like fused Adam
they are one call for each data type. "calls": ATen calls of a step, forward, backward, moving average and log, each a
kernel or less. "reads": numbers that the host waits for. "copies": values from the host, which wait unless they are
the batch. "reads of a row": those of a log row. Below, the forward pass of each generator on CUDA in bf16, on tensors
without values: calls, those that only change the type, and gigabytes read and written.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.steps import CASES, RANDOM_FEATURES, Case, built, our_play
from gantools.data.loading.batches import Batch
from gantools.training import optimizers
from gantools.training.device.runtime import Runtime
from gantools.training.ema import MovingAverage
from gantools.training.loop import FINITE
from gantools.training.monitor import finite
from gantools.training.monitor.health import Health
from gantools.training.recipe import StepInfo, exported_networks, networks_of
from gantools.training.recorder import LogWindow
from gantools.training.step import StageTrainer

META = Runtime(torch.device("meta"), "fp32")
COUNTED = (
    *CASES,
    Case("restore_gan", "restore/crappify-64", "adversarial"),
    Case("photos", "context_encoder/photos-128", "adversarial", always=(RANDOM_FEATURES,)),
)
_READS = {"item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__format__"}
_MADE = {"tensor", "as_tensor", "new_tensor"}


class Waits(TorchFunctionMode):
    """Counts what makes the host wait for the meta device, by place. Values that are read are 0."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, given = getattr(func, "__name__", ""), args[0] if args else None
        is_meta = isinstance(given, Tensor) and given.is_meta
        if is_meta and name in _READS:
            self.reads[self._place(name)] += 1
            return func(torch.zeros(given.shape, dtype=given.dtype), *args[1:], **(kwargs or {}))
        made = func(*args, **(kwargs or {}))
        there = isinstance(made, Tensor) and made.is_meta
        if name in _MADE or (name == "to" and not is_meta):
            self.copies[self._place(name)] += there
        elif name == "copy_" and there:
            self.copies[self._place(name)] += not args[1].is_meta
        return made

    @staticmethod
    def _place(name: str) -> str:
        caller = sys._getframe(2)
        return f"{caller.f_globals['__name__']}:{caller.f_lineno} {name}"


class Calls(TorchDispatchMode):
    """Counts ATen calls, but for those that only make a tensor or another name of one, and the bytes they move."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.moved_bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        is_name = func.is_view or func in (torch.ops.aten.detach.default, torch.ops.aten.empty.memory_format)
        if func.namespace == "aten" and not is_name:
            self.calls[str(func)] += 1
            given = tree_leaves((args, kwargs, made))
            self.moved_bytes += sum(one.nbytes for one in given if isinstance(one, Tensor))
        return made


class Play:
    """A stage being trained as the loop trains it, with moving average, health and log."""

    def __init__(self, trainer: StageTrainer, batch: Batch) -> None:
        self.trainer, self.batch, self.number = trainer, batch, 0
        self.networks = networks_of([trainer.stage]) | trainer.stage.frozen
        recipe = trainer.recipe
        self.average = MovingAverage(exported_networks(recipe, self.networks), 0.999)
        self.health = Health(recipe.monitored_pairs, print, self.networks)
        trainer._monitor = self.health.see
        self.window = LogWindow(0)

    def step(self) -> None:
        """As in ``Loop.fit``."""
        self.trainer.recipe.begin_step(StepInfo(self.trainer.stage.name, self.number, 1000, self.number))
        self.window.add(self.trainer.step(self.number, [self.batch], 1.0))
        self.average.update()
        self.number += 1

    def row(self) -> None:
        """As in ``Loop._log``."""
        weights = [network.state_dict() for network in self.networks.values()]
        is_finite = finite.all_finite(finite.tensors_of([weights, self.average.state()]))
        read = finite.read({**self.window.means(), **self.health.scalars(), FINITE: is_finite})
        self.health.row(self.number, self.window.take(self.number, 1, read), read)


@dataclass(frozen=True)
class Counts:
    """What was counted: in one step, and in the row after it."""

    calls: Mapping[str, int]
    reads: Mapping[str, int]
    copies: Mapping[str, int]
    row_reads: int


def counted(make: Callable[[], tuple[StageTrainer, Batch]]) -> Counts:
    """Counts of the third step of what ``make`` makes on the meta device; health looks at the first of eight."""
    with mock.patch.object(optimizers, "build", _unfused), mock.patch.object(torch, "autocast", _autocast):
        play = Play(*make())
        with Waits():
            play.step()
            play.step()
        with Waits() as waits, Calls() as calls:
            play.step()
        with Waits() as row_waits:
            play.row()
    return Counts(calls.calls, +waits.reads, +waits.copies, sum(row_waits.reads.values()))


def _autocast(device: str, *arguments: Any, **options: Any) -> AbstractContextManager[Any]:
    """The meta device has none; this one computes in float32."""
    return nullcontext() if device == "meta" else torch.amp.autocast(device, *arguments, **options)


def _unfused(options: optimizers.OptimizerOptions, networks: Any, _rates: Any = None) -> torch.optim.Optimizer:
    groups = [{"params": [*network.parameters()], "factor": 1.0} for network in networks.values()]
    return torch.optim.SGD(groups, options.lr, foreach=True)


def count(case: Case, *, small: bool = False) -> Counts:
    """The counts of a case."""
    settings = case.settings(small=small)
    return counted(lambda: our_play(settings, case.stage, META))


@contextmanager
def bf16_on_cuda() -> Iterator[None]:
    """``torch.autocast("cuda")``, which does nothing where there is none."""
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    torch.set_autocast_enabled("cuda", True)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)


def forward_on_cuda(network: nn.Module, shape: Sequence[int]) -> tuple[Tensor, Calls]:
    """What a network makes of an image on CUDA in bf16, without its values, and the calls for it."""
    kept = {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}
    with FakeTensorMode(), bf16_on_cuda():
        state = {name: torch.empty(size, dtype=dtype, device="cuda") for name, (size, dtype) in kept.items()}
        with Calls() as calls:
            made: Tensor = functional_call(network, state, (torch.empty(shape, device="cuda"),))
    return made, calls


def generators(case: Case) -> Iterator[tuple[str, Calls]]:
    """The forward pass of each generator of a case, at the sizes of its preset."""
    settings = case.settings(small=False)
    recipe, _ = built(settings, case.stage, Runtime(torch.device("cpu"), "fp32"))
    data: Any = settings.config.data
    options: Any = settings.config.model
    side_px = data.crop_px // getattr(data, "scale", 1) if case.preset.startswith("srgan") else data.crop_px
    shape = (data.batch_images, options.generator.in_channels, side_px, side_px)
    for name, network in exported_networks(recipe, networks_of(list(recipe.stages()))).items():
        yield f"{case.preset}, {name}", forward_on_cuda(network, shape)[1]


def table(rows: Mapping[str, Counts]) -> str:
    """The counts as Markdown."""
    lines = ["| step | calls | reads | copies | reads of a row |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        numbers = (sum(each.values()) for each in (row.calls, row.reads, row.copies))
        lines.append(f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} | {row.row_reads} |")
    return "\n".join(lines)


def main() -> None:
    names = [case.name for case in COUNTED]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(names))
    chosen = parser.parse_args().cases or names
    if unknown := set(chosen) - set(names):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    rows = {case.name: count(case) for case in COUNTED if case.name in chosen}
    print(table(rows))
    print("\n| generator's forward pass, bf16 | calls | casts | GB |\n|---|---|---|---|")
    forward = {name: calls for case in COUNTED if case.name in chosen for name, calls in generators(case)}
    for name, one in forward.items():
        casts = one.calls["aten._to_copy.default"]
        print(f"| {name} | {sum(one.calls.values())} | {casts} | {one.moved_bytes / 1e9:.2f} |")
    for name, row in rows.items():
        for place, number in {**row.reads, **row.copies}.items():
            print(f"{name}: {place}: {number}")


if __name__ == "__main__":
    main()
