"""``gantools export``: a model as a file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console, results
from gantools.cli.output.results import ModelName
from gantools.exporting.options import ExportOptions


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(ExportOptions):
    """What is typed: the options of an export, and those that the command line alone has."""

    model: ModelName
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to; .onnx, .pt2 (torch.export) or .safetensors (weights)."
        ),
    ]
    json_lines: results.Json = False


@console.guarded
@options_command(Asked)
def export(asked: Asked) -> None:
    """Write a model for other programs: ONNX, torch.export or plain weights, compared with ours first.

    Exit codes: 0 done, 1 the file would compute something else, 2 invalid command. Nothing is written then.
    """
    from gantools import api

    exported = api.export_model(asked.model, asked.output, asked)
    if asked.json_lines:
        console.result_json(exported.facts())
        return
    console.message(f"weights: {console.quoted(str(exported.weights))} ({exported.recipe})")
    for line in exported.lines():
        console.message(line)
    console.result(console.quoted(str(exported.path)))
