"""Means of tensors over the ranks, in buckets, and of gradients while backward is still computing others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

T = TypeVar("T", bound=Tensor)

BUCKET_BYTES = 1 << 20


class Reduction:
    """Tensors being summed over the ranks, as one."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self._tensors = tensors
        self._flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._work = dist.all_reduce(self._flat, async_op=True)

    def finish(self, world_size: int) -> None:
        """Wait for the sum, and put the mean where the tensors were."""
        assert self._work is not None
        self._work.wait()
        parts = torch.split(self._flat.div_(world_size), [tensor.numel() for tensor in self._tensors])
        views = [part.view(tensor.shape) for part, tensor in zip(parts, self._tensors, strict=True)]
        torch._foreach_copy_(self._tensors, views)


class GradientExchange:
    """Sums gradients over the ranks while backward computes others: a bucket is sent as soon as it is complete.

    Buckets hold the parameters from the last to the first, as backward completes them, and are sent in this order on
    every rank. ``finish`` sends those that never became complete; what has no gradient then is left out.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], sending: Callable[[], AbstractContextManager[None]]) -> None:
        """``sending`` is entered around each call that needs the other ranks."""
        self._sending = sending
        self._buckets = list(buckets([one for one in reversed(list(parameters)) if one.requires_grad], BUCKET_BYTES))
        self._bucket_of = {one: number for number, bucket in enumerate(self._buckets) for one in bucket}
        self._missing = [len(bucket) for bucket in self._buckets]
        self._sent: list[Reduction | None] = []
        self._hooks: list[RemovableHandle] = [
            one.register_post_accumulate_grad_hook(self._ready)  # type: ignore[no-untyped-call]
            for one in self._bucket_of
        ]

    def _ready(self, parameter: nn.Parameter) -> None:
        self._missing[self._bucket_of[parameter]] -= 1
        while len(self._sent) < len(self._buckets) and not self._missing[len(self._sent)]:
            self._send()

    def _send(self) -> None:
        gradients = [one.grad for one in self._buckets[len(self._sent)] if one.grad is not None]
        with self._sending():
            self._sent.append(Reduction(gradients) if gradients else None)

    def finish(self, world_size: int) -> None:
        """After backward: replace each gradient by its mean over the ranks."""
        while len(self._sent) < len(self._buckets):
            self._send()
        with self._sending():
            for each in filter(None, self._sent):
                each.finish(world_size)

    def stop(self) -> None:
        """Send nothing any more."""
        for hook in self._hooks:
            hook.remove()


def buckets(tensors: list[T], largest_bytes: int) -> Iterator[list[T]]:
    """The tensors in their order, a bucket ending where it holds ``largest_bytes``."""
    edges, held = [0], 0
    for number, tensor in enumerate(tensors):
        held += tensor.numel() * tensor.element_size()
        if held >= largest_bytes:
            edges, held = [*edges, number + 1], 0
    for first, end in pairwise([*edges, len(tensors)]):
        if first < end:
            yield tensors[first:end]
