"""Turn pydantic's findings into finished lines: ``file:line: key: what is wrong; did you mean …?``"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeGuard, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gantools.config.options import Options
from gantools.config.source import Path_, Tree
from gantools.errors import ConfigError
from gantools.registry import did_you_mean

M = TypeVar("M", bound=Options)

_PLAIN_WORDS = {"a valid array": "a list", "an object": "a group of options", "a valid boolean": "true or false"}


def validate(schema: type[M], tree: Tree) -> M:
    """Check a whole configuration against ``schema``. Raises ConfigError holding every problem at once."""
    try:
        # Through JSON, because strict pydantic takes a list for a tuple only there.
        return schema.model_validate_json(json.dumps(tree.values), strict=True)
    except ValidationError as error:
        raise ConfigError(_lines(error.errors(include_url=False), schema, tree)) from None


def implausible(config: Options, tree: Tree) -> list[str]:
    """One line for each number outside of the range that its setting is used with, in reading order."""
    found = dict(_outside(config, ()))
    return [
        f"{tree.origin(path)}: {'.'.join(map(str, path))}: {found[path]}; is this meant?"
        for path in sorted(found, key=tree.position)
    ]


def _outside(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _outside(item, (*path, number))
    if not isinstance(value, Options):
        return
    for name, field in type(value).model_fields.items():
        inner, facts = getattr(value, name), field.json_schema_extra
        yield from _outside(inner, (*path, name))
        if isinstance(facts, dict) and isinstance(bounds := facts.get("plausible"), list):
            low, high = (float(str(bound)) for bound in bounds)
            numbers = inner if isinstance(inner, tuple) else (inner,)
            if any(isinstance(each, int | float) and not low <= each <= high for each in numbers):
                yield (*path, name), f"{_shown(inner)} is outside of the usual range, {low:g} to {high:g}"


def _lines(found: Sequence[ErrorDetails], schema: type[Options], tree: Tree) -> list[str]:
    """One line per key, in reading order. A group's own finding gives way to those inside it, which say more."""
    messages: dict[Path_, list[str]] = {}
    for detail in found:
        path, group = _locate(detail, schema, tree.values)
        message = _message(detail, group, path)
        name = tree.origins.get((*path[:-1], "name"), "")
        renamed = name.startswith("command line") and not tree.origin(path).startswith("command line")
        if detail["type"] == "extra_forbidden" and renamed:
            key, new = ".".join(map(str, path[:-1])), name.rpartition("=")[2]
            message = f"belongs to another name; write {key}={{name: {new}}} to replace the whole group"
        messages.setdefault(path, []).append(message)
    inner = [path for path in messages if not any(path == other[: len(path)] for other in messages if other != path)]
    return [
        f"{tree.origin(path)}: {'.'.join(map(str, path)) or 'the configuration'}: {_joined(messages[path])}"
        for path in sorted(inner, key=tree.position)
    ]


def _joined(messages: Sequence[str]) -> str:
    """What every member of a union expects, as one sentence: ``should be …, not 3`` twice ends in ``not 3`` once."""
    *first, last = dict.fromkeys(messages)
    ending = f", not {last.rpartition(', not ')[2]}"
    return " or ".join([*(message.removesuffix(ending) for message in first), last])


def _message(detail: ErrorDetails, group: type[BaseModel] | None, path: Path_) -> str:
    """What is wrong with the key at ``path``, an option of ``group``."""
    context, fields = detail.get("ctx", {}), group.model_fields if group else {}
    match detail["type"]:
        case "extra_forbidden":
            names = list(_tagged(group)) if group else []
            of = f' of "{names[0]}"' if names else ""
            return f"unknown option{of}{did_you_mean(str(path[-1]), fields)}"
        case "union_tag_invalid":
            known = [name.strip(" '") for name in str(context["expected_tags"]).split(",")]
            return f"unknown name {context['tag']!r}{did_you_mean(str(context['tag']), known)}"
        case "union_tag_not_found":
            return "needs a name; write `name: …`"
        case "missing" if detail["loc"][-1] != path[-1]:
            return f"too few items in {_shown(detail['input'])}"
        case "missing":
            about = fields[str(path[-1])].description if path[-1] in fields else None
            return f"missing; it is {about[:1].lower()}{about[1:]}" if about else "missing"
        case "value_error":
            return str(context["error"])
        case "json_invalid":
            return "holds text that is not valid Unicode, such as a file name in another encoding"
        case "literal_error":
            expected = f"should be {context['expected']}"
        case "too_short":
            least = int(context["min_length"])
            expected = f"should have at least {least} item{'s' * (least > 1)}"
        case "too_long":
            expected = f"should have at most {context['max_length']} items"
        case _:
            expected = detail["msg"].removeprefix("Input ")
            for theirs, ours in _PLAIN_WORDS.items():
                expected = expected.replace(theirs, ours)
    return f"{expected}, not {_shown(detail['input'])}"


def _locate(detail: ErrorDetails, schema: Any, values: Any) -> tuple[Path_, type[BaseModel] | None]:
    """The written path of a finding and the options class around its last key.

    Pydantic's location also names the members of unions, and the items that a list lacks: those were not written.
    """
    path: list[str | int] = []
    expected, group = schema, schema
    for step in detail["loc"]:
        expected = _unwrapped(expected)
        in_file = isinstance(values, Mapping) and step in values
        lacks = isinstance(values, list) and step not in range(len(values))
        if _is_union(expected) or (not in_file and (lacks or step in _tagged(expected))):
            expected = _tagged(expected).get(str(step))
            continue
        group = expected if _is_group(expected) else group
        expected = _below(expected, step)
        values = values[int(step)] if isinstance(values, list) else values.get(step) if in_file else None
        path.append(step)
    if detail["type"] == "union_tag_invalid":
        path.append("name")
    return tuple(path), group


def _is_union(expected: Any) -> bool:
    return get_origin(expected) in (Union, UnionType)


def _is_group(expected: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(expected, type) and issubclass(expected, BaseModel)


def _below(expected: Any, step: str | int) -> Any:
    """What is expected at a key or item of what is expected."""
    if _is_group(expected):
        field = expected.model_fields.get(str(step))
        return field.annotation if field else None
    return get_args(expected)[0] if get_origin(expected) in (tuple, list) and isinstance(step, int) else expected


def _unwrapped(annotation: Any) -> Any:
    """Strip ``Annotated`` and ``| None`` from around a single type."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if _is_union(annotation):
        inner = [one for one in get_args(annotation) if one is not type(None)]
        return _unwrapped(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _tagged(annotation: Any) -> dict[str, type[BaseModel]]:
    """The members of a union of named options, by name."""
    members = get_args(annotation) if _is_union(annotation) else (annotation,)
    models = [_unwrapped(one) for one in members]
    named = [one for one in models if _is_group(one) and "name" in one.model_fields]
    return {
        str(tag): model
        for model in named
        if get_origin(model.model_fields["name"].annotation) is Literal
        for tag in get_args(model.model_fields["name"].annotation)
    }


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
