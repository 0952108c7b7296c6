"""``gantools data pack``: folders of images into tar shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.output import console
from gantools.cli.output.progress import progress
from gantools.cli.output.results import Json
from gantools.errors import UsageError


@console.guarded
def pack(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Data sets, with their sub-folders.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New folder for the shards.")],
    shard_megabytes: Annotated[float, typer.Option("--shard-megabytes", min=0.001, help="Size of a shard.")] = 256.0,
    json_lines: Json = False,
) -> None:
    """Pack images into tar files; every recipe trains on the new folder (--data) as on the old one."""
    from gantools.data.prepare import pack

    if output.exists():
        raise UsageError(f"-o {output}: exists already; name a new folder")
    with progress("pack") as update:
        report = pack.pack(folders, output, shard_megabytes, update)
    if json_lines:
        console.result_json(
            {"output": str(output), "pictures": report.images, "shards": report.shards, "bytes": report.bytes}
        )
    else:
        console.result(str(output))
        console.message(f"{report.images} images in {report.shards} shards, {report.bytes / 1e6:.1f} MB")
