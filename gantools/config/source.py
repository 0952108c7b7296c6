"""Configurations as YAML: a safe subset of YAML 1.2 is read, with the origin of every key, overridden and written.

Numbers and booleans follow YAML 1.2 (``1e-4`` is a number, ``no`` is text). Aliases, tags, duplicate keys, absurd depth
and absurd size are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gantools.errors import ConfigError

if TYPE_CHECKING:
    from gantools.config.schema import RunConfig

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

    def assign(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        """Set one value, making groups on the way; the origins below a replaced value are forgotten."""
        group = self.values
        for depth, name in enumerate(path[:-1], start=1):
            if not isinstance(group.get(name), dict):
                group[name] = {}
                self.origins[path[:depth]] = origin
            group = group[name]
        group[path[-1]] = value
        for known in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[known]
        self.origins[path] = origin

    def override(self, overrides: Sequence[str]) -> None:
        """Set every ``a.b.c=value``, as typed. Raises ConfigError naming all malformed ones at once."""
        split = [(text, *text.partition("=")) for text in overrides]
        bad = [text for text, key, equals, _ in split if not equals or not all(part.strip() for part in key.split("."))]
        if bad:
            raise ConfigError([f"command line: {text!r}: an override is KEY=VALUE" for text in bad])
        for text, key, _, value in split:
            self.assign(tuple(key.strip().split(".")), parse_value(value), f"command line: {text}")


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


class _Dumper(yaml.SafeDumper):
    """Block style for groups, one line for lists; text that reads as a number in YAML 1.1 or 1.2 is quoted."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
            *_Loader.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
    }


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def to_yaml(config: RunConfig, tree: Tree) -> str:
    """The whole resolved configuration; comments name the file it came from and every key set outside it."""
    set_elsewhere = [origin for origin in dict.fromkeys(tree.origins.values()) if origin.startswith("command line: ")]
    # repr keeps a comment on its line: a newline or a stray byte in what was typed is escaped.
    header = [f"# {repr(text)[1:-1]}" for text in (f"resolved from {tree.name}", *set_elsewhere)]
    body = yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return "\n".join(header) + "\n" + body


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
        kind = "empty" if value is None else f"a {type(value).__name__}"
        raise ConfigError([f"{name}: a configuration is a mapping of keys to values, this is {kind}"])
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
        refusal = None
        if depth > MAXIMUM_DEPTH:
            refusal = f"nested deeper than {MAXIMUM_DEPTH} levels"
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            refusal = "anchors and aliases are not allowed; write the value out"
        elif tag := getattr(event, "tag", None):
            refusal = f"the tag {tag!r} is not allowed; write a plain value"
        if refusal:
            raise ConfigError([f"{name}:{event.start_mark.line + 1}: {refusal}"])  # type: ignore[union-attr]
    return yaml.compose(text, Loader=_Loader)


def _plain(node: yaml.Node, path: Path_, tree: Tree) -> Any:
    """A node as plain values; the origins of what is in it go to the tree."""
    if isinstance(node, yaml.SequenceNode):
        items = []
        for number, child in enumerate(node.value):
            tree.origins[(*path, number)] = _where(child, tree)
            items.append(_plain(child, (*path, number), tree))
        return items
    if isinstance(node, yaml.MappingNode):
        group: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where, key = _where(key_node, tree), str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError([f"{where}: a key is a word, not a list or a mapping"])
            if key in group:
                raise ConfigError([f"{where}: {key}: written twice in the same group"])
            tree.origins[(*path, key)] = where
            group[key] = _plain(value_node, (*path, key), tree)
        return group
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    try:
        return int(text) if kind == "int" else text
    except ValueError as error:  # Python's limit on the length of numbers
        raise ConfigError([f"{_where(node, tree)}: a number of {len(text):,} digits"]) from error


def _where(node: yaml.Node, tree: Tree) -> str:
    return f"{tree.name}:{node.start_mark.line + 1}"
