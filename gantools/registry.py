"""Plain tables from a short name to a factory.

A table is written out by hand: no decorators, no folder scanning. Its values are ``"module:attribute"``, imported when
something is built, so that reading a table (``gantools list``, ``show``, every usage error) does not import torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar, cast

from gantools.errors import UsageError

T = TypeVar("T")


class NamedOptions(Protocol):
    """Validated options of one table entry: its name and the constructor's keyword arguments."""

    @property
    def name(self) -> str: ...

    def arguments(self) -> dict[str, Any]: ...


class Registry(Generic[T]):
    """A closed table ``name → factory`` of one kind of thing (``"generator"``, ``"adversarial objective"``)."""

    def __init__(self, kind: str, targets: Mapping[str, str]) -> None:
        self.kind = kind
        self._targets = dict(targets)

    def names(self) -> tuple[str, ...]:
        return tuple(self._targets)

    def factory(self, name: str) -> Callable[..., T]:
        """Import and return the class or function registered as ``name``. Raises UsageError for an unknown one."""
        if name not in self._targets:
            raise UsageError(f"unknown {self.kind} {name!r}{did_you_mean(name, self._targets)}")
        module, _, attribute = self._targets[name].partition(":")
        return cast("Callable[..., T]", getattr(import_module(module), attribute))

    def build(self, options: NamedOptions, **given: Any) -> T:
        """Construct the entry that ``options.name`` names; ``given`` adds what only the caller knows (channels, …)."""
        return self.factory(options.name)(**options.arguments(), **given)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, or the known names when nothing is near, or ``""`` when there are none."""
    names = [str(name) for name in known]
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(sorted(names))}" if names else ""
