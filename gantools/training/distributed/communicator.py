"""The process group: the one place where the processes that train a run together talk to each other.

Every rank makes the same calls in the same order. With one process each call returns at once. Tensors of a CUDA device
go through NCCL, everything else through gloo, so that exchanging a flag or a metric makes no device wait.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from gantools.errors import GantoolsError, PeerError
from gantools.training.distributed import rank_info
from gantools.training.distributed.rank_info import RankInfo
from gantools.training.distributed.reduction import BUCKET_BYTES, GradientExchange, Reduction, buckets
from gantools.training.stopping import existing_signals

T = TypeVar("T")

TIMEOUT = timedelta(minutes=10)
"""Long enough for the slowest thing that one rank does while the others wait, such as writing a checkpoint."""
REPORT_WAIT_AFTER_SECONDS = 4.0
FAILURE_SECONDS = 3.0
"""How long the reason why another rank is gone may take to arrive."""
FAILURE_KEY = "why a rank failed"


class ProcessGroup:
    """The processes that train a run. Every method raises PeerError when another rank is gone."""

    def __init__(self, info: RankInfo | None = None, store: Store | None = None) -> None:
        """Without ``store`` one process trains."""
        self.info, self._store = info or RankInfo(), store
        self.rank, self.world_size, self.is_main = self.info.rank, self.info.world_size, self.info.is_main

    def broadcast_weights(self, networks: Iterable[nn.Module]) -> None:
        """Give every rank the parameters and buffers of rank 0."""
        if self._store is None:
            return
        tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
        with self._peers_needed(), torch.no_grad():
            for tensor in tensors:
                sent = tensor.detach().contiguous()
                dist.broadcast(sent, src=0)
                tensor.copy_(sent)

    @contextmanager
    def averaging(self, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
        """Around a backward pass: each gradient becomes its mean over the ranks, exchanged while the pass runs on."""
        if self._store is None:
            yield
            return
        exchange = GradientExchange(parameters, self._peers_needed)
        try:
            yield
        finally:
            exchange.stop()
        exchange.finish(self.world_size)

    def average_statistics(self, networks: Iterable[nn.Module]) -> None:
        """Replace the running statistics of batch norms by their means over the ranks."""
        if self._store is None:
            return
        wanted = ("running_mean", "running_var")
        buffers = [buffer for network in networks for name, buffer in network.named_buffers() if name.endswith(wanted)]
        if buffers:
            # In double precision the mean of equal numbers is that number, so that frozen networks stay as they are.
            wide = [buffer.double() for buffer in buffers]
            self.average(wide)
            torch._foreach_copy_(buffers, wide)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their means over the ranks, in buckets: one is copied back while the next is sent."""
        if self._store is None:
            return
        with self._peers_needed():
            sent: Reduction | None = None
            for bucket in buckets(tensors, BUCKET_BYTES):
                previous, sent = sent, Reduction(bucket)
                if previous:
                    previous.finish(self.world_size)
            if sent:
                sent.finish(self.world_size)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over the ranks, as a new tensor."""
        result = values.detach().clone(memory_format=torch.contiguous_format)
        self.average([result])
        return result

    def all_reduce_mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of each metric over the ranks, which all have the same names."""
        if self._store is None:
            return dict(values)
        total = torch.tensor(list(values.values()), dtype=torch.float64)
        with self._peers_needed():
            dist.all_reduce(total)
        return dict(zip(values, (total / self.world_size).tolist(), strict=True))

    def all_reduce_max(self, number: int) -> int:
        """The largest of the ranks' numbers."""
        if self._store is None:
            return number
        shared = torch.tensor(number)
        with self._peers_needed():
            dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def broadcast(self, make: Callable[[], T]) -> T:
        """What ``make`` returns on rank 0, where alone it is called. Its failure is every rank's."""
        if self._store is None:
            return make()
        sent: list[Any] = [None, None]  # the value, and the error
        failure: GantoolsError | OSError | None = None
        if self.is_main:
            try:
                sent[0] = make()
            except (GantoolsError, OSError) as error:
                sent[1], failure = f"rank 0: {error}", error
        try:
            with self._peers_needed():
                dist.broadcast_object_list(sent, src=0)
        except PeerError:
            if failure is None:
                raise
        if failure is not None:
            raise failure
        if sent[1] is not None:
            raise PeerError(sent[1])
        result: T = sent[0]
        return result

    def all_gather(self, value: T) -> list[T]:
        """The value of every rank in order, on every rank."""
        if self._store is None:
            return [value]
        values: list[Any] = [None] * self.world_size
        with self._peers_needed():
            dist.all_gather_object(values, value)
        return values

    def gather(self, value: T) -> list[T]:
        """The value of every rank in order, on rank 0; an empty list on the others."""
        if self._store is None:
            return [value]
        values: list[Any] | None = [None] * self.world_size if self.is_main else None
        with self._peers_needed():
            dist.gather_object(value, values, dst=0)
        return values or []

    def report_failure(self, reason: str) -> None:
        """Leave for the other ranks the reason why this one is about to end."""
        if self._store is not None:
            with suppress(RuntimeError):  # the rank that hosts the store may be gone itself
                self._store.set(FAILURE_KEY, f"rank {self.rank}: {reason}")

    @contextmanager
    def _peers_needed(self) -> Iterator[None]:
        """Within the context a RuntimeError means that another rank is gone, for the reason it left if it left one."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # The first sentence of torch's message, without the line of its source.
            reason = re.sub(r"^\[\S*\] *", "", " ".join(str(error).split())).partition(". ")[0][:200]
            raise PeerError(self._failure() or f"another rank is gone ({reason})") from error

    def _failure(self) -> str | None:
        deadline = time.monotonic() + FAILURE_SECONDS
        while self._store is not None and time.monotonic() < deadline:
            try:
                if self._store.check([FAILURE_KEY]):
                    return str(self._store.get(FAILURE_KEY), "utf-8")
            except RuntimeError:  # the rank that hosted the store is the one that is gone
                return None
            time.sleep(0.1)
        return None


# --- joining and leaving; the processes meet once, however many runs they train

_current = ProcessGroup()


def current() -> ProcessGroup:
    """The group that was joined; a group of one before."""
    return _current


def join(device: torch.device) -> ProcessGroup:
    """Meet the other processes of ``torchrun`` or ``--nproc``. Raises PeerError when they do not come."""
    global _current
    info = rank_info.current()
    if info.world_size > _current.world_size:
        with _current._peers_needed(), _waiting_for_others(info):
            met, rank, world_size = next(rendezvous("env://", timeout=TIMEOUT))
            met.set_timeout(TIMEOUT)
            # torchrun keeps one store for all its attempts: the addresses of ranks that are gone are still in it.
            store = PrefixStore(f"attempt {rank_info.restarts()}", met)
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=TIMEOUT)
        _current = ProcessGroup(info, store)
    return _current


def leave() -> None:
    """Leave the group once all ranks are done with their training."""
    global _current
    if _current.world_size > 1:
        with _current._peers_needed():
            dist.barrier()
        dist.destroy_process_group()
        _current = ProcessGroup()


@contextmanager
def alone() -> Iterator[None]:
    """Within the context this process computes what the others do not: networks and losses ask no other rank."""
    global _current
    group, _current = _current, ProcessGroup()
    try:
        yield
    finally:
        _current = group


@contextmanager
def _waiting_for_others(info: RankInfo) -> Iterator[None]:
    """Within the context a wait that takes long is reported once, and the first signal ends the process.

    Python's own signal handlers would not run while torch waits in C++.
    """
    others = f"the other {info.world_size - 1} of {info.world_size} processes" if info.world_size > 2 else "the other"
    place = ":".join(os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT"))
    text = f"waiting for {others} at {place}; Ctrl-C stops"
    timer = threading.Timer(REPORT_WAIT_AFTER_SECONDS, lambda: warnings.warn(text, stacklevel=1))
    timer.daemon = True
    timer.start()
    in_main_thread = threading.current_thread() is threading.main_thread()
    numbers = existing_signals("SIGINT", "SIGTERM", "SIGHUP") if in_main_thread else ()
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in handled}
    try:
        yield
    finally:
        timer.cancel()
        for number, handler in previous.items():
            signal.signal(number, handler)
