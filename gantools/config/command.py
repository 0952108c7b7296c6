"""Options of a command, each declared once: a keyword argument in Python, an option on the command line. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from gantools.errors import UsageError
from gantools.registry import did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

O = TypeVar("O", bound="DataclassInstance")  # noqa: E741


@dataclass(frozen=True)
class Option:
    """How a field looks on the command line: its help, and its flags where they are not ``--field-name``.

    ``parse`` reads a value that is given as text; ``default`` is the default as text, where the help shall show it.
    """

    help: str
    flags: str = ""
    metavar: str | None = None
    min: float | None = None
    max: float | None = None
    default: str | None = None
    parse: Callable[[str], Any] | None = None
    environment: str | None = None


class CommandOptions:
    """Base of a command's options, a dataclass: text is read as each ``Option`` says; what is no choice is refused."""

    def __post_init__(self) -> None:
        kind: Any = type(self)  # mypy takes it for unhashable
        for name, (parse, choices) in _checks(kind).items():
            value = getattr(self, name)
            if parse is not None and isinstance(value, str):
                object.__setattr__(self, name, parse(value))
            for each in value if isinstance(value, list) else [value]:
                if parse is None and choices and each not in choices:
                    words = ", ".join(str(choice) for choice in choices if choice is not None)
                    raise UsageError(f"{name} {each!r}: give one of {words}")


@cache
def _checks(options: Any) -> dict[str, tuple[Callable[[str], Any] | None, tuple[Any, ...]]]:
    """How each field that is an ``Option`` is read from text, and the values that those of a few words may have."""
    return {
        name: (note.parse, choices_of(get_args(hint)[0]))
        for name, hint in hints_of(options).items()
        for note in getattr(hint, "__metadata__", ())
        if isinstance(note, Option)
    }


@cache
def hints_of(options: Any) -> dict[str, Any]:
    """The types of the fields, with their notes."""
    return get_type_hints(options, include_extras=True)


def option_of(options: Any, name: str) -> Option:
    """The option that a field of ``options`` is, for a command that shares it."""
    return next(note for note in hints_of(options)[name].__metadata__ if isinstance(note, Option))


def typed(options: Any, changes: Mapping[str, Any]) -> list[str]:
    """The words of a command line that say these changes of ``options``, a class; values as they are typed."""
    words: list[str] = []
    for name, value in changes.items():
        flags = option_of(options, name).flags.split()
        flag = next((each for each in flags if each.startswith("--")), f"--{name.replace('_', '-')}")
        for each in value if isinstance(value, list | tuple) else [value]:
            words += [flag] if each is True else [flag, f"{each:g}" if isinstance(each, float) else str(each)]
    return words


def with_changes(options: O, changes: Mapping[str, Any], command: str) -> O:
    """The options of ``command`` with some fields changed; paths become text. Raises UsageError for an unknown name."""
    known = [each.name for each in fields(options)]
    for name in changes:
        if name not in known:
            raise UsageError(f"{name!r} is no option of {command}{did_you_mean(name, known)}")
    return replace(options, **{n: os.fspath(v) if isinstance(v, os.PathLike) else v for n, v in changes.items()})


def choices_of(kind: Any) -> tuple[Any, ...]:
    """The values of a ``Literal``, or of a list's items, that may be None as well; none of another type."""
    parts = [kind, *get_args(kind)]
    parts += [item for part in parts if get_origin(part) is list for item in get_args(part)]
    literals = [part for part in parts if get_origin(part) is Literal]
    if not literals:
        return ()
    return (*get_args(literals[0]), *((None,) if type(None) in get_args(kind) else ()))
