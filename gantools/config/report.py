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
        hint = _renamed_group(path, tree) if detail["type"] == "extra_forbidden" else ""
        messages.setdefault(path, []).append(hint or _message(detail, group, path))
    inner = [path for path in messages if not any(path == other[: len(path)] for other in messages if other != path)]
    return [
        f"{tree.origin(path)}: {'.'.join(map(str, path)) or 'the configuration'}: {_joined(messages[path])}"
        for path in sorted(inner, key=tree.position)
    ]


def _renamed_group(path: Path_, tree: Tree) -> str:
    """How to leave out an option of a file's group whose name an override has changed; else nothing."""
    group, name = path[:-1], tree.origins.get((*path[:-1], "name"), "")
    if not name.startswith("command line") or tree.origin(path).startswith("command line"):
        return ""
    key = ".".join(map(str, group))
    new = name.rpartition("=")[2]
    return f"belongs to another name; write {key}={{name: {new}}} to replace the whole group"


def _joined(messages: Sequence[str]) -> str:
    """What every member of a union expects, as one sentence: ``should be …, not 3`` twice ends in ``not 3`` once."""
    *first, last = dict.fromkeys(messages)
    ending = f", not {last.rpartition(', not ')[2]}"
    return " or ".join([*(message.removesuffix(ending) for message in first), last])


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
        short = detail["loc"][-1] != path[-1]
        return f"too few items in {_shown(detail['input'])}" if short else f"missing{_about(group, str(path[-1]))}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "json_invalid":
        return "holds text that is not valid Unicode, such as a file name in another encoding"
    return f"{_expected(detail)}, not {_shown(detail['input'])}"


def _expected(detail: ErrorDetails) -> str:
    """``should be …``, pydantic's text without its type names."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "literal_error":
        return f"should be {context['expected']}"
    if kind == "too_short":
        least = int(context["min_length"])
        return f"should have at least {least} item{'s' * (least > 1)}"
    if kind == "too_long":
        return f"should have at most {context['max_length']} items"
    message = detail["msg"].removeprefix("Input ")
    for theirs, ours in _PLAIN_WORDS.items():
        message = message.replace(theirs, ours)
    return message


def _locate(detail: ErrorDetails, schema: Any, values: Any) -> tuple[Path_, type[BaseModel] | None]:
    """The written path of a finding and the options class around its last key.

    Pydantic's location also names the members of unions, and the items that a list lacks: those were not written.
    """
    path: list[str | int] = []
    expected, group = schema, schema
    for step in detail["loc"]:
        expected = _unwrapped(expected)
        if not _is_written(step, expected, values):
            expected = _tagged(expected).get(str(step))
            continue
        group = expected if _is_group(expected) else group
        expected, values = _below(expected, step), _inside(values, step)
        path.append(step)
    if detail["type"] == "union_tag_invalid":
        path.append("name")
    return tuple(path), group


def _is_written(step: str | int, expected: Any, values: Any) -> bool:
    """Whether a step of a location is a key or an item in the file."""
    if isinstance(values, Mapping) and step in values:
        return not _is_union(expected)
    lacks = isinstance(values, list) and step not in range(len(values))
    return not (lacks or _is_union(expected) or step in _tagged(expected))


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


def _inside(values: Any, step: str | int) -> Any:
    if isinstance(values, list):
        return values[int(step)]
    return values.get(step) if isinstance(values, Mapping) else None


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


def _of(group: type[BaseModel] | None) -> str:
    names = list(_tagged(group)) if group else []
    return f' of "{names[0]}"' if names else ""


def _about(group: type[BaseModel] | None, key: str) -> str:
    field = group.model_fields.get(key) if group else None
    return f"; it is {field.description[:1].lower()}{field.description[1:]}" if field and field.description else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
