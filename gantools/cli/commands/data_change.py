"""``gantools data edges|crappify|blur|mask|lowres|gray|align``: photos become inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console, results
from gantools.cli.output.progress import progress
from gantools.cli.output.results import Json, ResultPrinter
from gantools.data.prepare import commands
from gantools.data.prepare.align_command import Align

Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results, the tree kept.")]


SETTINGS = {
    "edges": "gantools.data.options.datasets:EdgeOptions",
    "crappify": "gantools.data.prepare.options:CrappifyOptions",
    "blur": "gantools.data.options.blur:BlurOptions",
    "mask": "gantools.data.prepare.options:MasksOptions",
}
"""What KEY=VALUE sets, by command."""


def _list_settings(context: typer.Context, wanted: bool) -> None:
    """Print every setting of a command and end, before anything is required."""
    if wanted:
        from gantools.config import describe

        module, _, name = SETTINGS[str(context.info_name)].partition(":")
        for line in describe.lines(getattr(import_module(module), name)()):
            console.result(line)
        raise typer.Exit


@dataclass(kw_only=True, eq=False, repr=False)
class Folder:
    """What a command that changes photos is given: these, and where the results go."""

    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photos with sub-folders; or one photo.")]
    output: Output
    json_lines: Json = False


@dataclass(kw_only=True, eq=False, repr=False)
class FolderAndSettings(Folder):
    """Photos, and settings beside the options."""

    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Other settings: see --settings.")
    ] = None
    settings: Annotated[
        bool,
        typer.Option(
            "--settings", is_eager=True, callback=_list_settings, help="List the settings for KEY=VALUE, and end."
        ),
    ] = False


def carry_out(
    command: str,
    prepared: commands.Prepared,
    output: str | Path | None,
    *,
    json_lines: bool,
    seed: int = 0,
    sources: Sequence[str | Path] = (),
    recursive: bool = True,
) -> None:
    """Do the work, print a result for each image, and end with the exit code. Raises typer.Exit.

    ``sources`` are the folders whose images they are: files that are left out of them are reported.
    """
    results.names_as_stored()
    left = results.left_out(sources, output, recursive=recursive)
    printer = ResultPrinter(json_lines, len(prepared))
    with progress(command) as update:
        for number, result in enumerate(prepared, start=1):
            printer.print(result)
            update(number, len(prepared))
    raise typer.Exit(printer.conclude({"command": command, "seed": seed, **left}))


def _change(command: str, folder: Folder, options: commands.Gray, changes: Sequence[str] | None = None) -> None:
    from gantools import api

    prepared = api.change_images(folder.source, folder.output, options, changes or ())
    carry_out(
        command, prepared, folder.output, json_lines=folder.json_lines, seed=options.seed, sources=[folder.source]
    )


@console.guarded
@options_command(commands.Edges, FolderAndSettings)
def edges(options: commands.Edges, folder: FolderAndSettings) -> None:
    """Draw the outlines of photos, black on white, as pix2pix does; --hints dabs the photo's colours onto them."""
    _change("edges", folder, options, folder.changes)


@console.guarded
@options_command(commands.Crappify, FolderAndSettings)
def crappify(options: commands.Crappify, folder: FolderAndSettings) -> None:
    """Degrade good photos: small, with text, compressed; of the same size, as restore learns to undo."""
    _change("crappify", folder, options, folder.changes)


@console.guarded
@options_command(commands.Blur, FolderAndSettings)
def blur(options: commands.Blur, folder: FolderAndSettings) -> None:
    """Blur photos by camera shake, defocus or a measured kernel, and add noise."""
    _change("blur", folder, options, folder.changes)


@console.guarded
@options_command(commands.Mask, FolderAndSettings)
def mask(options: commands.Mask, folder: FolderAndSettings) -> None:
    """Mask out a part of every photo; with --alone and the same seed, write the masks that belong to them."""
    _change("mask", folder, options, folder.changes)


@console.guarded
@options_command(commands.LowRes, Folder)
def lowres(options: commands.LowRes, folder: Folder) -> None:
    """Shrink photos by the bicubic down-scaling that super-resolution is measured with."""
    _change("lowres", folder, options)


@console.guarded
@options_command(commands.Gray, Folder)
def gray(options: commands.Gray, folder: Folder) -> None:
    """Take the colours out of photos."""
    _change("gray", folder, options)


@dataclass(kw_only=True, eq=False, repr=False)
class Photos:
    """What is typed after ``data align``."""

    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Photos of faces, and folders of them.")]
    json_lines: Json = False


@console.guarded
@options_command(Align, Photos)
def align(options: Align, given: Photos) -> None:
    """Cut faces out of photos, upright and of one size, as StyleGAN2's weights for faces want them (FFHQ).

    Faces are found by a detector, which `gantools weights fetch yunet` installs. Exit codes: 0 all done, 1 failed,
    2 invalid command, 3 some photos failed, such as those without a face.
    """
    from gantools import api

    prepared = api.align_faces(given.photos, options)
    carry_out(
        "align",
        prepared,
        options.output,
        json_lines=given.json_lines,
        sources=given.photos,
        recursive=options.recursive,
    )
