"""``gantools weights import``: from another code's file to one of ours."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn
from torch.nn import functional

from gantools import files
from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export
from gantools.errors import GantoolsError, ModelFileError, UsageError
from gantools.generation import latents
from gantools.images import ranges
from gantools.images.io import reader as image_reader
from gantools.importing import nvidia, rosinality, stylegan2
from gantools.importing.found import Found
from gantools.importing.options import ImportOptions
from gantools.importing.pickles import PickledFile, reason
from gantools.models.latent.style import StyleGenerator

NVIDIA_TERMS = (
    "NVIDIA's own files: NVIDIA Source Code License, non-commercial (of FFHQ also CC BY-NC-SA 4.0);"
    " files that others trained: ask them"
)
ROSINALITY_TERMS = (
    "code MIT; weights converted from NVIDIA's stay under NVIDIA's non-commercial license; those that others trained:"
    " ask them"
)
_ZIP = b"PK\x03\x04"
LONGEST_REASON = 300
"""Letters of a message about a file, which may hold words of the file."""


@dataclass(frozen=True)
class Format:
    """A kind of file: how it is told from others, and the networks in it.

    ``holds`` gets what the file holds as plain values; ``names`` are the networks it may have; ``found`` makes one of
    ours of the opened file and a name. ``recipe`` is the recipe of ours whose networks these are.
    """

    name: str
    origin: str
    terms: str
    recipe: str
    holds: Callable[[Any], bool]
    names: Callable[[Any], list[str]]
    found: Callable[[Any, str], Found]


FORMATS = (
    Format(
        "StyleGAN2 of NVIDIA (PyTorch)",
        "https://github.com/NVlabs/stylegan2-ada-pytorch",
        NVIDIA_TERMS,
        "stylegan2",
        nvidia.is_torch,
        lambda content: [name for name in ("G_ema", "G", "D") if content.get(name) is not None],
        lambda file, name: stylegan2.found(nvidia.torch_parts(file, name)),
    ),
    Format(
        "StyleGAN2 of NVIDIA (TensorFlow)",
        "https://github.com/NVlabs/stylegan2",
        NVIDIA_TERMS,
        "stylegan2",
        nvidia.is_tensorflow,
        lambda _content: list(nvidia.TENSORFLOW_NAMES),
        lambda file, name: stylegan2.found(nvidia.tensorflow_parts(file, name)),
    ),
    Format(
        "StyleGAN2 of rosinality",
        "https://github.com/rosinality/stylegan2-pytorch",
        ROSINALITY_TERMS,
        "stylegan2",
        rosinality.is_rosinality,
        lambda content: [name for name in ("G_ema", "G", "D") if isinstance(content.get(name.lower()), dict)],
        lambda file, name: stylegan2.found(rosinality.rosinality_parts(file.content, name)),
    ),
)


@dataclass(frozen=True)
class _Archive:
    """A checkpoint of PyTorch: its content, tensors and plain values only."""

    content: Any


class _Arguments:
    """Stands for the command line that checkpoints hold beside their networks."""


def import_weights(path: Path, options: ImportOptions) -> Path:
    """Write what ``path`` holds as weights of ours; the new file.

    Raises UsageError and ModelFileError for what is refused, GantoolsError where ``options.check`` finds another image
    than the reference. Nothing is written then.
    """
    output = Path(options.output) if options.output else path.with_suffix(".safetensors")
    _require(path, output, options)
    wanted = {"generator": options.network, **({"discriminator": "D"} if options.discriminator else {})}
    with opened(path) as (kind, file):
        names = kind.names(file.content)
        if missing := [name for name in wanted.values() if name not in names]:
            raise ModelFileError(f"has no network {missing[0]}; it has {', '.join(names)}")
        found = {ours: kind.found(file, theirs) for ours, theirs in wanted.items()}
        _require_bytes(found.values(), path.stat().st_size)
        networks = {name: each.network() for name, each in found.items()}
    exports = {name: each.export for name, each in found.items()}
    checked = _check(exports["generator"], networks["generator"], options) if options.check else {}
    origin = {"file": path.name, "sha256": files.sha256(path), "network": options.network}
    about = {"format": kind.name, "origin": kind.origin, "licence": kind.terms, **origin, **checked}
    weights.save(output, kind.recipe, exports, networks, {"imported": about})
    return output


def _require(path: Path, output: Path, options: ImportOptions) -> None:
    if not path.is_file():
        address = path.parts and path.parts[0] in ("http:", "https:")
        what = "is a folder; name the file in it" if path.is_dir() else "no such file"
        raise UsageError(f"{str(path)!r}: {what}{'; download it first' if address else ''}")
    if options.check and not Path(options.check).is_file():
        raise UsageError(f"--check {options.check}: no such file")
    size = path.stat().st_size
    if size > options.max_bytes:
        raise ModelFileError(f"{path}: has {size:,} bytes, more than the {options.max_bytes:,} of --max-bytes")
    if output.exists() and output.samefile(path):
        raise UsageError(f"{str(path)!r}: exists already, and is the input; give another -o")
    if output.exists() and not options.overwrite:
        raise UsageError(f"{str(output)!r}: exists already; give another -o, or --overwrite")


def _require_bytes(found: Iterable[Found], file_bytes: int) -> None:
    """Refuse tensors that share their bytes: there is no end to what a small file can then ask to be written."""
    values = sum(math.prod(stored.shape) for each in found for stored in each.tensors.values())
    if values > file_bytes:
        raise ModelFileError(f"has tensors of {values:,} values in {file_bytes:,} bytes")


@contextmanager
def opened(path: Path) -> Iterator[tuple[Format, Any]]:
    """The format of a file, and what it holds. Raises ModelFileError, with the file's name, also for what is read."""
    with path.open("rb") as stream:
        try:
            file = _read(path, stream)
            kind = next((each for each in FORMATS if each.holds(file.content)), None)
            if kind is None:
                raise ModelFileError(f"holds none of these: {', '.join(each.name for each in FORMATS)}")
            yield kind, file
        except Exception as error:  # whatever foreign bytes lead to
            why = " ".join((str(error) if isinstance(error, ModelFileError) else reason(error)).split())
            shown = "".join(letter if letter.isprintable() else "?" for letter in why)
            raise ModelFileError(f"{path}: {shown[:LONGEST_REASON]}") from error


def _read(path: Path, stream: BinaryIO) -> PickledFile | _Archive:
    head = stream.read(len(_ZIP))
    stream.seek(0)
    if head.startswith(_ZIP):
        return _Archive(_load_archive(path))
    if not head.startswith(pickle.PROTO):
        raise ModelFileError(
            "is neither a pickle nor a checkpoint of PyTorch: NVIDIA's .pkl and rosinality's .pt are read"
        )
    return PickledFile(stream, path.stat().st_size)


def _load_archive(path: Path) -> Any:
    """What ``torch.save`` writes today: tensors and plain values, of which only what is used is read.

    Raises UnpicklingError, in our words, for anything else.
    """
    try:
        with torch.serialization.safe_globals([(_Arguments, "argparse.Namespace")]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"(?:GLOBAL|class) ([\w.]+) was not an allowed", str(error))
        name = asked[1] if asked else "something else than tensors and plain values"
        raise pickle.UnpicklingError(f"asks for {name}, which no network of a known format needs") from error


@torch.inference_mode()
def _check(export: Export, network: nn.Module, options: ImportOptions) -> dict[str, Any]:
    """Compare the image of seed 0, of the first class, with a reference. Raises GantoolsError for another image."""
    assert isinstance(network, StyleGenerator)
    assert export.latent is not None
    (sample,) = latents.samples(export.latent, [0], ["0"] if export.latent.classes else [], [], {})
    condition = None if sample.condition is None else torch.from_numpy(sample.condition)[None]
    styles = network.styles(torch.from_numpy(sample.latent)[None], condition, options.truncation)
    image = network.synthesis(styles, "const").clamp(-1, 1)
    reference = ranges.to_tensor(image_reader.read_rgb8(Path(options.check or "")))
    size = reference.shape[2:]
    if size[0] > image.shape[2] or size[1] > image.shape[3] or image.shape[1] not in (1, 3):
        raise UsageError(f"--check {options.check}: is {size[1]}×{size[0]}, larger than the network's image")
    apart = (functional.interpolate(image, size=size, mode="area") - reference).abs() * 127.5
    if float(apart.max()) > options.tolerance:
        raise GantoolsError(
            f"--check {options.check}: is not what this network makes of seed 0 with ψ {options.truncation:g} and"
            f" constant noise: levels differ by up to {apart.max():.1f} of 255 ({apart.mean():.1f} in the mean), more"
            f" than {options.tolerance:g}; nothing was written"
        )
    return {"checked": {"image": Path(options.check or "").name, "largest_difference": round(float(apart.max()), 2)}}
