"""NaN and infinity: in losses before they are used, in what a run has learnt before it is saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantools.checkpoint.tensors import extremes, is_finite
from gantools.errors import NonFiniteError

SHOWN_FILES = 8


def require_losses(player: str, terms: Mapping[str, Tensor], when: str, names: Sequence[str]) -> None:
    """Raise NonFiniteError naming the terms that are NaN or infinite and the files in the batch."""
    bad = [f"{player}.{term} = {float(value)}" for term, value in terms.items() if not torch.isfinite(value)]
    if bad:
        raise NonFiniteError(
            f"{'; '.join(bad)}, {when}{last_batch(names)}. Lower the learning rate, or look at these files"
        )


def read(scalars: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars of one device by their names, in a single transfer: each is a wait for all that the device has to do."""
    values = torch.stack([value.detach().float() for value in scalars.values()]).tolist() if scalars else []
    return dict(zip(scalars, values, strict=True))


def all_finite(tensors: Iterable[Tensor]) -> Tensor:
    """Whether every value of tensors of one device is finite, as a scalar there: 1 or 0. It may also be 0 for values
    that float32 does not hold.
    """
    edges = [edge.float() for tensor in tensors for edge in extremes(tensor)]
    return torch.stack(edges).isfinite().all() if edges else torch.ones(())


def tensors_of(state: Any) -> Iterator[Tensor]:
    """The tensors in a nesting of dicts, lists and tuples."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping):
        for item in state.values():
            yield from tensors_of(item)
    elif isinstance(state, list | tuple):
        for item in state:
            yield from tensors_of(item)


def require(state: Any, step: int, names: Sequence[str] = ()) -> None:
    """Raise NonFiniteError naming the first tensors of ``state`` that are not finite, and the last batch."""
    places = defaultdict(list)
    for tensor in tensors_of(state):
        places[tensor.device].append(tensor)
    if all(bool(all_finite(tensors)) for tensors in places.values()):
        return
    bad = list(non_finite(state))
    if bad:
        others = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise NonFiniteError(
            f"step {step}: {', '.join(bad[:3])}{others}: NaN or infinite; nothing was saved of it{last_batch(names)}"
        )


def non_finite(state: Any, path: str = "") -> Iterator[str]:
    """The paths of the tensors in a nesting of dicts, lists and tuples that hold a NaN or an infinity."""
    if isinstance(state, Tensor):
        if not is_finite(state):
            yield path
    elif isinstance(state, Mapping):
        for key, item in state.items():
            yield from non_finite(item, f"{path}/{key}" if path else str(key))
    elif isinstance(state, list | tuple):
        for number, item in enumerate(state):
            yield from non_finite(item, f"{path}/{number}")


def with_context(
    error: NonFiniteError, networks: Mapping[str, nn.Module], step: int, names: Sequence[str]
) -> NonFiniteError:
    """``error`` with what only the loop knows: the step, the batch, and whether weights were not finite before it."""
    bad = [name for name, network in networks.items() if any(non_finite(dict(network.state_dict())))]
    before = f"; the weights of {', '.join(bad)} are NaN or infinite already" if bad else ""
    batch = "" if "batch:" in str(error) else last_batch(names)
    return NonFiniteError(f"step {step}: {error}{before}{batch}")


def last_batch(names: Sequence[str]) -> str:
    """The files to look at, as the end of a message."""
    return f"; batch: {', '.join(names[:SHOWN_FILES])}" if names else ""
