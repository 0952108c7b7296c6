"""Commands with many options: these are the fields of a dataclass, which the command gets as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature, get_annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

import typer
from typer.models import ArgumentInfo

from gantools.config.command import Option, choices_of, hints_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

A = TypeVar("A", bound="DataclassInstance")


def options_command(options: type[A]) -> Callable[[Callable[[A], None]], Callable[..., None]]:
    """Let a command that takes ``options`` show each of its fields as an argument or option of its own.

    The help lists a class's own options before those of its bases. Fields that are neither, by a ``typer.Option``, a
    ``typer.Argument`` or an ``Option``, keep their defaults.
    """
    hints, known = hints_of(options), {each.name: each for each in fields(options)}
    arguments = [name for name in known if isinstance(_note(hints[name]), ArgumentInfo)]
    own_first = [name for each in options.__mro__ for name in get_annotations(each)]
    names = dict.fromkeys([*arguments, *own_first])
    shown = [_parameter(known[name], hints[name]) for name in names if _note(hints[name]) is not None]

    def around(command: Callable[[A], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            command(options(**{name: _value(given[name], hints[name]) for name in given}))

        run.__signature__ = Signature(shown, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {**{each.name: each.annotation for each in shown}, "return": None}
        return run

    return around


def _note(hint: Any) -> Any:
    """What a field says about itself beside its type; None where it says nothing."""
    return next(iter(getattr(hint, "__metadata__", ())), None)


def _parameter(field: Field[Any], hint: Any) -> Parameter:
    """A field as Typer takes it: what is parsed is text to it, and choices are words."""
    default = Parameter.empty if field.default is MISSING else field.default
    option = _note(hint)
    if isinstance(option, Option):
        kind, *_ = get_args(hint)
        if option.parse:
            default = option.default
            kind = str if default else str | None
        elif choices := choices_of(kind):
            default = None if default is None else str(default)
            words = Literal[tuple(str(each) for each in choices if each is not None)]  # type: ignore[valid-type]
            kind = words | None if default is None else words
        flags = option.flags.split() or [f"--{field.name.replace('_', '-')}"]
        shown = typer.Option(
            *flags,
            help=option.help,
            metavar=option.metavar or (None if option.min is None else "N"),
            min=option.min,
            max=option.max,
            show_default=True if option.parse or not option.default else option.default,
            envvar=option.environment,
        )
        hint = Annotated[kind, shown]
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _value(typed: Any, hint: Any) -> Any:
    """A choice as the field has it, which may be a number."""
    return next((each for each in choices_of(get_args(hint)[0]) if str(each) == typed), typed)
