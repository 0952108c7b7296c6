"""Computing a network stripe by stripe: every row of every step once, and no more rows kept than are still needed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
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
        self.windows: dict[int, Window] = {number: Window() for number in self.order}

    def stripes(self, height_px: int, stripe_px: int, wanted: Container[int]) -> Iterator[Stripe]:
        """All rows of the wanted steps on the way, in stripes of about ``stripe_px`` rows of the network's input."""
        ratio = self.steps[self.target].ratio
        for stop_px in range(stripe_px, height_px + stripe_px, stripe_px):
            stops = self._stops(int(min(stop_px, height_px) * ratio), height_px)
            for number in self.order:
                start = self.ends[number]
                if stops[number] > start:
                    self._make(number, stops[number], height_px)
                    if number in wanted:
                        yield Stripe(number, start, self.windows[number].rows(start, stops[number]))
                    self._forget(number, stops)

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

    def _make(self, number: int, stop: int, height_px: int) -> None:
        step, start = self.steps[number], self.ends[number]
        first, last = step.needs(start, stop)
        first, last = max(0, first), min(last, _length(self.steps[step.inputs[0]], height_px))
        made = self.runs.get(number, step.run)(*(self._rows(given, first, last) for given in step.inputs))
        skipped = start - int(first * step.factor)
        self.windows[number].append(made[:, :, skipped : skipped + stop - start])
        self.ends[number] = stop

    def _rows(self, number: int, first: int, last: int) -> Tensor:
        if number in self.known:
            return self.known[number](first, last)
        return self.windows[number].rows(first, last)

    def _forget(self, made: int, stops: Mapping[int, int]) -> None:
        """Drop the rows of a step and its inputs that no later stripe needs, if all of this one have had them."""
        for number in (made, *self.steps[made].inputs):
            users = self.users.get(number, [])
            if number in self.windows and all(self.ends[user] == stops[user] for user in users):
                wanted = [self.steps[user].needs(self.ends[user], self.ends[user] + 1)[0] for user in users]
                self.windows[number].forget(min([self.ends[number], *wanted]))


class Window:
    """The rows of a step that are still needed, in the pieces that they came in."""

    def __init__(self) -> None:
        self.first, self.pieces = 0, list[Tensor]()

    def append(self, made: Tensor) -> None:
        """Take in the next rows."""
        self.pieces.append(made)

    def rows(self, first: int, last: int) -> Tensor:
        """Some of the rows; a view where they came in one piece."""
        found, start = [], self.first
        for piece in self.pieces:
            stop = start + piece.shape[2]
            if start < last and first < stop:
                found.append(piece[:, :, max(first - start, 0) : last - start])
            start = stop
        return found[0] if len(found) == 1 else torch.cat(found, dim=2)

    def forget(self, before: int) -> None:
        """Let go of the rows above ``before``."""
        while self.pieces and self.first < before:
            length = self.pieces[0].shape[2]
            if self.first + length > before:
                # A copy, because a view would hold the whole stripe.
                self.pieces[0] = self.pieces[0][:, :, before - self.first :].clone()
                self.first = before
            else:
                del self.pieces[0]
                self.first += length


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
