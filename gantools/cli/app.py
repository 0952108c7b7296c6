"""The ``gantools`` command with all its subcommands. Nothing here imports torch."""

from __future__ import annotations

from typing import Annotated

import typer

from gantools.cli.commands import (
    bench,
    compare,
    data,
    demo,
    directions,
    doctor,
    eval,
    export,
    generate,
    infer,
    project,
    recipes,
    runs,
    styles,
    train,
    ui,
    weights,
)
from gantools.cli.output import console

app = typer.Typer(
    name="gantools",
    help="GAN recipes: train, resume, run over files and folders, generate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("list")(recipes.list_recipes)
app.command("show")(recipes.show)
app.command("check")(recipes.check)
app.command("schema")(recipes.schema)
app.command("train")(train.train)
app.command("infer")(infer.infer)
app.command("generate")(generate.generate)
app.command("project")(project.project)
app.command("mix")(styles.mix)
app.command("edit")(styles.edit)
app.command("eval")(eval.evaluate)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("report")(runs.report)
app.command("watch")(runs.watch)
app.command("ui")(ui.ui)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("bench")(bench.bench)
app.add_typer(data.app, name="data", help="Make and inspect training data.")
app.add_typer(directions.app, name="directions", help="Directions of styles, for edit.")
app.add_typer(weights.app, name="weights", help="Installed weights and feature networks.")


def _version(wanted: bool) -> None:
    if wanted:
        from gantools import __version__

        console.result(f"gantools {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with a failure.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No messages and no progress; failures only.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print more.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours; so does the variable NO_COLOR.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback reads it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""
    console.Settings.debug, console.Settings.quiet = debug, quiet
    console.Settings.verbose, console.Settings.color = verbose, not no_color
