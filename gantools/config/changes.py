"""What a resumed run does otherwise than it did: settings given with ``--resume``, and a last stage made longer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from gantools.config.options import Options
from gantools.config.schema import RunConfig, StageOptions
from gantools.errors import UsageError

_AMOUNT = re.compile(r"([1-9]\d*)(steps?|epochs?|kimg)?")


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
    name, stage = _last_stage(config.stages)
    typed = match[2] or "steps"
    unit = typed if typed == "kimg" else f"{typed.removesuffix('s')}s"
    length: float | None = getattr(stage, unit)
    if length is None:
        other = next(each for each in ("steps", "epochs", "kimg") if getattr(stage, each) is not None)
        raise UsageError(f"--extend {amount}: stage {name} is {getattr(stage, other):g} {other} long; give {other}")
    return f"stages.{name}.{unit}={length + int(match[1]):g}"


def _last_stage(stages: Options) -> tuple[str, StageOptions[Any]]:
    return list(stages)[-1]
