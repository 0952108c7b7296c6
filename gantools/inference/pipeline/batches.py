"""Pictures of one shape that follow each other go through the network together, where that pays."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Protocol, TypeAlias

from gantools.images.image import Image, Pixels
from gantools.images.ops.transparency import spread
from gantools.inference.memory import memory_of
from gantools.inference.model import Model
from gantools.inference.options import Settings
from gantools.inference.pipeline.decode_pool import Supplied
from gantools.inference.pipeline.encode import Made
from gantools.inference.plan import Job
from gantools.inference.scaling import Scaling
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.forward import (
    start_batch,
    translate,
    translate_batch,
    translate_proven,
)
from gantools.jobs.result import Stages

Change: TypeAlias = Callable[[Image, Job], Image]
"""What is done to a job's picture between file and file."""


Arrival: TypeAlias = Callable[[], "list[Image] | None"]
"""Waits for what becomes of pictures that are under way; None: they have to be made after all."""


class Batches(Protocol):
    """A change that can be made to several pictures of one shape and depth at once."""

    def limit(self, picture: Image) -> int:
        """How many pictures of this one's shape go together; 1: each alone."""
        ...

    def make(self, pictures: Sequence[Image]) -> list[Image]:
        """What each of them becomes. Raises whatever the change raises, for all of them."""
        ...

    def begin(self, pictures: Sequence[Image]) -> Arrival | None:
        """Start on them, where they can be under way while others are made; None: ``make`` has to."""
        ...


def changed(supplied: Iterable[Supplied], change: Change, batches: Batches | None) -> Iterator[Made]:
    """Change every picture, in order. Whatever one makes a library raise is this picture's failure.

    Where pictures can be under way, the next ones are begun before these are waited for.
    """
    under_way: list[Callable[[], list[Made]]] = []
    for group in _groups(supplied, batches):
        begun = _begun(group, change, batches)
        while under_way:
            yield from _given_away(under_way.pop()())
        if begun is None:
            made = _together(group, change, batches)
            group.clear()  # whoever uses what was made holds nothing else
            yield from _given_away(made)
        else:
            under_way.append(begun)
    while under_way:
        yield from _given_away(under_way.pop()())


def _given_away(made: list[Made]) -> Iterator[Made]:
    while made:
        yield made.pop(0)


def _begun(group: Sequence[Supplied], change: Change, batches: Batches | None) -> Callable[[], list[Made]] | None:
    """What waits for pictures that are under way; None where they are not."""
    pictures = [each.picture for each in group if each.picture is not None]
    if batches is None or not pictures:
        return None
    started = time.perf_counter()
    try:
        arrival = batches.begin(pictures)
    except Exception:  # one of them may be the cause; alone each says for itself
        return None
    return arrival and partial(_arrived, list(group), change, arrival, time.perf_counter() - started)


def _arrived(group: Sequence[Supplied], change: Change, arrival: Arrival, spent_seconds: float = 0.0) -> list[Made]:
    """What ``arrival`` gives for a group; alone each where it gives nothing or fails, and says for itself."""
    started = time.perf_counter()
    try:
        made = arrival()
    except Exception:  # one of them may be the cause
        made = None
    if made is None:
        return [_alone(each, change) for each in group]
    seconds = (spent_seconds + time.perf_counter() - started) / len(made)
    return [_made(each, picture, None, seconds) for each, picture in zip(group, made, strict=True)]


def _groups(supplied: Iterable[Supplied], batches: Batches | None) -> Iterator[list[Supplied]]:
    group: list[Supplied] = []
    for each in supplied:
        if group and not _alike(group[0], each):
            yield group
            group = []
        group.append(each)
        del each  # it belongs to the group now
        if _is_full(group, batches):
            yield group
            group = []
    if group:
        yield group


def _alike(one: Supplied, other: Supplied) -> bool:
    if one.picture is None or other.picture is None:
        return False
    return one.picture.pixels.shape == other.picture.pixels.shape and (
        one.picture.pixels.dtype == other.picture.pixels.dtype
    )


def _is_full(group: Sequence[Supplied], batches: Batches | None) -> bool:
    first = group[0].picture
    return first is None or batches is None or len(group) >= batches.limit(first)


def _together(group: Sequence[Supplied], change: Change, batches: Batches | None) -> list[Made]:
    pictures = [each.picture for each in group if each.picture is not None]
    if batches is not None and len(pictures) > 1:
        return _arrived(group, change, partial(batches.make, pictures))
    return [_alone(each, change) for each in group]


def _alone(supplied: Supplied, change: Change) -> Made:
    if supplied.picture is None:
        return _made(supplied, None, supplied.error, 0.0)
    started = time.perf_counter()
    try:
        made, error = change(supplied.picture, supplied.job), None
    except Exception as caught:
        made, error = None, caught
    return _made(supplied, made, error, time.perf_counter() - started)


def _made(supplied: Supplied, picture: Image | None, error: Exception | None, seconds: float) -> Made:
    given = supplied.picture
    size = None if given is None else (given.width, given.height)
    return Made(supplied.job, picture, error, size, Stages(supplied.seconds, seconds))


MOST_PICTURES = 8
FAST_PICTURES = 64

_FEATURE_BYTES_PER_PX = 512
_CACHED_BYTES = 8 << 20
_PAYING_BATCHES = 4
"""The proof computes a batch's pictures once more; so many batches save about as much."""

_FAST_PX = 1 << 22

Shape = tuple[tuple[int, ...], str]


@dataclass(frozen=True)
class Joint:
    """Batches for a network that takes whole pictures.

    Bits are compared before they are trusted: the pictures of the first batch of each shape and number are also
    computed alone, and where one differs, as other kernels for other numbers may make it, that shape's pictures go one
    by one; so do fewer than a whole batch, and runs of few ``pictures``, unless a number was asked for. With ``fast``
    they may differ. ``check`` refuses a picture, ``finish`` makes one of what the network made of it. With ``overlap``
    the next batch is read while a GPU computes one.
    """

    model: Model
    settings: Settings
    check: Callable[[Image], None]
    finish: Callable[[Image, Pixels], Image]
    pictures: int
    overlap: bool = False
    _exact: set[tuple[Shape, int]] = field(default_factory=set)
    _inexact: set[Shape] = field(default_factory=set)

    def limit(self, picture: Image) -> int:
        """How many pictures of this one's shape go together."""
        asked, fast = self.settings.batch, self.settings.fast
        if self.model.network.training or (_shape(picture) in self._inexact and not fast):
            return 1  # statistics of a batch, or bits that depend on it
        if asked is not None:
            return asked
        if self.model.device.type != "cpu":
            return max(1, min(FAST_PICTURES, self._comfortable_px() // self._seen_px(picture))) if fast else 1
        paying = self._paying(picture)
        return paying if fast or self.pictures >= _PAYING_BATCHES * paying else 1

    def _comfortable_px(self) -> int:
        """How many pixels go through an accelerator together."""
        way = ExecutionContext(self.model, self.model.autocast, None, self.settings.tta, memory_of(self.model.device))
        return min(_FAST_PX, int(way.memory.preferred_bytes() / way.activation_bytes_per_px()))

    @cached_property
    def scaling(self) -> Scaling:
        """To what size the network's images are brought."""
        return Scaling.of(self.model.export, self.settings)

    def _seen_px(self, picture: Image) -> int:
        height, width = self.scaling.size(picture.height, picture.width)
        return height * width

    def _paying(self, picture: Image) -> int:
        """What a batch saves on a processor is reading the weights again; what it costs is features out of the caches.

        So it is no larger than makes both alike, and features that no cache holds even alone go alone.
        """
        weights = sum(each.numel() * each.element_size() for each in self.model.network.parameters())
        features = self._seen_px(picture) * _FEATURE_BYTES_PER_PX
        return 1 if features > _CACHED_BYTES else min(MOST_PICTURES, max(weights, _CACHED_BYTES) // features)

    def make(self, pictures: Sequence[Image]) -> list[Image]:
        """What the network makes of pictures of one shape and depth. Raises what ``check`` and the network do."""
        for each in pictures:
            self.check(each)
        given = self._seen(pictures)
        made = self._together(_shape(pictures[0]), given, self.limit(pictures[0])) or [
            self._alone(one) for one in given
        ]
        return self._finished(pictures, made)

    def begin(self, pictures: Sequence[Image]) -> Arrival | None:
        """Start on pictures of one shape and depth on a GPU; None, now or then: ``make`` has to."""
        if not self.overlap or not self._is_known(_shape(pictures[0]), len(pictures)):
            return None
        for each in pictures:
            self.check(each)
        how, given = self.settings, self._seen(pictures)
        pending = start_batch(given, self.model, tile=how.tile, tta=how.tta)
        return None if pending is None else partial(self._arrived, pictures, pending.wait)

    def _seen(self, pictures: Sequence[Image]) -> list[Pixels]:
        """What the network sees of each. Shapes: [H, W, 3] → [h, w, 3]."""
        colours = (each.pixels if self.settings.alpha == "drop" else spread(each) for each in pictures)
        return [self.scaling.seen(pixels) for pixels in colours]

    def _arrived(self, pictures: Sequence[Image], arrival: Callable[[], list[Pixels] | None]) -> list[Image] | None:
        made = arrival()
        return None if made is None else self._finished(pictures, made)

    def _finished(self, pictures: Sequence[Image], made: Sequence[Pixels]) -> list[Image]:
        return [self.finish(each, pixels) for each, pixels in zip(pictures, made, strict=True)]

    def _is_known(self, shape: Shape, pictures: int) -> bool:
        """Whether so many at once need no proof that each comes out as it does alone."""
        return self.settings.fast or pictures == 1 or (shape, pictures) in self._exact

    def _together(self, shape: Shape, given: Sequence[Pixels], limit: int) -> list[Pixels] | None:
        """What is made at once; None where that may change bits, or where to find out would cost more than it saves."""
        how = self.settings
        if self._is_known(shape, len(given)):
            return translate_batch(given, self.model, tile=how.tile, tta=how.tta)
        if len(given) < limit or shape in self._inexact:
            return None
        made = translate_proven(given, self.model, tile=how.tile, tta=how.tta)
        if made is not None:
            self._exact.add((shape, len(given)))
            return made
        if how.batch:
            warnings.warn(
                "a batch comes out otherwise here than its pictures alone, which is what is made; "
                "--fast takes the batch",
                stacklevel=2,
            )
        self._inexact.add(shape)
        return None

    def _alone(self, pixels: Pixels) -> Pixels:
        return translate(pixels, self.model, tile=self.settings.tile, tta=self.settings.tta)


def _shape(picture: Image) -> Shape:
    return picture.pixels.shape, str(picture.pixels.dtype)
