"""Options in plain lines, and how they differ: from the paper's, and from those that a run had before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from gantools.config.options import Options
from gantools.config.schema import RunConfig, StageOptions
from gantools.errors import UsageError

_AMOUNT = re.compile(r"([1-9]\d*)(steps?|epochs?|kimg)?")
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
            what = field.description or (type(options).__doc__ or "").splitlines()[0]
            meaning = f"{what}{_facts(field.json_schema_extra)}"
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
        elif isinstance(facts, dict) and "paper" in facts:
            paper, why = facts["paper"], facts.get("why")
            here, there = (list(each) if isinstance(each, tuple) else each for each in (value, paper))  # as in YAML
            if here != there:
                yield Difference(f"{prefix}{name}", value, paper, str(why) if why else None)


def _facts(extra: Any) -> str:
    """`` [paper 100 | source 100 | why …]``, with only what is known."""
    facts = extra if isinstance(extra, dict) else {}
    known = [f"{key} {shown(facts[key])}" for key in ("paper", "source", "why") if key in facts]
    return f" [{' | '.join(known)}]" if known else ""


def shown(value: Any) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"

    def written(options: Options) -> dict[str, Any]:
        """An item of a list: its name, and what differs from its defaults."""
        named = {"name": options.name} if hasattr(options, "name") else {}
        return {**named, **options.model_dump(mode="json", exclude_defaults=True)}

    return json.dumps(value, default=written)


class Change(NamedTuple):
    """One setting that is another than before; None where it was, or is, not there."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {_said(self.before)} → {_said(self.after)}"


def between(before: RunConfig, after: RunConfig) -> list[Change]:
    """Every setting in which two configurations differ, in the order of the file."""
    old, new = dict(_leaves(before.model_dump(mode="json"))), dict(_leaves(after.model_dump(mode="json")))
    keys = dict.fromkeys([*old, *new])
    return [Change(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _said(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def extension(config: RunConfig, amount: str) -> str:
    """``--extend`` as an override: the last stage longer by ``500`` or ``500steps``, or by ``2epochs``.

    Raises UsageError for what is no amount, and where it is in another unit than the stage's length.
    """
    match = _AMOUNT.fullmatch(amount)
    if not match:
        raise UsageError(f"--extend {amount}: write how many steps more (500), or epochs (2epochs), or kimg (50kimg)")
    stages: list[tuple[str, StageOptions[Any]]] = list(config.stages)
    name, stage = stages[-1]
    typed = match[2] or "steps"
    unit = typed if typed == "kimg" else f"{typed.removesuffix('s')}s"
    length: float | None = getattr(stage, unit)
    if length is None:
        other = next(each for each in ("steps", "epochs", "kimg") if getattr(stage, each) is not None)
        raise UsageError(f"--extend {amount}: stage {name} is {getattr(stage, other):g} {other} long; give {other}")
    return f"stages.{name}.{unit}={length + int(match[1]):g}"
