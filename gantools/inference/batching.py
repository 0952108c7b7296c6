"""Pictures of one shape that follow each other go through the network together, where that pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from gantools.images.picture import Picture
from gantools.inference.encoding import Made
from gantools.inference.plan import Job
from gantools.inference.supply import Supplied
from gantools.jobs.result import Stages

Change: TypeAlias = Callable[[Picture, Job], Picture]
"""What is done to a job's picture between file and file."""


Arrival: TypeAlias = Callable[[], "list[Picture] | None"]
"""Waits for what becomes of pictures that are under way; None: they have to be made after all."""


class Batches(Protocol):
    """A change that can be made to several pictures of one shape and depth at once."""

    def limit(self, picture: Picture) -> int:
        """How many pictures of this one's shape go together; 1: each alone."""
        ...

    def make(self, pictures: Sequence[Picture]) -> list[Picture]:
        """What each of them becomes. Raises whatever the change raises, for all of them."""
        ...

    def begin(self, pictures: Sequence[Picture]) -> Arrival | None:
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


def _made(supplied: Supplied, picture: Picture | None, error: Exception | None, seconds: float) -> Made:
    given = supplied.picture
    size = None if given is None else (given.width, given.height)
    return Made(supplied.job, picture, error, size, Stages(supplied.seconds, seconds))
