"""Figures on the validation pictures, and which weights were the best so far."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from statistics import fmean
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from gantools.data.batches import to_network
from gantools.data.dataset import Dataset
from gantools.data.sampler import SampleKey
from gantools.data.unreadable import read_or_replace
from gantools.images import ranges
from gantools.metrics import pair_metric
from gantools.metrics.frechet import frechet
from gantools.training.ema import MovingAverage
from gantools.training.machine import Machine
from gantools.training.recipe import Best, Judged, Recipe

Vectors: TypeAlias = dict[str, list[tuple[Tensor, Tensor]]]


class Validation:
    """Measures a recipe on its validation split, one picture at a time, with the weights that would be exported."""

    def __init__(
        self,
        recipe: Recipe[Any, Any],
        data: Dataset,
        networks: Mapping[str, nn.Module],
        machine: Machine,
        average: MovingAverage | None,
    ) -> None:
        self.recipe, self.data, self.networks = recipe, data, networks
        self.machine, self.average = machine, average
        self.best: float | None = None
        self.stale = 0
        self.latest: dict[str, float] = {}

    def measure(self) -> dict[str, float]:
        """Mean of every figure over the split; empty when the split is."""
        ranks, own = self.machine.ranks, []
        with self.at_rest():
            for index in range(ranks.place.rank, len(self.data), ranks.place.count):
                judged = self.recipe.validate(self.batch([index]))
                own.append((index, self._figures(judged), _on_cpu(judged.vectors)))
        # In the order of the pictures, so that the sum is the same for any number of ranks.
        found = sorted(chain(*ranks.gathered(own)), key=lambda row: row[0])
        rows = [figures for _, figures, _ in found]
        means = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]} if rows else {}
        self.latest = {**means, **_distances([vectors for *_, vectors in found])}
        return self.latest

    def _figures(self, judged: Judged) -> dict[str, float]:
        fake, real = ranges.from_tensor(judged.fake.float()), ranges.from_tensor(judged.real)
        return {**{name: pair_metric(name)(fake, real) for name in self.recipe.metrics}, **judged.figures}

    def exported_weights(self) -> Any:
        """The context in which the networks carry the moving average, where there is one."""
        return self.average.applied() if self.average else nullcontext()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Exported weights in eval mode without gradients; the random streams go on afterwards as if nothing had been.

        The next training step sets the networks' modes again.
        """
        for network in self.networks.values():
            network.eval()
        arithmetic = self.machine.autocast(), self.machine.uncompiled()
        with self.exported_weights(), torch.random.fork_rng(), torch.no_grad(), arithmetic[0], arithmetic[1]:
            yield

    def batch(self, indices: Sequence[int]) -> Any:
        """Fixed pictures of the validation split, ready for the networks."""
        samples = [read_or_replace(self.data, SampleKey(0, index))[0] for index in indices]
        batch = self.data.collate(samples)
        return to_network(batch, self.machine.device, channels_last=self.machine.channels_last)

    def is_best(self, best: Best | None, figures: Mapping[str, float]) -> bool:
        """Whether ``figures`` beat all before them in this stage; remembers them if so.

        ``stale`` counts the validations since.
        """
        if best is None:
            return False
        value = figures.get(best.metric, math.nan)
        if math.isnan(value) or (self.best is not None and not best.beats(value, self.best)):
            self.stale += 1
            return False
        self.best, self.stale = value, 0
        return True

    def forget_best(self) -> None:
        """A new stage is judged by its own figure."""
        self.best, self.stale = None, 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "stale": self.stale, "latest": self.latest}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.latest = state["best"], state["latest"]
        self.stale = state.get("stale", 0)  # checkpoints of old do not say


def _on_cpu(vectors: Mapping[str, Sequence[tuple[Tensor, Tensor]]]) -> Vectors:
    """Vectors as other processes can be told them."""
    return {
        name: [(made.cpu().double(), real.cpu().double()) for made, real in pairs] for name, pairs in vectors.items()
    }


def _distances(rows: Sequence[Vectors]) -> dict[str, float]:
    """The figures of the whole split; none of fewer than two pictures, which have no spread."""
    if len(rows) < 2:
        return {}
    return {name: fmean(map(_distance, zip(*(row[name] for row in rows), strict=True))) for name in rows[0]}


def _distance(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    made, real = (torch.stack(side).numpy() for side in zip(*pairs, strict=True))
    return frechet(made, real)
