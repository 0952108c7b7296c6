"""``gantools data pairs|split``: files are put together, taken apart and shared out."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gantools.cli.commands.data_common import Format, FormatOption, Quality, Run, Workers
from gantools.cli.output import console
from gantools.cli.output.results import DryRun, Json, Overwrite, SkipExisting
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.data.prepare.recognise import Kind


class KindOption(Enum):
    """What a folder holds."""

    auto = "auto"
    photos = "photos"
    pairs = "pairs"
    ab = "ab"
    unpaired = "unpaired"


As = Annotated[KindOption, typer.Option("--as", help="What the folder holds; auto: what a recipe would take it for.")]


Folders = Annotated[list[Path], typer.Argument(metavar="A B | AB", help="Two folders to combine, or one to divide.")]


@console.guarded
def pairs(
    folders: Folders,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")],
    format: FormatOption = Format.png,
    quality: Quality = 95,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
) -> None:
    """Put same-named images of two folders side by side; or divide such A|B images into folders a and b."""
    from gantools.data.prepare import pairs

    run = Run(output, format, quality, workers, skip_existing, overwrite, dry_run, json_lines)
    if len(folders) > 2:
        raise UsageError(f"pairs takes two folders to combine or one to divide, not {len(folders)}")
    if len(folders) == 1:
        divided = pairs.dividing(folders[0], output, run.wanted_format, run.existing)
        run.carry_out("pairs", divided, pairs.Divide(quality), source=folders[0])
    combined = pairs.combining(folders[0], folders[1], output, run.wanted_format, run.existing)
    run.carry_out("pairs", combined, pairs.Combine(quality))


@console.guarded
def split(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A data set: photos, pairs, or two domains.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for train, val and test.")],
    val: Annotated[float, typer.Option(help="Share for validation.")] = 0.2,
    test: Annotated[float, typer.Option(help="Share for a test afterwards.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed shares out the same; 2 is that of most recipes.")] = 2,
    kind: As = KindOption.auto,
    link: Annotated[bool, typer.Option("--link", help="Hard links instead of copies: they take no room.")] = False,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
) -> None:
    """Share a data set out into folders train, val and test; the two files of a pair stay together."""
    from gantools.data.prepare import shares

    run = Run(output, Format.keep, 95, workers, skip_existing, overwrite, dry_run, json_lines)
    planned = shares.sharing(source, output, chosen(kind, source), val=val, test=test, seed=seed, existing=run.existing)
    run.carry_out("split", planned, shares.Place(link), seed=seed)


def chosen(kind: KindOption, folder: Path) -> Kind:
    """The wanted kind of data set, or what the folder looks like. Raises DataError."""
    from gantools.data.prepare.recognise import kind_of

    return kind_of(folder) if kind is KindOption.auto else cast("Kind", kind.value)
