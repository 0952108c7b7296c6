"""Models whose images are made from styles: mix them, move them along directions, learn directions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gantools.config.command import with_changes
from gantools.errors import UsageError
from gantools.generation.options import EditOptions, LearnOptions, MixOptions

if TYPE_CHECKING:
    from gantools.generation.directions import Direction
    from gantools.generation.styled import Work
    from gantools.jobs.result import Result

Facts: TypeAlias = dict[str, Any]
Name: TypeAlias = "str | os.PathLike[str]"


def mix(
    model: str | Path, images: Iterable[Name] = (), options: MixOptions | None = None, **changes: Any
) -> Iterator[Result]:
    """Put rows of styles of one image into another; one result for each file.

    ``images`` are two of ``"seed:85"`` or files of styles; none for a sheet. ``changes`` are options of ``gantools
    mix`` by name, such as ``rows="fine"``, ``both=True`` or ``row_images="85,100", column_images="55,821"``. Raises
    UsageError before anything is written.
    """
    return plan_mix(model, images, with_changes(options or MixOptions(), changes, "mix")).run()


def plan_mix(model: str | Path, images: Iterable[Name], options: MixOptions) -> Work:
    """What ``mix`` would make, and where it would be written. Raises UsageError and ModelFileError."""
    from gantools.generation import mix
    from gantools.inference import find_weights

    return mix.plan(_weights(model), find_weights.label_of(model), [os.fspath(each) for each in images], options)


def edit(
    model: str | Path, images: Name | Iterable[Name], options: EditOptions | None = None, **changes: Any
) -> Iterator[Result]:
    """Move images along a direction; one result for each file.

    ``images`` are ``"seed:85"`` or files of styles. ``changes`` are options of ``gantools edit`` by name, such as
    ``direction="heel"``, ``start=-2`` or ``output="walk.webp"``. Raises UsageError before anything is written.
    """
    named = [images] if isinstance(images, str | os.PathLike) else images
    return plan_edit(model, named, with_changes(options or EditOptions(), changes, "edit")).run()


def plan_edit(model: str | Path, images: Iterable[Name], options: EditOptions) -> Work:
    """What ``edit`` would make, and where it would be written. Raises UsageError and ModelFileError."""
    from gantools.generation import edit
    from gantools.inference import find_weights

    return edit.plan(_weights(model), find_weights.label_of(model), [os.fspath(each) for each in images], options)


def learn_directions(
    model: str | Path,
    options: LearnOptions | None = None,
    *,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
    **changes: Any,
) -> list[Facts]:
    """Learn a direction, or with ``closed_form=K`` several, and write it; what is known of each, with its ``path``.

    ``changes`` are options of ``gantools directions learn`` by name, such as ``name="heel", attribute="heel",
    data="shoes"`` or ``measure="red"``. Raises UsageError and DataError.
    """
    from gantools.generation import learn

    learnt = learn.learn(
        _weights(model), with_changes(options or LearnOptions(), changes, "directions learn"), progress
    )
    return [_facts(each.direction, each.path) for each in learnt]


def list_directions(model: str | Path) -> list[Facts]:
    """What is known of each direction that lies beside a model's weights. Raises UsageError, also without styles."""
    from gantools.generation import directions
    from gantools.inference import find_weights

    path = _weights(model)
    told = find_weights.header(path)
    if not any((export.get("latent") or {}).get("rows") for export in told["exports"].values()):
        raise UsageError(f"'{path}' ({told['recipe']}) has no styles as stylegan2 has, so no directions")
    return [_facts(directions.read(each), each) for each in directions.beside(path).values()]


def describe_direction(file: Name) -> Facts:
    """What is known of a file of a direction. Raises UsageError."""
    from gantools.generation import directions

    return _facts(directions.read(Path(file)), Path(file))


def _weights(model: str | Path) -> Path:
    """The weights file that a model means."""
    from gantools.exporting import newest
    from gantools.inference import find_weights

    newest.make_ready(model)
    return find_weights.resolve(model)


def _facts(direction: Direction, path: Path) -> Facts:
    return {"name": direction.name, "path": str(path), "values": len(direction.vector), **direction.about}
