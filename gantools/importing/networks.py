"""The networks in what a file holds: state dicts or whole modules, within the wrappers that codes put around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from gantools.errors import ModelFileError
from gantools.importing.found import State
from gantools.importing.records import Module, Stored

GENERATORS = (
    *("params_ema", "params-ema", "g_ema", "netg_ema", "generator_ema", "ema", "ema_model"),
    *("generator", "netg", "net_g", "g", "gen", "params"),
)
"""What generators are called in checkpoints, without regard to case; averages first."""
WRAPPERS = ("module.", "_orig_mod.")
"""What torch's own wrappers put before each name: DataParallel and the compiler."""

_DEEPEST_WRAPPER = 4
_MOST_NETWORKS = 64
_DEEPEST_MODULE = 32
_MOST_TENSORS = 20_000
_MOST_WRAPPERS = 4
"""Around one network."""
_MOST_ITEMS = 1_000_000
"""Of all dicts that are looked into; the same one may be in many others."""
_ITEMS_OF_MODULE = 1_000
"""What a module counts as."""


def networks(content: Any) -> dict[str, State]:
    """The tensors of every network in a file's content, by where they are: ``params_ema``, ``state_dict.netG``.

    The generators come first, the average before the others. Raises ModelFileError for modules and dicts without end.
    """
    found: dict[str, State] = {}
    seen_items = 0
    for path, each in _within(content, ()):
        seen_items += _ITEMS_OF_MODULE if isinstance(each, Module) else len(each) + 1
        if seen_items > _MOST_ITEMS:
            raise ModelFileError("holds more dicts within dicts than any network's file")
        if len(found) < _MOST_NETWORKS:
            _add(module_tensors(each) if isinstance(each, Module) else _tensors(each), path, found)
    return dict(sorted(found.items(), key=lambda item: rank(item[0])))


def module_tensors(module: Module) -> dict[str, Stored]:
    """The parameters and buffers of a module that was stored whole, by the names of its state dict.

    Raises ModelFileError for modules that are parts of themselves, or that have too many tensors.
    """
    tensors: dict[str, Stored] = {}
    waiting = [("", module, 0)]
    for visited in range(_MOST_TENSORS):
        if not waiting:
            return tensors
        prefix, one, depth = waiting.pop(0)
        if depth > _DEEPEST_MODULE:
            break
        for key, value in _parts(one):
            if isinstance(value, Stored):
                tensors[prefix + key] = value
            elif isinstance(value, Module):
                waiting.append((f"{prefix}{key}.", value, depth + 1))
        if len(tensors) + len(waiting) + visited > _MOST_TENSORS:
            break
    raise ModelFileError("holds a module with more parts than any network")


def _parts(module: Module) -> Iterable[tuple[str, Any]]:
    """What a module holds by name. TorchScript keeps it among the other attributes."""
    groups = [module.state.get(name) for name in ("_parameters", "_buffers", "_modules")]
    if not any(isinstance(group, dict) for group in groups):
        groups = [module.state]
    unsaved = module.state.get("_non_persistent_buffers_set")
    skipped = unsaved if isinstance(unsaved, set) else ()
    parts = [(str(key), value) for group in groups if isinstance(group, dict) for key, value in group.items()]
    return [(key, value) for key, value in parts if key not in skipped]


def _within(content: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Module | Mapping[Any, Any]]]:
    """The modules and dicts in a file's content, by where they are; a module is not looked into."""
    if not isinstance(content, Module | Mapping) or len(path) > _DEEPEST_WRAPPER:
        return
    yield path, content
    if isinstance(content, Mapping):
        for key, value in content.items():
            if isinstance(key, str):
                yield from _within(value, (*path, key))


def _tensors(content: Mapping[Any, Any]) -> dict[str, Stored]:
    return {
        key: stored_tensor(value)
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, Tensor | Stored)
    }


def _add(tensors: Mapping[str, Stored], path: tuple[str, ...], found: dict[str, State]) -> None:
    """A network, and those whose names begin with that of a generator, as where one module holds the whole GAN."""
    state = _unwrapped(tensors)
    if not state:
        return
    found[".".join(path)] = state
    for first in sorted({key.partition(".")[0] for key in state}):
        if first.lower() in GENERATORS and len(found) < _MOST_NETWORKS:
            part = {key.partition(".")[2]: value for key, value in state.items() if key.startswith(f"{first}.")}
            found.setdefault(".".join((*path, first)), _unwrapped(part))


def _unwrapped(tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    state = dict(tensors)
    for _ in range(_MOST_WRAPPERS if state else 0):
        wrapper = next((each for each in WRAPPERS if all(key.startswith(each) for key in state)), "")
        state = {key.removeprefix(wrapper): value for key, value in state.items()}
    return state


def stored_tensor(value: Tensor | Stored) -> Stored:
    """A tensor as one that could still lie in a file."""
    return value if isinstance(value, Stored) else Stored(tuple(value.shape), lambda: value)


def rank(name: str) -> int:
    """How early a network is taken by its name: 0 first; those that are called no generator last."""
    last = name.rpartition(".")[2].lower()
    return GENERATORS.index(last) if last in GENERATORS else len(GENERATORS)
