"""Self-describing weights: one safetensors file whose header describes every network in it and how to run it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gantools.checkpoint import foreign, onnx_file
from gantools.checkpoint import tensors as tensor_file
from gantools.checkpoint.learnt_scale import learnt_scale
from gantools.errors import ModelFileError
from gantools.files import whole_file

SCHEMA = 1
DROPOUT_SEED = 0
"""Seed for every image of what a network keeps of dropout, in validation as at inference."""

_KEY = "gantools"


@dataclass(frozen=True)
class Latent:
    """What an image is made from: a vector of noise, its codes, and a condition beside it.

    ``size`` values in all, ``normal`` or ``uniform`` on [-1, 1]. ``categorical`` are the sizes of one-hot codes and
    ``continuous`` the number of uniform codes at the vector's end, in this order. The condition is a one-hot label
    (``classes`` names them), a text vector of ``text_size`` values (``vocabulary`` are the words it may have), or none.
    """

    size: int
    distribution: Literal["normal", "uniform"] = "normal"
    categorical: tuple[int, ...] = ()
    continuous: int = 0
    classes: tuple[str, ...] = ()
    text_size: int = 0
    vocabulary: tuple[str, ...] = ()
    levels: int = 1
    """How many sizes the generator goes through; above 1 it has ``steps``."""
    rows: int = 0
    """How many rows of styles an image has; above 0 the generator has ``styles`` and ``synthesis``."""

    @property
    def noise_size(self) -> int:
        """How many values of the vector are noise; the codes stand behind them."""
        return self.size - sum(self.categorical) - self.continuous


@dataclass(frozen=True)
class Export:
    """What a user must know of a generator to run it; nothing has to be typed again at inference.

    ``network`` is its name in the recipe, ``options`` its table entry and constructor arguments. Output side =
    ``scale`` × input side; sides are padded to at least ``minimum_size_px`` and to multiples of ``size_multiple``.
    ``mode`` is how it runs: ``eval`` (fixed statistics, no dropout) or ``train`` (batch statistics and dropout, as
    pix2pix's authors test). ``trained_px`` is the side of its training images. ``takes`` is what it is given: a whole
    ``picture``, or one that is ``masked``, whose missing part it fills. ``gray``: results of gray images are kept gray,
    or get ``color``.

    ``resized_px`` is the short side that its training images were resized to; None: squares were cut from images at
    their own size. ``applied_at`` says whether an image is brought to that side first (``trained``) or is put through
    at its own size (``native``), unless the user chooses. ``shrunk_by``: by ``area``, or to the ``darkest`` of the
    pixels, so that thin lines stay. ``luminance``: ``made`` by the network, or ``kept`` from the input, of which
    the network sees a gray version, and which gets only its colours.

    ``fill`` is what stands in the missing part of what is ``masked``: the ``mean`` colour, or OpenCV's inpainting
    (``telea`` or ``ns``).

    What ``takes`` a ``latent`` makes images of ``image_px`` (height, width) from nothing, as ``latent`` says. A
    discriminator takes images that are ``judged``; it is kept for trainings that start from it.
    """

    network: str
    options: dict[str, Any]
    scale: int
    size_multiple: int
    minimum_size_px: int = 1
    mode: Literal["eval", "train"] = "eval"
    trained_px: int | None = None
    takes: Literal["picture", "masked", "latent", "judged"] = "picture"
    gray: Literal["keep", "color"] = "keep"
    resized_px: int | None = None
    applied_at: Literal["trained", "native"] = "native"
    shrunk_by: Literal["area", "darkest"] = "area"
    luminance: Literal["made", "kept"] = "made"
    fill: Literal["mean", "telea", "ns"] = "mean"
    latent: Latent | None = None
    image_px: tuple[int, int] | None = None


@dataclass(frozen=True)
class Weights:
    """An opened weights file: its description and one state dict per export."""

    recipe: str
    exports: dict[str, Export]
    about: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def save(
    path: Path,
    recipe: str,
    exports: Mapping[str, Export],
    networks: Mapping[str, nn.Module],
    about: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write the exported ``networks`` (by export name) to ``path``, atomically; floats are stored as ``dtype``.

    Raises ModelFileError when a weight is NaN or infinite: such a file is never written.
    """
    tensors = {
        f"{name}/{key}": _stored(value, dtype, f"{name}.{key}")
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    described = {name: asdict(export) for name, export in exports.items()}
    header = {"schema": SCHEMA, "recipe": recipe, "exports": described, "about": dict(about)}
    with whole_file(path) as stream:
        tensor_file.write(stream, tensors, {_KEY: json.dumps(header)})


def describe(path: Path) -> Weights:
    """Read only the description of a weights file, or of an ONNX file (its tensors stay empty)."""
    if onnx_file.is_onnx(path):
        try:
            return _described(onnx_file.describe(path), path)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"'{path}': has a description that gantools did not write") from error
    return _open(path, with_tensors=False)


def load(path: Path) -> Weights:
    """Read a weights file. Raises ModelFileError for anything that is not one of ours."""
    return _open(path, with_tensors=True)


def _open(path: Path, *, with_tensors: bool) -> Weights:
    try:
        with safe_open(path, framework="pt") as stored:
            described = _described(json.loads((stored.metadata() or {})[_KEY]), path)
            for full in stored.keys() if with_tensors else ():
                name, _, key = full.partition("/")
                described.tensors[name][key] = stored.get_tensor(full)
    except OSError as error:
        raise ModelFileError(f"'{path}': cannot be read ({error})") from error
    except SafetensorError as error:
        what = foreign.described(path) or f"not an intact safetensors file ({error})"
        raise ModelFileError(f"'{path}': {what}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"'{path}': a safetensors file, but not gantools weights (no description in it)"
        ) from error
    return described


def _described(header: dict[str, Any], path: Path) -> Weights:
    """What a header says, without tensors."""
    if header["schema"] != SCHEMA:
        raise ModelFileError(f"'{path}': weights of schema {header['schema']}, this gantools reads {SCHEMA}")
    data = (header["about"].get("config") or {}).get("data")
    scale = learnt_scale(data) if isinstance(data, dict) else {}  # which older weights do not state
    exports = {name: _export({**scale, **fields}) for name, fields in header["exports"].items()}
    return Weights(header["recipe"], exports, header["about"], {name: {} for name in exports})


def _export(fields: dict[str, Any]) -> Export:
    """An export from its JSON, which has lists for tuples."""
    latent, image_px = fields.pop("latent", None), fields.pop("image_px", None)
    if latent is not None:
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in latent.items()
        }
        latent = Latent(**plain)
    return Export(**fields, latent=latent, image_px=tuple(image_px) if image_px else None)


def _stored(value: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    stored = value.detach().to(dtype) if value.is_floating_point() else value
    if not tensor_file.is_finite(stored):
        raise ModelFileError(f"{name} has NaN or infinite values; these weights are not written")
    return stored
