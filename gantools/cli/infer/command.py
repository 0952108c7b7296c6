"""``gantools infer``: pictures, folders and pipes through a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from gantools.cli import console
from gantools.cli.gathered import gathered
from gantools.cli.infer.asked import Asked, word
from gantools.cli.infer.choices import Direction, Source
from gantools.cli.infer.kernel import undo
from gantools.cli.infer.names import check_streams, inputs_of
from gantools.cli.infer.progress import progress
from gantools.cli.outcomes import Teller
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.session import Session


@console.guarded
@gathered(Asked)
def infer(asked: Asked) -> None:
    """Put pictures through a model. Exit codes: 0 all done, 1 failed, 2 refused as typed, 3 some inputs failed."""
    console.choose(quiet=asked.quiet, verbose=asked.verbose, color=not asked.no_color)
    inputs = inputs_of(asked.typed or (), asked.files_from, asked.null)
    check_streams(asked.typed or (), asked.output, json_lines=asked.json_lines, print0=asked.print0)
    raise typer.Exit(_put_through(asked, inputs) if asked.kernel is None else undo(asked, asked.kernel, inputs))


def _put_through(asked: Asked, inputs: Sequence[str]) -> int:
    """Put the pictures through a network; the exit code."""
    session = _session(asked, inputs)
    if asked.listed and not inputs:
        console.message("nothing to do: --files-from names no pictures")
    teller = Teller(asked.json_lines, len(session.jobs), asked.line_end)
    if asked.dry_run:
        return _rehearse(session, teller)
    return _run(session, asked.source, asked.direction, teller)


def _session(asked: Asked, inputs: Sequence[str]) -> Session:
    from gantools.inference.session import prepare

    return prepare(
        asked.model,
        inputs,
        output=asked.output,
        recursive=asked.recursive,
        format=asked.file_format,
        existing=asked.existing,
        shard=asked.share,
        listed=asked.listed,
        export=asked.network,
        device=asked.device,
        precision=word(asked.precision),
        blend=asked.blend,
        blend_with=asked.blend_with,
        settings=asked.settings(),
    )


def _check_direction(session: Session, direction: Direction | None) -> None:
    """Raise UsageError when the weights know two directions and none was chosen, or the other way round."""
    from gantools.checkpoint import weights

    names, path = weights.describe(session.weights).exports, str(session.weights)
    if session.export is None and set(names) == {each.value for each in Direction}:
        raise UsageError(f"{path!r} translates both ways; give --direction a2b or --direction b2a")
    if direction is not None and direction.value not in names:
        raise UsageError(f"--direction {direction.value}: {path!r} has no directions; leave it out")


def _facts(session: Session) -> dict[str, str]:
    return {"recipe": session.recipe, "weights": str(session.weights)}


def _rehearse(session: Session, teller: Teller) -> int:
    for result in session.rehearse():
        teller.tell(result)
    return teller.conclude(_facts(session))


def _run(session: Session, source: Source, direction: Direction | None, teller: Teller) -> int:
    idle = all(job.skip for job in session.jobs)
    if not idle:
        _check_direction(session, direction)
    if source is Source.photo and not idle:
        from gantools import api

        outline = api.outline_from_weights(session.weights)
        session = replace(session, settings=replace(session.settings, prepare=outline))
    console.message(f"weights: {console.quoted(str(session.weights))} ({session.recipe})")
    with session.run() as results, progress(len(session.jobs)) as advance:
        for result in results:
            teller.tell(result)
            advance()
    return teller.conclude(_facts(session))
