"""Computing a network stripe by stripe: every row of every step once, and no more rows kept than are still needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from gantools.inference.graph import Graph, Step

Rows: TypeAlias = Callable[[int, int], Tensor]
"""Rows ``start`` to ``stop`` of something that is known. Shapes: → [1, C, stop - start, W]."""


@dataclass(frozen=True)
class Stripe:
    """New rows of a step: ``start`` to ``start`` plus their number."""

    step: int
    start: int
    made: Tensor


class Sweep:
    """One way through the picture, from what is known to one step of the network."""

    def __init__(self, graph: Graph, target: int, known: Mapping[int, Rows], runs: Mapping[int, Callable[..., Tensor]]):
        self.steps, self.target, self.known, self.runs = graph.steps, target, known, runs
        self.order = steps_between(graph, target, known)
        self.users = {
            number: [user for user in self.order if number in self.steps[user].inputs] for number in self.order
        }
        self.ends = dict.fromkeys(self.order, 0)
        self.windows: dict[int, tuple[int, Tensor]] = {}

    def stripes(self, height_px: int, stripe_px: int) -> Iterator[Stripe]:
        """All rows of every step on the way, in stripes of about ``stripe_px`` rows of the network's input."""
        ratio = self.steps[self.target].ratio
        for stop_px in range(stripe_px, height_px + stripe_px, stripe_px):
            stops = self._stops(int(min(stop_px, height_px) * ratio), height_px)
            for number in self.order:
                if stops[number] > self.ends[number]:
                    yield self._made(number, stops[number], height_px)
            self._forget()

    def _stops(self, stop: int, height_px: int) -> dict[int, int]:
        """How far every step has to go for the target to get to ``stop``."""
        stops = {**self.ends, self.target: stop}
        for number in reversed(self.order):
            if stops[number] <= self.ends[number]:
                continue
            step = self.steps[number]
            for given in step.inputs:
                if given in stops:
                    wanted = min(step.needs(self.ends[number], stops[number])[1], _length(self.steps[given], height_px))
                    stops[given] = max(stops[given], wanted)
        return stops

    def _made(self, number: int, stop: int, height_px: int) -> Stripe:
        step, start = self.steps[number], self.ends[number]
        first, last = step.needs(start, stop)
        first, last = max(0, first), min(last, _length(self.steps[step.inputs[0]], height_px))
        made = self.runs.get(number, step.run)(*(self._rows(given, first, last) for given in step.inputs))
        skipped = start - int(first * step.factor)
        made = made[:, :, skipped : skipped + stop - start]
        self._keep(number, start, made)
        self.ends[number] = stop
        return Stripe(number, start, made)

    def _rows(self, number: int, first: int, last: int) -> Tensor:
        if number in self.known:
            return self.known[number](first, last)
        start, window = self.windows[number]
        return window[:, :, first - start : last - start]

    def _keep(self, number: int, start: int, made: Tensor) -> None:
        if number in self.windows:
            first, window = self.windows[number]
            self.windows[number] = first, torch.cat((window, made), dim=2)
        else:
            self.windows[number] = start, made

    def _forget(self) -> None:
        """Drop the rows that no later stripe needs."""
        for number, (first, window) in list(self.windows.items()):
            end = self.ends[number]
            wanted = [self.steps[user].needs(self.ends[user], self.ends[user] + 1)[0] for user in self.users[number]]
            keep = min(end, max(first, min(wanted, default=end)))
            if keep > first:
                # A copy, because a view would hold the whole stripe.
                self.windows[number] = keep, window[:, :, keep - first :].clone()


def steps_between(graph: Graph, target: int, known: Mapping[int, Rows]) -> list[int]:
    """The steps between what is known and the target, in the order of their computation."""
    wanted, waiting = set[int](), [target]
    while waiting:
        number = waiting.pop()
        if number not in known and number not in wanted:
            wanted.add(number)
            waiting += graph.steps[number].inputs
    return sorted(wanted)


def _length(step: Step, height_px: int) -> int:
    return int(height_px * step.ratio)
