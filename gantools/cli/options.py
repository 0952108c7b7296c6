"""Commands with many options: these are the fields of dataclasses, which the command gets as values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature, get_annotations
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.models import ArgumentInfo

from gantools.config.command import Option, choices_of, hints_of


def options_command(*kinds: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command that takes objects of these dataclasses show each of their fields as an argument or option.

    The help lists required options first, then a class's own before those of its bases. Fields that are neither, by a
    ``typer.Option``, a ``typer.Argument`` or an ``Option``, keep their defaults.
    """
    hints = {name: hint for kind in kinds for name, hint in hints_of(kind).items() if _note(hint) is not None}
    known = {each.name: each for kind in kinds for each in fields(kind) if each.name in hints}
    arguments = [name for name in known if isinstance(_note(hints[name]), ArgumentInfo)]
    required = [name for name, each in known.items() if each.default is MISSING]
    own_first = [name for kind in kinds for each in kind.__mro__ for name in get_annotations(each) if name in known]
    shown = [_parameter(known[name], hints[name]) for name in dict.fromkeys([*arguments, *required, *own_first])]

    def around(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            values = {}
            for name, typed in given.items():  # a choice as the field has it, which may be a number
                choices = choices_of(get_args(hints[name])[0])
                values[name] = next((each for each in choices if str(each) == typed), typed)
            command(
                *(
                    kind(**{each.name: values[each.name] for each in fields(kind) if each.name in values})
                    for kind in kinds
                )
            )

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
        metavar = option.metavar or (None if option.min is None else "N")
        if option.parse:
            default = option.default
            kind = str if default else str | None
        elif choices := choices_of(kind):
            words = [str(each) for each in choices if each is not None]
            if any(get_origin(part) is list for part in get_args(kind)):
                kind, metavar = list[str] | None, metavar or f"<{'|'.join(words)}>"  # Typer takes no lists of literals
            else:
                default = None if default is None else str(default)
                one = Literal[tuple(words)]  # type: ignore[valid-type]
                kind = one | None if default is None else one
        flags = option.flags.split() or [f"--{field.name.replace('_', '-')}"]
        shown = typer.Option(
            *flags,
            help=option.help,
            metavar=metavar,
            min=option.min,
            max=option.max,
            show_default=True if option.parse or not option.default else option.default,
            envvar=option.environment,
        )
        hint = Annotated[kind, shown]
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)
