"""``list``, ``show``, ``check`` and ``schema``: recipes, their settings, and whether a configuration is valid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli.output import console
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.api import Settings

Json = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change, such as model.pixel_weight=50.")
]
Data = Annotated[list[str] | None, typer.Option("--data", metavar="DIR", help="Folder of images (may be repeated).")]


@console.guarded
def list_recipes(json: Json = False) -> None:
    """List recipes and their presets."""
    from gantools.config import presets

    found = presets.all_presets()
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
    from gantools.config import dump

    settings = api.configure(recipe, overrides=overrides or ())
    if config:
        console.result(dump.to_yaml(settings.config, settings.tree).rstrip())
        return
    console.result(api.describe(settings))


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

    settings = configured(what, None, data or (), overrides or ())
    for line in api.inspect(settings, device=device, dry_run=dry_run):
        console.result(line)
    console.result("OK")


def configured(what: str, file: Path | None, data: Sequence[str], overrides: Sequence[str]) -> Settings:
    """The settings of ``RECIPE[/PRESET]`` with ``--config``, or of a FILE. Raises UsageError or ConfigError."""
    from gantools import api
    from gantools.config import presets

    path = Path(what)
    if what not in presets.recipes() and (path / "config.yaml").is_file():
        raise UsageError(
            f"{what}: is a run: continue it with gantools train --resume {what}, or start again with {what}/config.yaml"
        )
    if path.suffix not in (".yaml", ".yml") and (what in presets.recipes() or not path.is_file()):
        return api.configure(what, file, data, overrides)
    if file is not None:
        raise UsageError(f"{what} and --config {file} both name a configuration; give one")
    return api.read_config(path, data, overrides)


@console.guarded
def schema(recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]")] = None) -> None:
    """Print the JSON Schema of a recipe's configuration (of all recipes without a name), for editors."""
    import json

    from gantools import api
    from gantools.config import presets

    schemas: list[dict[str, Any]] = [
        api.find_recipe(name).config_type.model_json_schema() for name in ([recipe] if recipe else presets.recipes())
    ]
    console.result(json.dumps(schemas[0] if recipe else {"oneOf": schemas}, indent=2))
