"""``gantools weights import``: from another code's file to one of ours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gantools import __version__, files
from gantools.checkpoint import foreign, onnx_file, weights
from gantools.checkpoint.weights import Export
from gantools.config import presets
from gantools.errors import GantoolsError, ModelFileError, UsageError
from gantools.images import ranges
from gantools.images.io import reader as image_reader
from gantools.importing import families, stylegan2_files
from gantools.importing.found import Found, State
from gantools.importing.networks import networks
from gantools.importing.opening import opened
from gantools.importing.options import ImportOptions
from gantools.models.latent.style import StyleGenerator
from gantools.pretrained import catalogue

REVISION = 1
"""One more wherever an importer writes something else of the same file: what was imported before is not used then."""

_NOTHING: Mapping[str, Any] = {}
_KEPT_LETTERS = 40
"""Of a file's name, in that of what is kept of it: file systems end names at 255 bytes."""


@dataclass(frozen=True)
class Imported:
    """What is taken from a file: networks of ours, described, by their names in a weights file of ours.

    ``about`` is for the new file's description: what the file is, where such files come from, their licence.
    """

    recipe: str
    found: Mapping[str, Found]
    about: Mapping[str, Any]


def import_weights(path: Path, options: ImportOptions, known: Mapping[str, Any] = _NOTHING) -> Path:
    """Write what ``path`` holds as weights of ours; the new file. ``known`` is what is known of this very file.

    Raises UsageError and ModelFileError for what is refused, GantoolsError where ``options.check`` finds another image
    than the reference. Nothing is written then.
    """
    output = _output(path, options)
    _require(path, output, options)
    with opened(path) as file:
        imported = _stylegan2(file, options) or _network(file.content, path.stat().st_size, options.network)
        _require_bytes((each.tensors for each in imported.found.values()), path.stat().st_size)
        made = {name: each.network() for name, each in imported.found.items()}
    exports = {name: each.export for name, each in imported.found.items()}
    checked = _check(exports["generator"], made["generator"], options) if options.check else {}
    origin = {"file": path.name, **known, "sha256": known.get("sha256") or files.sha256(path)}
    weights.save(output, imported.recipe, exports, made, {"imported": {**imported.about, **origin, **checked}})
    return output


def imported(path: Path) -> Path:
    """Weights of ours that hold what another code's file does, made at its first use and kept beside installed weights.

    Raises ModelFileError for what cannot be imported, UsageError where it cannot be kept.
    """
    digest = files.sha256(path)
    name = f"{path.stem[:_KEPT_LETTERS]}-{digest[:16]}-{__version__}.{REVISION}{catalogue.SUFFIX}"
    kept = catalogue.weights_folder().parent / "imported" / name
    if kept.is_file():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        return import_weights(path, ImportOptions(output=str(kept), overwrite=True), {"sha256": digest})
    except OSError as error:
        raise UsageError(
            f"{str(path)!r}: cannot be imported into {kept.parent} ({error.strerror}); set GANTOOLS_HOME, or try:"
            f" gantools weights import {path} -o FILE"
        ) from error


def _output(path: Path, options: ImportOptions) -> Path:
    if options.name is None:
        output = Path(options.output) if options.output else path.with_suffix(catalogue.SUFFIX)
        if output.suffix != catalogue.SUFFIX:
            raise UsageError(f"-o {output}: give a name that ends with {catalogue.SUFFIX}")
        return output
    if options.output is not None:
        raise UsageError(f"--as {options.name} and -o {options.output}: give one")
    if not catalogue.is_name(options.name) or options.name.endswith((*foreign.SUFFIXES, onnx_file.SUFFIX)):
        raise UsageError(f"--as {options.name}: give a name of letters, digits, ., - and _, not that of a file")
    shipped = {each.name for each in catalogue.installed() if each.shipped}
    if not options.overwrite and options.name in shipped | set(presets.recipes()):
        raise UsageError(
            f"--as {options.name}: stands for weights or a recipe of gantools; give another, or --overwrite"
        )
    folder = catalogue.weights_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{options.name}{catalogue.SUFFIX}"


def _require(path: Path, output: Path, options: ImportOptions) -> None:
    if not path.is_file():
        address = path.parts and path.parts[0] in ("http:", "https:")
        what = "is a folder; name the file in it" if path.is_dir() else "no such file"
        raise UsageError(f"{str(path)!r}: {what}{'; download it first' if address else ''}")
    if options.check and not Path(options.check).is_file():
        raise UsageError(f"--check {options.check}: no such file")
    size = path.stat().st_size
    if size > options.max_bytes:
        raise ModelFileError(f"'{path}': has {size:,} bytes, more than the {options.max_bytes:,} of --max-bytes")
    if output.exists() and output.samefile(path):
        raise UsageError(f"{str(path)!r}: exists already, and is the input; give another -o")
    if output.exists() and not options.overwrite:
        raise UsageError(f"{str(output)!r}: exists already; give another -o, or --overwrite")


def _stylegan2(file: Any, options: ImportOptions) -> Imported | None:
    """The generator of a StyleGAN2, and its discriminator where it is wanted; None for files of another kind."""
    kind = stylegan2_files.format_of(file.content)
    if kind is None:
        if options.discriminator or options.check:
            option = "--discriminator" if options.discriminator else "--check"
            raise ModelFileError(f"{option} is for files of StyleGAN2, and this is none")
        return None
    generator = options.network or "G_ema"
    wanted = {"generator": generator, **({"discriminator": "D"} if options.discriminator else {})}
    names = kind.names(file.content)
    if missing := [name for name in wanted.values() if name not in names]:
        raise ModelFileError(f"has no network {missing[0]}; it has {', '.join(names)}")
    found = {ours: kind.found(file, theirs) for ours, theirs in wanted.items()}
    about = {"format": kind.name, "origin": kind.origin, "licence": kind.terms, "network": generator}
    return Imported("stylegan2", found, about)


def _network(content: Any, file_bytes: int, wanted: str | None) -> Imported:
    """The network called ``wanted``, or the first generator that is known."""
    states = networks(content)
    for state in states.values():
        _require_bytes([state], file_bytes)
    name, family, found = families.recognise(states, wanted)
    about = {"format": family.name, "origin": family.origin, "licence": family.licence, "network": name}
    return Imported(family.recipe, {"generator": found}, about)


def _require_bytes(networks_found: Iterable[State], file_bytes: int) -> None:
    """Refuse tensors that share their bytes: there is no end to what a small file can then ask to be written."""
    values = sum(math.prod(stored.shape) for tensors in networks_found for stored in tensors.values())
    if values > file_bytes:
        raise ModelFileError(f"has tensors of {values:,} values in {file_bytes:,} bytes")


@torch.inference_mode()
def _check(export: Export, network: nn.Module, options: ImportOptions) -> dict[str, Any]:
    """Compare the image of seed 0, of the first class, with a reference. Raises GantoolsError for another image."""
    assert isinstance(network, StyleGenerator)
    assert export.latent is not None
    latent = torch.from_numpy(np.random.RandomState(0).randn(1, export.latent.size)).float()
    classes = len(export.latent.classes)
    condition = functional.one_hot(torch.tensor([0]), classes).float() if classes else None
    styles = network.styles(latent, condition, options.truncation)
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
