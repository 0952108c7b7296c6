"""The networks of other codes that are known, and telling them apart."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from math import prod

from gantools.errors import ModelFileError
from gantools.importing import basicsr, context_encoder, deblurgan_v2, pix2pix, pytorch_gan, srgan
from gantools.importing.found import Family, Found, State
from gantools.importing.networks import GENERATORS, rank

FAMILIES: tuple[Family, ...] = (
    *pix2pix.FAMILIES,
    *pytorch_gan.FAMILIES,
    *context_encoder.FAMILIES,
    *deblurgan_v2.FAMILIES,
    *srgan.FAMILIES,
    *basicsr.FAMILIES,
)

_MORE = "; more are known with spandrel: pip install 'gantools[import]'"


def recognise(states: Mapping[str, State], wanted: str | None) -> tuple[str, Family, Found]:
    """The first of the networks that is known, its family, and what it is of ours; or the one called ``wanted``.

    Raises ModelFileError where none is known, or several are and none is called a generator.
    """
    chosen = _called(states, wanted) if wanted is not None else states
    known, problems = _known(chosen)
    if not known and find_spec("spandrel") is not None:
        from gantools.importing import spandrel

        for name, state in chosen.items():
            if (found := spandrel.recognise(state)) is not None:
                known.append((name, *found))
                if rank(name) < len(GENERATORS):
                    break  # each is read whole, and this one will be taken
    if not known:
        raise problems[0] if problems else ModelFileError(_unknown(chosen))
    if len(known) > 1 and rank(known[0][0]) == len(GENERATORS):
        names = ", ".join(name for name, _, _ in known)
        raise ModelFileError(f"holds several networks; choose with gantools weights import --network NAME of {names}")
    return known[0]


def _called(states: Mapping[str, State], wanted: str) -> dict[str, State]:
    found = {name: state for name, state in states.items() if wanted in (name, name.rpartition(".")[2])}
    if not found:
        raise ModelFileError(
            f"has no network {wanted}; it has {', '.join(filter(None, states)) or 'one without a name'}"
        )
    return found


def _known(states: Mapping[str, State]) -> tuple[list[tuple[str, Family, Found]], list[ModelFileError]]:
    """The networks of known families, and what is wrong with those that are nearly one."""
    known, problems = [], []
    for name, state in states.items():
        for family in FAMILIES:
            try:
                found = family.found(state)
            except ModelFileError as error:
                problems.append(error)
                continue
            if found is not None:
                known.append((name, family, found))
                break
    return known, problems


def _unknown(states: Mapping[str, State]) -> str:
    """One line about a file none of whose networks is known."""
    more = "" if find_spec("spandrel") else _MORE
    if not states:
        return "holds no network: no tensors with names"
    name, state = max(states.items(), key=lambda item: len(item[1]))
    first, stored = next(iter(state.items()))
    shape = "×".join(map(str, stored.shape)) or "a number"
    values = sum(prod(each.shape) for each in state.values())
    where = f" in {name!r}" if name else ""
    tensors = f"{len(state)} tensors{where} of {values / 1e6:.2f} M values, the first {first!r} ({shape})"
    return f"holds no network that gantools knows: {tensors}{more}"
