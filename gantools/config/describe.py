"""Options in plain lines: value, meaning, and how each stands to the paper and the source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gantools.config.options import Options

KEY_WIDTH, VALUE_WIDTH = 44, 16


def lines(config: Options) -> list[str]:
    """One line per option, and one more for what the paper and the source say where they say something."""
    return [
        f"{'option':{KEY_WIDTH}} {'value':{VALUE_WIDTH}} meaning [paper | source | why]",
        *_group(config, ""),
    ]


def _group(options: Options, prefix: str) -> Iterator[str]:
    for name, field in type(options).model_fields.items():
        value, key = getattr(options, name), f"{prefix}{name}"
        if isinstance(value, Options):
            yield f"{key}"
            yield from _group(value, f"{key}.")
        elif isinstance(value, tuple) and value and all(isinstance(item, Options) for item in value):
            yield f"{key:{KEY_WIDTH}} {'':{VALUE_WIDTH}} {field.description}{_facts(field.json_schema_extra)}"
            for number, item in enumerate(value):
                yield from _group(item, f"{key}.{number}.")
        else:
            meaning = f"{field.description or _named(options)}{_facts(field.json_schema_extra)}"
            yield f"{key:{KEY_WIDTH}} {shown(value):{VALUE_WIDTH}} {meaning}"


@dataclass(frozen=True)
class Difference:
    """An option whose value is not the paper's."""

    key: str
    value: Any
    paper: Any
    why: str | None


def differences(options: Options, prefix: str = "") -> Iterator[Difference]:
    """Every option that the paper has another value for."""
    for name, field in type(options).model_fields.items():
        value, facts = getattr(options, name), field.json_schema_extra
        if isinstance(value, Options):
            yield from differences(value, f"{prefix}{name}.")
        elif isinstance(facts, dict) and "paper" in facts and _plain(facts["paper"]) != _plain(value):
            yield Difference(f"{prefix}{name}", value, facts["paper"], _word(facts.get("why")))


def _plain(value: Any) -> Any:
    """Lists and tuples are one, as they are in YAML."""
    return list(value) if isinstance(value, tuple) else value


def _word(why: object) -> str | None:
    return why if isinstance(why, str) else None


def _facts(extra: Any) -> str:
    """`` [paper 100 | source 100 | why …]``, with only what is known."""
    facts = extra if isinstance(extra, dict) else {}
    known = [f"{key} {shown(facts[key])}" for key in ("paper", "source", "why") if key in facts]
    return f" [{' | '.join(known)}]" if known else ""


def _named(options: Options) -> str:
    return (type(options).__doc__ or "").splitlines()[0]


def shown(value: Any) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, default=_changed_options)


def _changed_options(options: Options) -> dict[str, Any]:
    """What stands in a configuration of an item of a list: its name, and what differs from its defaults."""
    named = {"name": options.name} if hasattr(options, "name") else {}
    return {**named, **options.model_dump(mode="json", exclude_defaults=True)}
