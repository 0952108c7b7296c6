"""Commands with many options: these are the fields of a dataclass, which the command gets as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

A = TypeVar("A", bound="DataclassInstance")


def options_command(asked: type[A]) -> Callable[[Callable[[A], None]], Callable[..., None]]:
    """Let a command that takes an ``asked`` show each of its fields as an argument or option of its own."""
    hints = get_type_hints(asked, include_extras=True)

    def around(command: Callable[[A], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            command(asked(**given))

        shown = [_parameter(field, hints[field.name]) for field in fields(asked)]
        run.__signature__ = Signature(shown, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {**hints, "return": None}
        return run

    return around


def _parameter(field: Field[Any], hint: Any) -> Parameter:
    default = Parameter.empty if field.default is MISSING else field.default
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)
