"""Files of styles: .npz as NVIDIA's projector writes, .npy of older ones, .pt of rosinality's. And typed styles."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from gantools.errors import UsageError
from gantools.generation import latents, numpy_files
from gantools.generation.latents import Sample, Vectors

if TYPE_CHECKING:
    from gantools.generation.model import LatentModel
    from gantools.models.latent.style import StyleGenerator

SUFFIXES = (".npz", ".npy", ".pt")
SEEDS = "seed:"
_NO_LATENT = np.zeros(0, np.float32)


def samples_of(model: LatentModel, given: str, label: str | None = None, truncation: float = 1.0) -> list[Sample]:
    """The samples of ``seed:85``, ``seed:0-3,7`` or a file of styles, with the styles of the model in each.

    ``label`` and ``truncation`` are for seeds. Raises UsageError where the model has no styles, or others.
    """
    if not model.latent.rows:
        raise UsageError(f"{model.recipe} has no styles as stylegan2 has")
    if not given.startswith(SEEDS):
        return [_fitting(model, sample, given) for sample in read(Path(given))]
    latents.condition_of(model.latent, label)  # one, where there are classes
    seeds = latents.parse_seeds(given.removeprefix(SEEDS), SEEDS)
    found = latents.samples(model.latent, seeds, [] if label is None else [label], (), {})
    styles = replace(model, truncation=truncation).styles(found)
    return [replace(sample, styles=each) for sample, each in zip(found, styles, strict=True)]


def sample_of(model: LatentModel, given: str, label: str | None = None, truncation: float = 1.0) -> Sample:
    """As ``samples_of`` for what must be a single image. Raises UsageError where it is several."""
    found = samples_of(model, given, label, truncation)
    if len(found) != 1:
        raise UsageError(f"{given}: is {len(found)} images; give one")
    return found[0]


def write(path: Path, styles: Vectors, planes: Sequence[Vectors] = (), about: Mapping[str, Any] | None = None) -> None:
    """Write styles as .npz, atomically: ``w`` [N, rows, style_size], ``noise_0`` … [H, W], ``about`` as JSON.

    NVIDIA's scripts read ``w`` and ignore the rest. Raises OSError.
    """
    noise = {f"noise_{number}": np.asarray(plane, np.float32) for number, plane in enumerate(planes)}
    numpy_files.write(path, {"w": np.asarray(styles, np.float32), **noise}, about or {})


def about(path: Path) -> dict[str, Any]:
    """What gantools noted in an .npz that it wrote; empty for other files. Raises UsageError for damaged ones."""
    if path.suffix.lower() != ".npz":
        return {}
    noted = numpy_files.read(path).get(numpy_files.ABOUT)
    try:
        read = {} if noted is None else json.loads(str(noted))
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def read(path: Path) -> list[Sample]:
    """The styles in a file, as many rows as it has. Never runs what is in it. Raises UsageError."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"'{path}': is no file of styles ({', '.join(SUFFIXES)}), and no seed such as seed:85;"
            " project a photo first: gantools project"
        )
    if suffix == ".pt":
        return [_sample(path, Path(name).stem, *parts) for name, parts in _of_rosinality(path).items()]
    arrays = numpy_files.read(path)
    styles = arrays.get("w", arrays.get(""))
    if styles is None:
        raise UsageError(f"'{path}': has no array w, only {', '.join(sorted(arrays)) or 'nothing'}")
    planes = [arrays[name] for name in map("noise_{}".format, range(len(arrays))) if name in arrays]
    stem = path.stem.removesuffix(".latent")
    if styles.ndim == 2:  # one image, as older projectors and the book write
        styles = styles[None]
    if styles.ndim != 3 or not len(styles):
        raise UsageError(f"'{path}': its styles have the shape {styles.shape}; (N, rows, size) is read")
    names = [stem] if len(styles) == 1 else [f"{stem}-{number:04d}" for number in range(len(styles))]
    return [_sample(path, name, each, planes) for name, each in zip(names, styles, strict=True)]


def _of_rosinality(path: Path) -> dict[str, tuple[Any, list[Any]]]:
    """File name → its styles and planes of noise."""
    try:
        with warnings.catch_warnings(action="ignore"):
            held = torch.load(path, map_location="cpu", weights_only=True)
            return {
                str(name): (each["latent"].detach().numpy(), [plane.detach().numpy() for plane in each["noise"]])
                for name, each in held.items()
            }
    except OSError as error:
        raise UsageError(f"'{path}': cannot be read ({numpy_files.reason(error)})") from error
    except (*numpy_files.DAMAGED, pickle.UnpicklingError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(f"'{path}': is no result of rosinality's projector, or is damaged") from error


def _sample(path: Path, name: str, styles: Any, planes: Sequence[Any]) -> Sample:
    """One image's styles, checked, with planes of noise as [H, W]."""
    try:
        styles, *flat = (np.asarray(each, np.float32) for each in (styles, *planes))
    except (ValueError, TypeError) as error:
        raise UsageError(f"'{path}': holds {numpy_files.reason(error)}; it must hold numbers") from error
    if not all(np.isfinite(each).all() for each in (styles, *flat)):
        raise UsageError(f"'{path}': has NaN or infinite values")
    if any(each.ndim < 2 or each.size != each.shape[-1] * each.shape[-2] for each in flat):
        raise UsageError(f"'{path}': a plane of noise is not one of height × width")
    planar = tuple(each.reshape(each.shape[-2:]) for each in flat)
    return Sample(name, _NO_LATENT, styles=np.atleast_2d(styles), planes=planar)


def require_fitting(model: LatentModel, sample: Sample, given: str) -> None:
    """Raise UsageError for styles, or planes of noise, of another model. One row of styles stands for all."""
    network = cast("StyleGenerator", model.network)
    found, wanted = cast(Vectors, sample.styles).shape, (network.rows, len(network.mapping.running_mean))
    if found not in (wanted, (1, wanted[1])):
        raise UsageError(f"{given}: has {_shape(found)} styles, the model {_shape(wanted)}")
    shapes = [plane.shape for plane in sample.planes]
    if shapes and shapes != network.synthesis.noise_shapes:
        raise UsageError(f"{given}: its {len(shapes)} planes of noise are not of the model's sizes")


def _fitting(model: LatentModel, sample: Sample, given: str) -> Sample:
    """The sample with a row for each layer of the model. Raises UsageError for styles of another model."""
    require_fitting(model, sample, given)
    styles = cast(Vectors, sample.styles)
    return replace(sample, styles=np.tile(styles, (model.latent.rows // len(styles), 1)))


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
