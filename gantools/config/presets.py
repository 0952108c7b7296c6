"""The YAML presets that ship with gantools, found by folder and file name; nothing is imported to list them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gantools.errors import UsageError
from gantools.registry import did_you_mean


@dataclass(frozen=True)
class Preset:
    """One shipped configuration: ``configs/<recipe>/<name>.yaml``."""

    recipe: str
    name: str
    path: Path

    @property
    def spec(self) -> str:
        return f"{self.recipe}/{self.name}"

    def header(self) -> list[str]:
        """The comment lines that open the file, without their ``#``."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
        return [line.removeprefix("#").removeprefix(" ") for line in lines[:end]]

    def purpose(self) -> str:
        """The header's first line."""
        return next(iter(self.header()), "")


def folder() -> Path:
    """The folder of presets: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def all_presets() -> list[Preset]:
    """Every preset, by recipe and name."""
    return [Preset(path.parent.name, path.stem, path) for path in sorted(folder().glob("*/*.yaml"))]


def recipes() -> list[str]:
    """Names of the recipes that have presets."""
    return sorted({preset.recipe for preset in all_presets()})


def find(recipe: str, name: str) -> Preset:
    """The preset ``recipe/name``. Raises UsageError with the nearest name."""
    known = [preset for preset in all_presets() if preset.recipe == recipe]
    for preset in known:
        if preset.name == name:
            return preset
    raise UsageError(f"{recipe} has no preset {name!r}{did_you_mean(name, [preset.name for preset in known])}")
