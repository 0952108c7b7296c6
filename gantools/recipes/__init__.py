"""Recipes: one file each, found by file name, so that listing them imports nothing."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from gantools.errors import UsageError
from gantools.registry import did_you_mean

if TYPE_CHECKING:
    from gantools.training.recipe import Recipe


def names() -> list[str]:
    """Names of all recipes."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def find(name: str) -> type[Recipe[Any, Any]]:
    """The class of a recipe: the ``RECIPE`` of the module of that name. Raises UsageError with the nearest name."""
    if name not in names():
        raise UsageError(f"unknown recipe {name!r}{did_you_mean(name, names())}")
    recipe: type[Recipe[Any, Any]] = import_module(f"gantools.recipes.{name}").RECIPE
    return recipe
