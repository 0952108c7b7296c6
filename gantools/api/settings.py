"""Settings of a training run: a preset or file, and ``KEY=VALUE`` on top, checked before anything is done."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from gantools.config.presets import Preset
    from gantools.config.schema import RunConfig
    from gantools.config.source import Tree
    from gantools.training.recipe import Recipe


@dataclass(frozen=True)
class Settings:
    """A checked configuration, the recipe it is for, and where each of its keys was written."""

    recipe: type[Recipe[Any, Any]]
    config: RunConfig
    tree: Tree

    def to_yaml(self) -> str:
        """The whole configuration as YAML, which can be read again."""
        from gantools.config.source import to_yaml

        return to_yaml(self.config, self.tree)


def list_presets() -> list[Preset]:
    """Every preset, by recipe and name."""
    from gantools.config import presets

    return presets.all_presets()


def find_recipe(spec: str) -> type[Recipe[Any, Any]]:
    """The recipe of ``RECIPE`` or ``RECIPE/PRESET``. Raises UsageError with the nearest name."""
    from gantools import recipes

    return recipes.find(spec.partition("/")[0])


def configure(
    spec: str,
    file: Path | None = None,
    data: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Settings:
    """Read and check the configuration of ``RECIPE[/PRESET]``, or of ``file`` for it. No torch is imported.

    ``spec`` may also be a configuration file, which names its own recipe. ``data`` are folders, ``overrides`` changes
    as ``KEY=VALUE``. Raises ConfigError with every mistake as ``file:line: key: what is wrong``.

    >>> from gantools import configure
    >>> configure("srgan/compact", overrides=["train.ema_decay=0.99"]).config.train.ema_decay
    0.99
    """
    from gantools.config import presets
    from gantools.config.source import read_yaml

    path, is_recipe = Path(spec), spec in presets.recipes()
    if not is_recipe and (path / "config.yaml").is_file():
        raise UsageError(
            f"{spec}: is a run: continue it with gantools train --resume {spec}, or start again with {spec}/config.yaml"
        )
    is_file = path.suffix in (".yaml", ".yml") or (path.is_file() and not is_recipe)
    name, _, preset = spec.partition("/")
    if file is not None and (is_file or (preset and find_recipe(spec))):
        raise UsageError(f"{spec} and --config {file} both name a configuration; give one")
    if is_file:
        return read_config(path, data, overrides)
    recipe = find_recipe(spec)
    tree = read_yaml(file or presets.find(name, preset or recipe.default_preset).path)
    return check(_overridden(tree, data, overrides), recipe, name)


def read_config(file: Path, data: Sequence[str] = (), overrides: Sequence[str] = ()) -> Settings:
    """Read and check a configuration file that names its own recipe. Raises ConfigError."""
    from gantools import recipes
    from gantools.config.source import read_yaml
    from gantools.registry import did_you_mean

    tree = _overridden(read_yaml(file), data, overrides)
    name = tree.values.get("recipe")
    if not isinstance(name, str) or name not in recipes.names():
        near = did_you_mean(str(name), recipes.names())
        raise ConfigError([f"{tree.origin(('recipe',))}: recipe: {name!r} is no recipe{near}"])
    return check(tree, recipes.find(name), name)


def _overridden(tree: Tree, data: Sequence[str], overrides: Sequence[str]) -> Tree:
    if data:
        folders = data[0] if len(data) == 1 else list(data)
        tree.assign(("data", "dir"), folders, f"command line: --data {' '.join(data)}")
    tree.override(overrides)
    return tree


def check(tree: Tree, recipe: type[Recipe[Any, Any]], name: str) -> Settings:
    """Check a configuration tree against a recipe's schema. Raises ConfigError; warns of unusual values."""
    from gantools.config import report

    written = tree.values.get("recipe", name)
    if written != name:
        raise ConfigError([f"{tree.origin(('recipe',))}: recipe: this file is for {written!r}, not for {name!r}"])
    config = report.validate(recipe.config_type, tree)
    for line in report.implausible(config, tree):
        warnings.warn(line, stacklevel=2)
    return Settings(recipe, config, tree)


def with_generator_of(settings: Settings, weights: Path) -> Settings:
    """The settings with the generator of imported weights in place of their own: another could not start from them.

    Data that says how many times larger results are (``data.scale``) follows it, unless the command line set it; what
    the command line says of the generator holds, too.
    So it is with what was trained on from imported weights; other weights of our own leave the settings as they are.
    Raises ConfigError where the recipe has no such generator.
    """
    from gantools.checkpoint.weights import describe as described
    from gantools.config.source import Tree

    file = described(weights)
    export = file.exports.get("generator")
    theirs = file.about.get("imported") or file.about.get("started_from")
    if theirs is None or export is None or export.takes not in ("picture", "masked"):
        return settings
    tree = Tree(deepcopy(settings.tree.values), dict(settings.tree.origins), settings.tree.name)
    origin, scale = f"--init-from {theirs['file']}", ("data", "scale")
    typed = [
        at.removeprefix("command line: ")
        for key, at in tree.origins.items()
        if key[:2] == ("model", "generator") and at.startswith("command line: ")
    ]
    tree.assign(("model", "generator"), dict(export.options), origin)
    tree.override(list(dict.fromkeys(typed)))
    if hasattr(settings.config.data, "scale") and not tree.origin(scale).startswith("command line: "):
        tree.assign(scale, export.scale, origin)
    return check(tree, settings.recipe, settings.config.recipe)


def describe(settings: Settings) -> str:
    """What a recipe does, how its data is laid out, and every option with its value, the paper's and the source's.

    >>> from gantools import configure, describe
    >>> describe(configure("pix2pix/facades")).splitlines()[0]
    'pix2pix: A U-Net draws the target; a PatchGAN sees it beside the source.'
    """
    from gantools.config import describe

    name = settings.config.recipe
    own = [preset for preset in list_presets() if preset.recipe == name]
    header = next((preset.header() for preset in own if str(preset.path) == settings.tree.name), [])
    title = f"{name}: {(settings.recipe.__doc__ or '').splitlines()[0]}"
    names = f"presets: {', '.join(preset.name for preset in own)}"
    return "\n".join([title, names, "", *header, "", *describe.lines(settings.config)])


def json_schema(recipe: str | None = None) -> dict[str, Any]:
    """The JSON Schema of a recipe's configuration, of all recipes without a name. Raises UsageError."""
    from gantools.config import presets

    if recipe is not None:
        return find_recipe(recipe).config_type.model_json_schema()
    return {"oneOf": [json_schema(name) for name in presets.recipes()]}


def inspect(settings: Settings, *, device: str = "auto", dry_run: bool = False) -> list[str]:
    """Check the device, the data and the networks of a run; one line per finding. Raises UsageError.

    ``dry_run`` also computes one training step of every stage.
    """
    from gantools.training import setup

    prepared = setup.prepare(settings.recipe, settings.config, device)
    return setup.findings(prepared, dry_run=dry_run)
