"""``gantools infer``: pictures, folders and pipes through a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from gantools.cli.commands.infer_asked import Asked, word
from gantools.cli.commands.infer_choices import Direction, Source
from gantools.cli.commands.infer_kernel import undo
from gantools.cli.commands.infer_names import check_streams, inputs_of
from gantools.cli.commands.infer_results import tell_all
from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.run import Session


@console.guarded
@options_command(Asked)
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
    if not asked.dry_run:
        session = _made_ready(session, asked.source, asked.direction)
        console.message(f"weights: {console.quoted(str(session.weights))} ({session.recipe})")
        _say_scale(session)
    code = tell_all(session, asked, inputs, {"recipe": session.recipe, "weights": str(session.weights)})
    if asked.dry_run and console.Settings.verbose and (estimate := session.estimate()):
        console.message(estimate)
    return code


def _session(asked: Asked, inputs: Sequence[str]) -> Session:
    from gantools import exporting
    from gantools.inference.run import prepare

    if not asked.dry_run:
        exporting.make_ready(asked.model)
    return prepare(
        asked.model,
        inputs,
        **asked.placing,
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


def _made_ready(session: Session, source: Source, direction: Direction | None) -> Session:
    """The session with its direction checked and its photos to be outlined, where anything is to be made at all."""
    if all(job.skip for job in session.jobs):
        return session
    _check_direction(session, direction)
    if source is not Source.photo:
        return session
    from gantools import api

    return replace(session, settings=api.settings_for_photos(session.settings, session.weights))


def _say_scale(session: Session) -> None:
    """Say at what size the network sees pictures. Raises UsageError for a size that it has not got."""
    if all(job.skip for job in session.jobs):
        return
    line = session.scale()
    if line:
        console.message(line)
