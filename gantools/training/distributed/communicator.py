"""Several processes train one run, each on its own part of every global batch: the one place that talks to the others.

Tensors of a CUDA device go through NCCL, everything else through gloo, so that no exchange of a flag or a figure makes
a device wait.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from gantools.errors import GantoolsError, PeerError
from gantools.training.distributed import rank_info
from gantools.training.distributed.rank_info import Alone, Place, Ranks
from gantools.training.distributed.waiting import Watch

T = TypeVar("T")

# Long enough for the slowest thing that one rank does while the others wait, such as writing a checkpoint.
PATIENCE = timedelta(minutes=10)
WORD_SECONDS = 3.0
# After how long a wait is told: others start within seconds; while they save or validate, nobody need hear of it.
MEETING_SECONDS = 4.0
TOGETHER_SECONDS = 60.0
BUCKET_BYTES = 32 << 20
_WORD = "why a rank gave up"


def join(device: torch.device) -> Ranks:
    """Meet the other processes of ``torchrun`` or ``--nproc``. Raises PeerError when they do not come."""
    where = rank_info.place()
    if where.count == 1:
        return Alone()
    if _Meeting.ranks is None:
        _Meeting.watch = Watch()
        with _meeting(where), _peers_needed(None):
            met, rank, count = next(rendezvous("env://", timeout=PATIENCE))
            met.set_timeout(PATIENCE)
            # torchrun keeps one store for all its attempts: the addresses of ranks that are gone are still in it.
            store = PrefixStore(f"attempt {rank_info.attempt()}", met)
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
        _Meeting.ranks = Together(where, store)
    return _Meeting.ranks


def part() -> None:
    """End the meeting, after all ranks are done."""
    if _Meeting.ranks is not None:
        with _peers_needed(None):
            dist.barrier()
        dist.destroy_process_group()
        _Meeting.ranks = None
    if _Meeting.watch is not None:
        _Meeting.watch.stop()
        _Meeting.watch = None


def count() -> int:
    """How many processes have met."""
    return _Meeting.ranks.place.count if _Meeting.ranks else 1


def mean(values: Tensor) -> Tensor:
    """The ranks' mean of a tensor, as a new one. Raises PeerError."""
    assert _Meeting.ranks is not None
    made = values.detach().clone(memory_format=torch.contiguous_format)
    _Meeting.ranks.average([made])
    return made


class _Meeting:
    """The processes meet once, however many runs they train."""

    ranks: Together | None = None
    watch: Watch | None = None


@contextmanager
def _meeting(where: Place) -> Iterator[None]:
    """Within the context this process waits for the others to come; the first signal ends it."""
    others = f"the other {where.count - 1} of {where.count} processes" if where.count > 2 else "the other process"
    place = ":".join(os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT"))
    assert _Meeting.watch is not None
    with _Meeting.watch.waiting(f"{others} at {place}", said_after_seconds=MEETING_SECONDS, ends_at=1):
        yield


class Together:
    """One of several processes."""

    def __init__(self, where: Place, store: Store) -> None:
        self.place, self._store = where, store

    def begin_alike(self, networks: Iterable[nn.Module]) -> None:
        tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
        with _peers_needed(self._store), torch.no_grad():
            for tensor in tensors:
                sent = tensor.detach().contiguous()
                dist.broadcast(sent, src=0)
                tensor.copy_(sent)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        self.average([one.grad for one in parameters if one.grad is not None])

    def average_statistics(self, networks: Iterable[nn.Module]) -> None:
        wanted = ("running_mean", "running_var")
        buffers = [buffer for network in networks for name, buffer in network.named_buffers() if name.endswith(wanted)]
        if buffers:
            # In double precision the mean of equal numbers is that number, so that resting networks stay as they are.
            wide = [buffer.double() for buffer in buffers]
            self.average(wide)
            torch._foreach_copy_(buffers, wide)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their means, in buckets: one is copied while another one travels."""
        with _peers_needed(self._store):
            travelling: _Sent | None = None
            for bucket in buckets(tensors):
                sent = _Sent(bucket)
                if travelling:
                    travelling.receive(self.place.count)
                travelling = sent
            if travelling:
                travelling.receive(self.place.count)

    def means(self, values: Mapping[str, float]) -> dict[str, float]:
        total = torch.tensor(list(values.values()), dtype=torch.float64)
        with _peers_needed(self._store):
            dist.all_reduce(total)
        return dict(zip(values, (total / self.place.count).tolist(), strict=True))

    def largest(self, number: int) -> int:
        shared = torch.tensor(number)
        with _peers_needed(self._store):
            dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def told_by_first(self, make: Callable[[], T]) -> T:
        told: list[Any] = [None, None]
        if not self.place.is_first:
            with _peers_needed(self._store):
                dist.broadcast_object_list(told, src=0)
            if told[1] is not None:
                raise PeerError(told[1])
            result: T = told[0]
            return result
        try:
            made = make()
        except (GantoolsError, OSError) as error:
            with suppress(RuntimeError):
                dist.broadcast_object_list([None, f"rank 0: {error}"], src=0)
            raise
        with _peers_needed(self._store):
            dist.broadcast_object_list([made, None], src=0)
        return made

    def gathered(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.place.count
        with _peers_needed(self._store):
            dist.all_gather_object(values, value)
        return values

    def collected(self, value: T) -> list[T]:
        values: list[Any] | None = [None] * self.place.count if self.place.is_first else None
        with _peers_needed(self._store):
            dist.gather_object(value, values, dst=0)
        return values or []

    def dealt(self, values: list[Any]) -> Any:
        mine: list[Any] = [None]
        with _peers_needed(self._store):
            dist.scatter_object_list(mine, values if self.place.is_first else None, src=0)
        return mine[0]

    def give_up(self, reason: str) -> None:
        with suppress(RuntimeError):  # the rank that kept the word may be gone itself
            self._store.set(_WORD, f"rank {self.place.rank}: {reason}")


class _Sent:
    """Tensors on their way to every rank, as one."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self._tensors = tensors
        self._flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._work = dist.all_reduce(self._flat, async_op=True)

    def receive(self, count: int) -> None:
        """Wait for the sum, and put the mean of ``count`` ranks where the tensors were."""
        assert self._work is not None
        self._work.wait()
        parts = torch.split(self._flat.div_(count), [tensor.numel() for tensor in self._tensors])
        views = [part.view(tensor.shape) for part, tensor in zip(parts, self._tensors, strict=True)]
        torch._foreach_copy_(self._tensors, views)


def buckets(tensors: list[Tensor], largest_bytes: int = BUCKET_BYTES) -> Iterator[list[Tensor]]:
    """The tensors in their order, a bucket ending where it holds ``largest_bytes``."""
    edges, held = [0], 0
    for number, tensor in enumerate(tensors):
        held += tensor.numel() * tensor.element_size()
        if held >= largest_bytes:
            edges, held = [*edges, number + 1], 0
    for first, end in pairwise([*edges, len(tensors)]):
        if first < end:
            yield tensors[first:end]


@contextmanager
def _peers_needed(store: Store | None) -> Iterator[None]:
    """Within the context a failure is another rank's absence; it is told with that rank's own words, if it left any."""
    try:
        with _waiting() if store else nullcontext():
            yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise PeerError(_word(store) or f"another rank is gone ({_reason(error)})") from error


@contextmanager
def _waiting() -> Iterator[None]:
    """Within the context this process waits for the others to do their part. The first signal is one to save and stop
    after the step, for which the others are needed; the second one ends the process."""
    if _Meeting.watch is None:
        yield
        return
    with _Meeting.watch.waiting("the other processes", said_after_seconds=TOGETHER_SECONDS, ends_at=2):
        yield


def _reason(error: RuntimeError) -> str:
    """The first sentence of what torch says, without the line of its source."""
    return re.sub(r"^\[\S*\] *", "", " ".join(str(error).split())).partition(". ")[0][:200]


def _word(store: Store | None) -> str | None:
    deadline = time.monotonic() + WORD_SECONDS
    while store is not None:
        try:
            if store.check([_WORD]):
                return str(store.get(_WORD), "utf-8")
        except RuntimeError:  # it was kept by the rank that is gone
            return None
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return None
