"""Metrics on the validation images, and which weights were the best so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from itertools import chain
from statistics import fmean
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from gantools.checkpoint.weights import DROPOUT_SEED
from gantools.data.loading.batches import Batch, to_network
from gantools.data.loading.dataset import Dataset
from gantools.data.loading.sampler import SampleKey
from gantools.data.loading.unreadable import read_or_replace
from gantools.devices import is_out_of_memory
from gantools.errors import TrainingError
from gantools.images import ranges
from gantools.metrics import pair_metric
from gantools.metrics.frechet import frechet
from gantools.training import rng
from gantools.training.device.runtime import Runtime
from gantools.training.ema import MovingAverage
from gantools.training.recipe import Best, Judged, Recipe, exported_networks

T = TypeVar("T")
Vectors: TypeAlias = dict[str, list[tuple[Tensor, Tensor]]]


class Validation:
    """Measures a recipe on its validation split, one image at a time, with the weights that would be exported."""

    def __init__(
        self,
        recipe: Recipe[Any, Any],
        data: Dataset,
        networks: Mapping[str, nn.Module],
        runtime: Runtime,
        average: MovingAverage | None,
        largest_px: int | None = None,
    ) -> None:
        """Of images with a side longer than ``largest_px`` the middle is taken; None: whole images."""
        self.recipe, self.data, self.networks = recipe, data, networks
        self.runtime, self.average, self.largest_px = runtime, average, largest_px
        self.best: float | None = None
        self.stale = 0
        self.latest: dict[str, float] = {}

    def measure(self) -> dict[str, float]:
        """Mean of every metric over the split; empty when the split is."""
        ranks, own = self.runtime.ranks, []
        with self.at_rest():
            for index in range(ranks.rank, len(self.data), ranks.world_size):
                judged = self.apply(self.recipe.validate, index)
                own.append((index, self._metrics(judged), _on_cpu(judged.vectors)))
        # In the order of the images, so that the sum is the same for any number of ranks.
        found = sorted(chain(*ranks.all_gather(own)), key=lambda row: row[0])
        rows = [metrics for _, metrics, _ in found]
        means = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]} if rows else {}
        self.latest = {**means, **_distances([vectors for *_, vectors in found])}
        return self.latest

    def _metrics(self, judged: Judged) -> dict[str, float]:
        fake, real = ranges.from_tensor(judged.fake.float()), ranges.from_tensor(judged.real)
        return {**{name: pair_metric(name)(fake, real) for name in self.recipe.metrics}, **judged.metrics}

    def exported_weights(self) -> Any:
        """The context in which the networks carry the moving average, where there is one."""
        return self.average.applied() if self.average else nullcontext()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Exported weights in the mode of their export, without gradients.

        Random streams and running statistics go on afterwards as if nothing had been. The next training step sets the
        networks' modes again.
        """
        for network in self.networks.values():
            network.eval()
        runtime = self.runtime
        with (
            self.exported_weights(),
            rng.preserved(runtime.device),
            torch.no_grad(),
            self._training_mode(),
            runtime.autocast(),
            runtime.any_size(),
        ):
            yield

    @contextmanager
    def _training_mode(self) -> Iterator[None]:
        """Networks exported in train mode are in it, contiguous as at inference, so that dropout draws the same."""
        networks = [self._layout.place(network.train()) for network in self._kept_in_training_mode]
        kept = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
        try:
            yield
        finally:
            for buffer, value in kept:
                buffer.copy_(value)
            for network in networks:
                self.runtime.place(network)

    @cached_property
    def _kept_in_training_mode(self) -> list[nn.Module]:
        networks = exported_networks(self.recipe, self.networks)
        return [networks[name] for name, export in self.recipe.exports().items() if export.mode == "train"]

    @cached_property
    def _layout(self) -> Runtime:
        return replace(self.runtime, channels_last=self.runtime.channels_last and not self._kept_in_training_mode)

    def apply(self, look: Callable[[Any], T], index: int) -> T:
        """``look``, the recipe's ``validate`` or ``preview``, of a fixed image, within ``at_rest``.

        Dropout, where an exported network keeps it, draws the same numbers for every image, as at inference.
        Raises TrainingError where the image does not fit into memory.
        """
        sample, _ = read_or_replace(self.data, SampleKey(0, index))
        batch: Any = self._middle(self.data.collate([sample]))
        rng.seed(DROPOUT_SEED)
        try:
            return look(to_network(batch, self.runtime.device, channels_last=self._layout.channels_last))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            side_px = max(max(value.shape[1:3]) for value in vars(batch).values() if isinstance(value, Tensor))
            raise TrainingError(
                f"validation of {batch.names[0]}, {side_px} px on its longest side, does not fit into memory; "
                f"go on with --resume RUN train.validation_px={max(1, side_px // 2)}"
            ) from error

    def _middle(self, batch: Batch) -> Batch:
        """The middle of images that are too large, the same part of all that belong together.

        Its sides are multiples of what the exported networks take, and not below what they are trained on.
        """
        if self.largest_px is None:
            return batch
        shapes = [value.shape for value in vars(batch).values() if isinstance(value, Tensor) and value.ndim == 4]
        height, width = (min(shape[axis] for shape in shapes) for axis in (1, 2))
        exports, scale = self.recipe.exports().values(), max(shape[1] for shape in shapes) // height
        most = max(self.largest_px // scale, *(export.trained_px or 0 for export in exports))
        multiple = max(export.size_multiple for export in exports)
        rows, columns = (_middle_of(side, most, multiple) for side in (height, width))

        def cut(images: Tensor) -> Tensor:
            if images.ndim != 4:
                return images
            times = images.shape[1] // height
            return images[:, times * rows.start : times * rows.stop, times * columns.start : times * columns.stop]

        return batch.map_tensors(cut)

    def is_best(self, best: Best | None, metrics: Mapping[str, float]) -> bool:
        """Whether ``metrics`` beat all before them in this stage; remembers them if so.

        ``stale`` counts the validations since.
        """
        if best is None:
            return False
        value = metrics.get(best.metric, math.nan)
        if math.isnan(value) or (self.best is not None and not best.beats(value, self.best)):
            self.stale += 1
            return False
        self.best, self.stale = value, 0
        return True

    def forget_best(self) -> None:
        """A new stage has a best metric of its own."""
        self.best, self.stale = None, 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "stale": self.stale, "latest": self.latest}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.latest = state["best"], state["latest"]
        self.stale = state.get("stale", 0)  # old checkpoints lack it


def _middle_of(side_px: int, most_px: int, multiple: int) -> range:
    """A side, or the middle of one that is longer than ``most_px``."""
    kept = side_px if side_px <= most_px else min(side_px, max(multiple, most_px // multiple * multiple))
    return range((side_px - kept) // 2, (side_px - kept) // 2 + kept)


def _on_cpu(vectors: Mapping[str, Sequence[tuple[Tensor, Tensor]]]) -> Vectors:
    """Vectors that can be sent to other processes."""
    return {
        name: [(made.cpu().double(), real.cpu().double()) for made, real in pairs] for name, pairs in vectors.items()
    }


def _distances(rows: Sequence[Vectors]) -> dict[str, float]:
    """The metrics of the whole split; none for fewer than two images, which have no spread."""
    if len(rows) < 2:
        return {}
    return {name: fmean(map(_distance, zip(*(row[name] for row in rows), strict=True))) for name in rows[0]}


def _distance(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    made, real = (torch.stack(side).numpy() for side in zip(*pairs, strict=True))
    return frechet(made, real)
