"""``gantools weights``: list, describe, download, import and export weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console, results
from gantools.cli.output.progress import animated
from gantools.importing.options import ImportOptions

app = typer.Typer(no_args_is_help=True)


@app.command("list")
@console.guarded
def list_weights(json_lines: results.Json = False) -> None:
    """List the installed weights, and the other networks that can be downloaded."""
    from gantools import api

    rows = api.list_weights()
    widest = max(len(console.quoted(row["name"])) for row in rows)
    for row in rows:
        if json_lines:
            console.result_json(row)
        else:
            name, about = console.quoted(row["name"]), console.quoted(row["about"])
            console.result(f"{name:<{widest}} {row['state']:<14} {row['megabytes']:>6g} MB  {row['kind']}: {about}")


@app.command("info")
@console.guarded
def info(
    weights: Annotated[
        str, typer.Argument(metavar="NAME|RUN|FILE", help="Installed weights, a feature network, a run or a file.")
    ],
    json_lines: results.Json = False,
) -> None:
    """Show a weights file's card (data, licence, metrics, limits) and its networks."""
    from gantools import api

    console.result_facts(api.describe_weights(weights), as_json=json_lines)


@app.command("fetch")
@console.guarded
def fetch(
    name: Annotated[str, typer.Argument(metavar="NETWORK", help="realesrgan-x4plus, vgg16, yunet …: see list.")],
    from_file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Install this file instead of downloading.")
    ] = None,
) -> None:
    """Download well-known weights, a feature network or a face detector; check and install it. Uses the network."""
    from gantools import api

    path = api.fetch_weights(name, from_file, message=console.message, progress=animated())
    console.message(f"{name}: installed, its sha256 is correct")
    console.result(console.quoted(str(path)))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Importing(ImportOptions):
    """What is typed: the options of an import, and those that the command line alone has."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="Another code's .pth, .pt, .ckpt, .pkl, .safetensors.")]
    json_lines: results.Json = False


@app.command("import")
@console.guarded
@options_command(Importing)
def import_(asked: Importing) -> None:
    """Write another code's weights as ours, for `infer` or `generate`. Nothing in the file is executed."""
    from gantools import api

    path = api.import_weights(asked.file, asked)
    imported = api.describe_weights(str(path))["file"]["about"]["imported"]
    if asked.json_lines:
        console.result_json({"path": str(path), **imported})
        return
    what = ", ".join(filter(None, (imported["format"], imported["network"])))
    console.message(f"{console.quoted(what)}; licence: {imported['licence']}")
    if checked := imported.get("checked"):
        difference = checked["largest_difference"]
        console.message(f"seed 0 is {console.quoted(checked['image'])}: levels differ by up to {difference:g} of 255")
    console.result(console.quoted(str(path)))


@app.command("export")
@console.guarded
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder; with -o it may still be training.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to [RUN/weights/last.safetensors].")
    ] = None,
    overwrite: results.Overwrite = False,
) -> None:
    """Write the weights of a run's newest checkpoint, for example of a run that was killed."""
    from gantools import api

    results.refuse_existing([output], overwrite)
    path = api.export_weights(run, output)
    console.message(f"weights of step {api.describe_weights(str(path))['file']['about']['step']}")
    console.result(console.quoted(str(path)))
