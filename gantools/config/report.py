"""Turn pydantic's findings into finished lines: ``file:line: key: what is wrong; did you mean …?``"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gantools.config.options import Options
from gantools.config.source import Path_, Tree
from gantools.errors import ConfigError
from gantools.registry import did_you_mean

M = TypeVar("M", bound=Options)


def validate(schema: type[M], tree: Tree) -> M:
    """Check a whole configuration against ``schema``. Raises ConfigError holding every problem at once."""
    try:
        # Through JSON, because strict pydantic takes a list for a tuple only there.
        return schema.model_validate_json(json.dumps(tree.values), strict=True)
    except ValidationError as error:
        raise ConfigError(_lines(error.errors(include_url=False), schema, tree)) from None


def _lines(found: Sequence[ErrorDetails], schema: type[Options], tree: Tree) -> list[str]:
    lines = dict.fromkeys(_line(detail, schema, tree) for detail in found)
    return sorted(lines, key=lambda line: [int(part) if part.isdigit() else part for part in line.split(":")[:1]])


def _line(detail: ErrorDetails, schema: type[Options], tree: Tree) -> str:
    path, group = _locate(detail["loc"], schema, tree.values)
    key = ".".join(map(str, path)) or "the configuration"
    return f"{tree.origin(path)}: {key}: {_message(detail, group, path)}"


def _message(detail: ErrorDetails, group: type[BaseModel] | None, path: Path_) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = list(group.model_fields) if group else []
        return f"unknown option{_of(group)}{did_you_mean(str(path[-1]), known)}"
    if kind == "union_tag_invalid":
        known = [name.strip(" '") for name in str(context["expected_tags"]).split(",")]
        return f"unknown name {context['tag']!r}{did_you_mean(str(context['tag']), known)}"
    if kind == "union_tag_not_found":
        return "needs a name; write `name: …`"
    if kind == "missing":
        return f"missing{_about(group, str(path[-1]))}"
    if kind == "literal_error":
        return f"{detail['input']!r} is none of {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    return f"{_lower(detail['msg'])}, not {_shown(detail['input'])}"


def _locate(location: Sequence[str | int], schema: Any, values: Any) -> tuple[Path_, type[BaseModel] | None]:
    """Follow pydantic's location to the written path (without union tags) and the options class around its last key."""
    path: list[str | int] = []
    current: Any = schema
    group: type[BaseModel] | None = schema
    for step in location:
        current = _unwrapped(current)
        tagged = _tagged(current)
        if step in tagged and not (isinstance(values, Mapping) and step in values):
            current = tagged[str(step)]
            continue
        if isinstance(current, type) and issubclass(current, BaseModel):
            group = current
            current = group.model_fields[step].annotation if step in group.model_fields else None
        path.append(step)
        values = values.get(step) if isinstance(values, Mapping) else None
    return tuple(path), group


def _unwrapped(annotation: Any) -> Any:
    """Strip ``Annotated`` and ``| None`` from around a single type."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        inner = [one for one in get_args(annotation) if one is not type(None)]
        return _unwrapped(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _tagged(annotation: Any) -> dict[str, type[BaseModel]]:
    """The members of a union of named options, by name."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    models = [_unwrapped(one) for one in members]
    named = [
        one for one in models if isinstance(one, type) and issubclass(one, BaseModel) and "name" in one.model_fields
    ]
    return {
        str(tag): model
        for model in named
        if get_origin(model.model_fields["name"].annotation) is Literal
        for tag in get_args(model.model_fields["name"].annotation)
    }


def _of(group: type[BaseModel] | None) -> str:
    names = list(_tagged(group)) if group else []
    return f' of "{names[0]}"' if names else ""


def _about(group: type[BaseModel] | None, key: str) -> str:
    field = group.model_fields.get(key) if group else None
    return f"; it is {field.description[:1].lower()}{field.description[1:]}" if field and field.description else ""


def _lower(message: str) -> str:
    return (message[:1].lower() + message[1:]).replace("input should be", "should be")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
