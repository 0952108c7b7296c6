"""Commands with many options: these are the fields of a dataclass, which the command gets as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import typer

from gantools.config.command import Option, choices_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

A = TypeVar("A", bound="DataclassInstance")


def options_command(options: type[A]) -> Callable[[Callable[[A], None]], Callable[..., None]]:
    """Let a command that takes ``options`` show each of its fields as an argument or option of its own.

    Fields that are neither, by a ``typer.Option``, a ``typer.Argument`` or an ``Option``, keep their defaults.
    """
    hints = get_type_hints(options, include_extras=True)
    shown = [
        each for each in fields(options) if get_args(hints[each.name]) and hasattr(hints[each.name], "__metadata__")
    ]
    parameters = [_parameter(each, hints[each.name]) for each in shown]

    def around(command: Callable[[A], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            command(options(**{name: _value(given[name], hints[name]) for name in given}))

        run.__signature__ = Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {**{each.name: each.annotation for each in parameters}, "return": None}
        return run

    return around


def option_of(options: type[DataclassInstance], name: str) -> Any:
    """The option that a field of ``options`` is, for a command that shares it."""
    hint = get_type_hints(options, include_extras=True)[name]
    return _typer_option(name, next(note for note in hint.__metadata__ if isinstance(note, Option)))


def _typer_option(name: str, option: Option) -> Any:
    flags = option.flags.split() or [f"--{name.replace('_', '-')}"]
    return typer.Option(
        *flags,
        help=option.help,
        metavar=option.metavar or (None if option.min is None else "N"),
        min=option.min,
        max=option.max,
        show_default=True if option.parse or not option.default else option.default,
        envvar=option.environment,
    )


def _parameter(field: Field[Any], hint: Any) -> Parameter:
    """A field as Typer takes it: what is parsed is text to it, and choices are words."""
    default = Parameter.empty if field.default is MISSING else field.default
    option = next((note for note in hint.__metadata__ if isinstance(note, Option)), None)
    if option is not None:
        kind, *_ = get_args(hint)
        if option.parse:
            default = option.default
            kind = str if default else str | None
        elif choices := choices_of(kind):
            default = None if default is None else str(default)
            words = Literal[tuple(str(each) for each in choices if each is not None)]  # type: ignore[valid-type]
            kind = words | None if default is None else words
        hint = Annotated[kind, _typer_option(field.name, option)]
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _value(typed: Any, hint: Any) -> Any:
    """A choice as the field has it, which may be a number."""
    return next((each for each in choices_of(get_args(hint)[0]) if str(each) == typed), typed)
