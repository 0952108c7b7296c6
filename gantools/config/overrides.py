"""``KEY=VALUE`` on the command line: dotted keys laid over a configuration, with their own origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gantools.config.source import Tree, parse_value
from gantools.errors import ConfigError


def apply(tree: Tree, overrides: Sequence[str]) -> None:
    """Set every ``a.b.c=value`` in ``tree``. Raises ConfigError naming all malformed ones at once."""
    problems = [f"command line: {text!r}: an override is KEY=VALUE" for text in overrides if not _well_formed(text)]
    if problems:
        raise ConfigError(problems)
    for text in overrides:
        key, _, value = text.partition("=")
        assign(tree, tuple(key.strip().split(".")), parse_value(value), f"command line: {text}")


def assign(tree: Tree, path: tuple[str, ...], value: Any, origin: str) -> None:
    """Set one value, making groups on the way; the origins below a replaced value are forgotten."""
    group = tree.values
    for depth, name in enumerate(path[:-1], start=1):
        if not isinstance(group.get(name), dict):
            group[name] = {}
            tree.origins[path[:depth]] = origin
        group = group[name]
    group[path[-1]] = value
    for known in [known for known in tree.origins if known[: len(path)] == path]:
        del tree.origins[known]
    tree.origins[path] = origin


def _well_formed(text: str) -> bool:
    key, equals, _ = text.partition("=")
    return bool(equals) and all(part.strip() for part in key.split("."))
