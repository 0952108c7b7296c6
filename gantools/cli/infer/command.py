"""``gantools infer``: pictures, folders and pipes through a model."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from gantools.cli import console, outcomes
from gantools.cli.infer import options as given
from gantools.cli.infer.choices import (
    Alpha,
    Deconvolve,
    Depth,
    Direction,
    Format,
    Frames,
    Gray,
    Metadata,
    Precision,
    Source,
)
from gantools.cli.infer.kernel import refuse_networks, undo
from gantools.cli.infer.names import check_streams, count_of, inputs_of, shard_of
from gantools.cli.infer.progress import progress
from gantools.cli.outcomes import DryRun, Json, Overwrite, SkipExisting, Teller
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.session import Session


@console.guarded
def infer(
    model: given.Model,
    typed: given.Inputs = None,
    files_from: given.FilesFrom = None,
    null: given.Null = False,
    output: given.Output = None,
    recursive: given.Recursive = False,
    print0: given.Print0 = False,
    json_lines: Json = False,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    fail_fast: given.FailFast = False,
    shard: given.ShardOption = None,
    dry_run: DryRun = False,
    format: given.FormatOption = Format.keep,
    quality: given.Quality = 95,
    depth: given.DepthOption = Depth.keep,
    metadata: given.MetadataOption = Metadata.keep,
    alpha: given.AlphaOption = Alpha.keep,
    gray: given.GrayOption = Gray.auto,
    frames: given.FramesOption = Frames.refuse,
    allow_truncated: given.AllowTruncated = False,
    max_pixels: given.MaxPixels = None,
    timeout: given.Timeout = 60.0,
    export: given.Export = None,
    direction: given.DirectionOption = None,
    blend: given.Blend = None,
    blend_with: given.BlendWith = None,
    mask: given.Mask = None,
    source: given.From = Source.drawing,
    kernel: given.KernelOption = None,
    method: given.MethodOption = Deconvolve.wiener,
    balance: given.Balance = 0.01,
    iterations: given.Iterations = 20,
    tile: given.Tile = "auto",
    batch: given.Batch = "auto",
    tta: given.Tta = False,
    fast: given.Fast = False,
    io_workers: given.IoWorkers = None,
    device: given.Device = "auto",
    precision: given.PrecisionOption = Precision.auto,
    quiet: given.Quiet = False,
    verbose: given.Verbose = False,
    no_color: given.NoColor = False,
) -> None:
    """Put pictures through a model. Exit codes: 0 all done, 1 failed, 2 refused as typed, 3 some inputs failed."""
    from gantools.inference import deconvolution
    from gantools.inference.plan import plan
    from gantools.inference.session import prepare
    from gantools.inference.settings import Settings

    console.choose(quiet=quiet, verbose=verbose, color=not no_color)
    inputs, listed = inputs_of(typed or (), files_from, null), files_from is not None
    check_streams(typed or (), output, json_lines=json_lines, print0=print0)
    how = Settings(quality, _bits(depth), _word(metadata), _word(alpha), _word(gray), fail_fast=fail_fast)
    how = replace(how, max_pixels=max_pixels, allow_truncated=allow_truncated, first_frame=frames is Frames.first)
    how = replace(how, timeout_seconds=timeout, io_workers=io_workers, mask=mask, tta=tta, fast=fast)
    how = replace(how, tile=count_of(tile, "--tile", least=0), batch=count_of(batch, "--batch", least=1))
    existing, wanted = outcomes.existing(skip_existing, overwrite), None if format is Format.keep else format.value
    share, end = shard_of(shard), "\0" if print0 else "\n"
    if blend_with is not None and blend is None:
        raise UsageError(f"--blend-with {blend_with}: add --blend and how much of {model}, from 0 to 1")
    if kernel is not None:
        refuse_networks(model, mask=mask, export=export, direction=direction, blend=blend, source=source, tta=tta)
        inverse = deconvolution.Inverse(kernel, _word(method), balance, iterations)
        jobs = plan(
            inputs,
            recipe=deconvolution.RECIPE,
            output=output,
            recursive=recursive,
            format=wanted,
            existing=existing,
            shard=share,
            listed=listed,
        )
        undone = deconvolution.prepare(inverse, jobs, how)
        raise typer.Exit(undo(undone, Teller(json_lines, len(jobs), end), dry_run))
    session = prepare(
        model,
        inputs,
        output=output,
        recursive=recursive,
        format=wanted,
        existing=existing,
        shard=share,
        listed=listed,
        export=_export(export, direction),
        device=device,
        precision=_word(precision),
        blend=blend,
        blend_with=blend_with,
        settings=how,
    )
    if listed and not inputs:
        console.message("nothing to do: --files-from names no pictures")
    teller = Teller(json_lines, len(session.jobs), end)
    raise typer.Exit(_rehearse(session, teller) if dry_run else _run(session, source, direction, teller))


def _bits(depth: Depth) -> Any:
    return "keep" if depth is Depth.keep else int(depth.value)


def _export(export: str | None, direction: Direction | None) -> str | None:
    """The network that is asked for: a direction is the name of one."""
    if export is not None and direction is not None:
        raise UsageError(f"--export {export} and --direction {direction.value} both name a network; give one")
    return direction.value if direction else export


def _check_direction(session: Session, direction: Direction | None) -> None:
    """Raise UsageError when the weights know two directions and none was chosen, or the other way round."""
    from gantools.checkpoint import weights

    names, path = weights.describe(session.weights).exports, str(session.weights)
    if session.export is None and set(names) == {each.value for each in Direction}:
        raise UsageError(f"{path!r} translates both ways; give --direction a2b or --direction b2a")
    if direction is not None and direction.value not in names:
        raise UsageError(f"--direction {direction.value}: {path!r} has no directions; leave it out")


def _word(choice: Enum) -> Any:
    """An option's value, of which a type checker does not see that it is one of the few allowed words."""
    return choice.value


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
