"""An ONNX file as a model: onnxruntime computes the network, and everything around it is as for weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from gantools.checkpoint import onnx_file, weights
from gantools.checkpoint.onnx_file import OnnxFile
from gantools.checkpoint.weights import Export
from gantools.errors import ImageError, ModelFileError, UsageError
from gantools.images import ranges
from gantools.images.ops.resize import reflected_indices
from gantools.inference.kernels.select import Network, NetworkVariants
from gantools.inference.memory import bytes_per_px
from gantools.inference.model import Model, chosen, described_network, options_of
from gantools.inference.onnx_session import Session, open_session
from gantools.inference.options import InferOptions
from gantools.models.contract import Generator
from gantools.models.options import OnnxOptions, RunnableOptions, SpandrelOptions

TRIED_PX = 64
"""Side of the images with which a file that does not say what it takes is tried, and the smallest that it is given."""

LARGEST_MULTIPLE = 1 << 12
TRIED_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
ASSUMED_HALO_PX = 32
"""How far tiles of such a file overlap: as much as is usual, which may not be all that its network sees."""

MAP_BYTES_PER_PX = 512
"""Two maps of 64 channels, for each pixel of the input and of the output: what a network is assumed to need."""


@dataclass(frozen=True)
class Facts:
    """What :class:`gantools.models.contract.Generator` asks for, and memory of the activations per input pixel."""

    scale: int
    size_multiple: int
    minimum_size_px: int
    halo_px: int | None
    bytes_per_px: float


class OnnxNetwork(nn.Module):
    """A file's network, from and to the floats that ours take.

    A file that takes one size alone is given every part of an image in that size; the parts overlap by the halo.
    Shapes: (N, C, H, W) → (N, C', scale·H, scale·W) on the CPU. Range: [-1, 1]; ``unit`` files get and give [0, 1].
    """

    def __init__(self, session: Session, file: OnnxFile, facts: Facts, *, unit: bool) -> None:
        super().__init__()
        self.session, self.file, self.unit = session, file, unit
        self.scale, self.size_multiple = facts.scale, facts.size_multiple
        self.minimum_size_px = 1 if file.fixed_px else facts.minimum_size_px
        self.halo_px = None if file.fixed_px else facts.halo_px
        self.overlap_px, self.bytes_per_px = facts.halo_px, facts.bytes_per_px
        self.device = nn.Parameter(torch.empty(0), requires_grad=False)  # where images are expected

    def forward(self, image: Tensor) -> Tensor:
        if self.file.image.shape[0] == 1 or self.file.fixed_px:
            return torch.cat([self._whole(each) for each in torch.split(image, 1)])
        return self._whole(image)

    def _whole(self, image: Tensor) -> Tensor:
        if self.file.fixed_px is None:
            return self._run(image)
        height, width = image.shape[-2:]
        fixed = self.file.fixed_px
        for axis, side in zip((-2, -1), fixed, strict=True):
            if image.shape[axis] < side:
                indices = torch.from_numpy(reflected_indices(0, side, image.shape[axis]))
                image = image.index_select(axis, indices)
        shape = (*image.shape[:1], self.file.channels[1], *(self.scale * side for side in image.shape[-2:]))
        made, scale = torch.empty(shape), self.scale
        for top, rows in self._parts(image.shape[-2], fixed[0]):
            for left, columns in self._parts(image.shape[-1], fixed[1]):
                part = self._run(image[..., top : top + fixed[0], left : left + fixed[1]])
                inside = (_scaled(rows, scale, -top), _scaled(columns, scale, -left))
                made[(..., _scaled(rows, scale), _scaled(columns, scale))] = part[(..., *inside)]
        return made[..., : scale * height, : scale * width]

    def _parts(self, length: int, side: int) -> Iterator[tuple[int, slice]]:
        """Where parts of ``side`` begin along an axis, and what each of them is kept of."""
        multiple = self.size_multiple
        overlap = -(-(ASSUMED_HALO_PX if self.overlap_px is None else self.overlap_px) // multiple) * multiple
        if 2 * overlap >= side:
            overlap = side // 4 // multiple * multiple
        begin = kept = 0
        while begin + side < length:
            stop = begin + side - overlap
            yield begin, slice(kept, stop)
            kept, begin = stop, min(begin + side - 2 * overlap, length - side)
        yield begin, slice(kept, length)

    def _run(self, image: Tensor) -> Tensor:
        if self.file.channels_last:
            given = ranges.batch_from_float(image).numpy()
        else:
            values = (image + 1) / 2 if self.unit else image
            given = values.contiguous().numpy().astype(self.file.image.type, copy=False)
        made = torch.from_numpy(self.session.run(given))
        output = ranges.batch_to_float(made) if self.file.channels_last and made.ndim == 4 else made.float()
        wanted = (len(image), self.file.channels[1], *(self.scale * side for side in image.shape[-2:]))
        if tuple(output.shape) != wanted:
            was, expected = ("×".join(map(str, shape)) for shape in (output.shape, wanted))
            raise ImageError(f"{str(self.session.path)!r} made {was} where {expected} was expected")
        return output * 2 - 1 if self.unit else output


@dataclass(frozen=True, eq=False)
class _Variants(NetworkVariants):
    """onnxruntime has but one form of a network."""

    def variant(self, _dtype: torch.dtype | None, *, compiled: bool = False) -> Network:  # noqa: ARG002
        return cast(Network, self.network)


@dataclass(frozen=True, eq=False)
class OnnxModel(Model):
    """A model whose network is an :class:`OnnxNetwork`."""

    @cached_property
    def variants(self) -> NetworkVariants:
        return _Variants(self.network, self.device)

    @property
    def assumed_bytes_per_px(self) -> float | None:
        return cast(OnnxNetwork, self.network).bytes_per_px

    @property
    def note(self) -> str:
        """One line: what runs the file, and what is assumed of it."""
        network = cast(OnnxNetwork, self.network)
        parts = [network.session.described]
        if network.unit:
            channels = "RGB" if self.options.in_channels == 3 else "gray"
            parts.append(f"assumed of another program's file: {channels} in [0, 1] in and out, ×{network.scale}")
            if network.file.fixed_px is None:
                parts.append(f"sides in multiples of {network.size_multiple} px, tiles overlap by {network.halo_px} px")
        if network.file.fixed_px is not None:
            parts.append("computed in parts of {1}×{0} px".format(*network.file.fixed_px))
            if network.overlap_px is None:  # norms or attention
                parts.append("the network sees a whole image at once: of larger images, parts differ from the whole")
        if network.file.channels_last:
            parts.append("8 bits a sample")
        return "; ".join(parts)


def open_for(path: Path, options: InferOptions) -> OnnxModel:
    """Open an ONNX file for ``gantools infer``. Raises UsageError for options that it cannot have."""
    refusals = {
        f"--precision {options.precision}": options.precision not in ("auto", "fp32"),
        "--compile": options.compile,
        "--blend": options.blend is not None,
    }
    for option, given in refusals.items():
        if given:
            raise UsageError(
                f"{option}: {str(path)!r} is an ONNX file, which computes as it was exported; leave it out"
            )
    model = open_onnx(path, export=options.network, device=options.device, fast=options.fast)
    fixed = cast(OnnxNetwork, model.network).file.fixed_px
    if fixed and options.tile is not None:
        raise UsageError(f"--tile {options.tile}: {str(path)!r} takes {fixed[1]}×{fixed[0]} px alone; leave it out")
    return model


def open_onnx(path: Path, *, export: str | None, device: str, fast: bool = False) -> OnnxModel:
    """Open an ONNX file on a device of onnxruntime. Raises ModelFileError and UsageError."""
    file, described = onnx_file.read(path), weights.describe(path)
    name = chosen(described.exports, export, path)
    described_export = described.exports[name]
    options = options_of(described_export, path)
    if (options.in_channels, options.out_channels) != file.channels:
        raise ModelFileError(f"{str(path)!r}: takes and makes other channels than it says")
    if isinstance(options, OnnxOptions):
        session = open_session(path, device, fast=fast)
        facts = _found(session, file)
        described_export = replace(
            described_export,
            scale=facts.scale,
            size_multiple=facts.size_multiple,
            minimum_size_px=facts.minimum_size_px,
        )
    else:
        facts = _stated(options, file, described_export, path)
        session = open_session(path, device, fast=fast)
    network = OnnxNetwork(session, file, facts, unit=isinstance(options, OnnxOptions))
    return OnnxModel(described.recipe, described_export, options, network.eval(), None)


def _stated(options: RunnableOptions, file: OnnxFile, export: Export, path: Path) -> Facts:
    """What a file of our own says that it takes. Raises ModelFileError where that is not so."""
    if isinstance(options, SpandrelOptions):
        sizes = (export.scale, export.size_multiple, export.minimum_size_px)
        if not all(type(size) is int and 0 < size <= LARGEST_MULTIPLE for size in sizes):
            raise ModelFileError(f"{str(path)!r}: has a description that gantools did not write")
        return Facts(*sizes, None, _assumed_bytes(export.scale))
    empty = described_network(options, file.tensors, export, path).eval()
    network = cast(Generator, empty)
    multiple, least = network.size_multiple, network.minimum_size_px
    halo_px = None if export.mode == "train" else network.halo_px  # statistics are those of the image
    side_px = -(-max(16, least) // multiple) * multiple
    measured = bytes_per_px(empty, options.in_channels, side_px, torch.device("meta"))  # as torch would take it
    return Facts(network.scale, multiple, least, halo_px, measured)


def _found(session: Session, file: OnnxFile) -> Facts:
    """What a file that does not say it takes, by trying. Raises ModelFileError where nothing works."""
    if file.fixed_px is not None:
        scale = _scale(session, file, file.fixed_px)
        return Facts(scale, 1, 1, ASSUMED_HALO_PX, _assumed_bytes(scale))
    scale = _scale(session, file, (TRIED_PX, TRIED_PX))
    for multiple in TRIED_MULTIPLES:
        try:
            if _scale(session, file, (TRIED_PX + multiple, TRIED_PX + 3 * multiple)) == scale:
                return Facts(scale, multiple, TRIED_PX, ASSUMED_HALO_PX, _assumed_bytes(scale))
        except ModelFileError:
            continue
    raise ModelFileError(
        f"{str(session.path)!r}: runs on {TRIED_PX}×{TRIED_PX} px, but on no other size that was tried"
    )


def _scale(session: Session, file: OnnxFile, size: tuple[int, int]) -> int:
    """How many times larger the output is."""
    try:
        made = session.run(np.full((1, file.channels[0], *size), 0.5, dtype=file.image.type))
    except ImageError as error:
        raise ModelFileError(str(error)) from error
    except MemoryError as error:
        raise ModelFileError(
            f"{str(session.path)!r}: wants more memory than there is for an image of {size[1]}×{size[0]} px"
        ) from error
    scale = made.shape[2] // size[0] if made.ndim == 4 else 0
    if scale < 1 or made.shape != (1, file.channels[1], size[0] * scale, size[1] * scale):
        shape = "×".join(map(str, made.shape))
        raise ModelFileError(
            f"{str(session.path)!r}: makes {shape} of an image of {size[1]}×{size[0]} px, no whole multiple of its size"
        )
    return scale


def _assumed_bytes(scale: int) -> float:
    return MAP_BYTES_PER_PX * (1 + scale**2)


def _scaled(kept: slice, scale: int, shift: int = 0) -> slice:
    return slice((kept.start + shift) * scale, (kept.stop + shift) * scale)
