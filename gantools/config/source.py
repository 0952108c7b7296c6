"""YAML with line numbers: a safe YAML 1.2 subset in, plain values and the origin of every key out.

Numbers and booleans follow YAML 1.2 (``1e-4`` is a number, ``no`` is text). Aliases, tags, duplicate keys, absurd depth
and absurd size are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gantools.errors import ConfigError

Path_ = tuple[str | int, ...]
MAXIMUM_BYTES = 1_000_000
MAXIMUM_DEPTH = 20


@dataclass
class Tree:
    """A configuration as plain values, with where each key was written (``file:line`` or the command line)."""

    values: dict[str, Any]
    origins: dict[Path_, str] = field(default_factory=dict)
    name: str = "<config>"

    def origin(self, path: Path_) -> str:
        """Where ``path`` or its nearest written ancestor stands."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return self.name

    def position(self, path: Path_) -> int:
        """Reading order of ``path`` or its nearest written ancestor: the file from top to bottom, then overrides."""
        order = {known: number for number, known in enumerate(self.origins)}
        return max((order[path[:length]] for length in range(len(path) + 1) if path[:length] in order), default=-1)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the implicit types of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


def _resolve(kind: str, pattern: str, first: Iterable[str]) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), list(first))


_resolve("null", r"~|null|Null|NULL|", ["~", "n", "N", ""])
_resolve("bool", r"true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("int", r"[-+]?[0-9]+", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "-+0123456789.",
)

IMPLICIT_TYPES = _Loader.yaml_implicit_resolvers


def read_yaml(path: Path) -> Tree:
    """Read one configuration file. Raises ConfigError with ``file:line`` for anything that is not a plain mapping."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(text) > MAXIMUM_BYTES:
        raise ConfigError([f"{path}: {len(text):,} bytes is no configuration; the limit is {MAXIMUM_BYTES:,}"])
    try:
        return parse_yaml(text.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text (byte {error.start})"]) from error


def parse_yaml(text: str, name: str) -> Tree:
    """Parse YAML ``text``; ``name`` stands in messages where a file name would."""
    tree = Tree({}, name=name)
    try:
        node = _compose(text, name)
        value = None if node is None else _plain(node, (), tree)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{name}:{line}: not valid YAML: {error.problem or error.context}"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{name}: not valid YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(value, dict):
        raise ConfigError([f"{name}: a configuration is a mapping of keys to values, this is {_kind(value)}"])
    tree.values = value
    return tree


def parse_value(text: str) -> Any:
    """Parse the right side of ``KEY=VALUE``: a YAML 1.2 scalar, list or mapping; text that is no YAML stays text."""
    try:
        node = _compose(text, "value")
        if isinstance(node, yaml.ScalarNode) and node.style is None and node.value != text.strip():
            return text  # a number sign does not begin a comment here
        return None if node is None else _plain(node, (), Tree({}, name="value"))
    except (yaml.YAMLError, ConfigError):
        return text


def _compose(text: str, name: str) -> yaml.Node | None:
    """The tree of YAML nodes. Its events are looked at first, one by one: a deep tree would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if refusal := _refusal(event, depth):
            raise ConfigError([f"{name}:{event.start_mark.line + 1}: {refusal}"])  # type: ignore[union-attr]
    return yaml.compose(text, Loader=_Loader)


def _refusal(event: yaml.Event, depth: int) -> str | None:
    if depth > MAXIMUM_DEPTH:
        return f"nested deeper than {MAXIMUM_DEPTH} levels"
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "anchors and aliases are not allowed; write the value out"
    if tag := getattr(event, "tag", None):
        return f"the tag {tag!r} is not allowed; write a plain value"
    return None


def _plain(node: yaml.Node, path: Path_, tree: Tree) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, tree)
    if isinstance(node, yaml.SequenceNode):
        return [_item(child, (*path, number), tree) for number, child in enumerate(node.value)]
    return _scalar(node, tree)


def _mapping(node: yaml.MappingNode, path: Path_, tree: Tree) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError([f"{_where(key_node, tree)}: a key is a word, not a list or a mapping"])
        key = str(key_node.value)
        if key in result:
            raise ConfigError([f"{_where(key_node, tree)}: {key}: written twice in the same group"])
        tree.origins[(*path, key)] = _where(key_node, tree)
        result[key] = _plain(value_node, (*path, key), tree)
    return result


def _item(node: yaml.Node, path: Path_, tree: Tree) -> Any:
    tree.origins[path] = _where(node, tree)
    return _plain(node, path, tree)


def _scalar(node: yaml.Node, tree: Tree) -> Any:
    kind = node.tag.rpartition(":")[2]
    text: str = node.value
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return _integer(node, tree)
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _integer(node: yaml.Node, tree: Tree) -> int:
    try:
        return int(node.value)
    except ValueError as error:  # Python's limit on the length of numbers
        raise ConfigError([f"{_where(node, tree)}: a number of {len(node.value):,} digits"]) from error


def _where(node: yaml.Node, tree: Tree) -> str:
    return f"{tree.name}:{node.start_mark.line + 1}"


def _kind(value: Any) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"
