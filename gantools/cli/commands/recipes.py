"""``list``, ``show``, ``check`` and ``schema``: recipes, their settings, and whether a configuration is valid."""

from __future__ import annotations

from typing import Annotated

import typer

from gantools.cli.output import console

Json = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change, such as model.pixel_weight=50.")
]
Data = Annotated[list[str] | None, typer.Option("--data", metavar="DIR", help="Folder of images (may be repeated).")]


@console.guarded
def list_recipes(json: Json = False) -> None:
    """List recipes and their presets."""
    from gantools import api

    found = api.list_presets()
    width = max(len(preset.spec) for preset in found)
    for preset in found:
        if json:
            console.result_json({"recipe": preset.recipe, "preset": preset.name, "purpose": preset.purpose()})
        else:
            console.result(f"{preset.spec:{width}}  {preset.purpose()}")


@console.guarded
def show(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE[/PRESET]")],
    overrides: Overrides = None,
    config: Annotated[bool, typer.Option("--config", help="Print the resolved YAML instead.")] = False,
) -> None:
    """Show what a recipe does and every option: value, paper, source, why."""
    from gantools import api

    settings = api.configure(recipe, overrides=overrides or ())
    console.result(settings.to_yaml().rstrip() if config else api.describe(settings))


@console.guarded
def check(
    what: Annotated[str, typer.Argument(metavar="FILE|RECIPE[/PRESET]")],
    overrides: Overrides = None,
    data: Data = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda[:N] or mps.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Also compute one training step of every stage.")] = False,
) -> None:
    """Check a configuration, its data and the device before a run."""
    from gantools import api

    settings = api.configure(what, None, data or (), overrides or ())
    for line in api.inspect(settings, device=device, dry_run=dry_run):
        console.result(line)
    console.result("OK")


@console.guarded
def schema(recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]")] = None) -> None:
    """Print the JSON Schema of a recipe's configuration (of all recipes without a name), for editors."""
    import json

    from gantools import api

    console.result(json.dumps(api.json_schema(recipe), indent=2))
