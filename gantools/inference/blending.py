"""Weights between two files of the same network: a straight line from the one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export
from gantools.errors import UsageError

__all__ = ["Blend", "mixed"]


@dataclass(frozen=True)
class Blend:
    """``share`` of a model, 0 to 1, and the rest of the weights ``other``: 0 is ``other`` alone, 1 the model alone.

    Paper: network interpolation (Wang 2018, arXiv 1809.00219). It works where one of them was trained from the other.
    """

    other: Path
    share: float


def mixed(tensors: Mapping[str, Tensor], export: Export, blend: Blend, path: Path) -> dict[str, Tensor]:
    """Return ``share * tensors + (1 - share) * other``, floats as float32; whole numbers as in ``tensors``.

    ``tensors`` are those of ``export`` in the weights file ``path``. Raises UsageError when ``blend.other`` holds no
    network like it.
    """
    other = weights.load(blend.other)
    alike = [name for name, each in other.exports.items() if each.options == export.options]
    if not alike:
        raise UsageError(f"--blend: {str(blend.other)!r} holds no network like that of {str(path)!r}")
    others = other.tensors[alike[0]]
    if {key: value.shape for key, value in others.items()} != {key: value.shape for key, value in tensors.items()}:
        raise UsageError(f"--blend: the tensors of {str(blend.other)!r} are not those of {str(path)!r}")
    return {key: _between(value, others[key], blend.share) for key, value in tensors.items()}


def _between(value: Tensor, other: Tensor, share: float) -> Tensor:
    return other.float().lerp(value.float(), share) if value.is_floating_point() else value
