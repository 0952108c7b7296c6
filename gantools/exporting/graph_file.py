"""The content of an ONNX or .pt2 file of a generator from image to image."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from gantools.errors import UsageError
from gantools.exporting import baked, graph, parity
from gantools.exporting.graph import Sides
from gantools.exporting.options import ExportOptions
from gantools.exporting.parity import Difference
from gantools.inference.model import Model
from gantools.models.options import SpandrelOptions

BATCH = "batch"
Header: TypeAlias = dict[str, Any]
"""What weights files say of themselves."""


@dataclass(frozen=True)
class Subject:
    """A network to be written, what it must agree with, and inputs to trace it with and to try it with.

    ``free`` are the free axes of each input, ``axes`` those of inputs and output by our names, ``facts`` what a user of
    the file must know.
    """

    network: nn.Module
    wanted: Callable[..., Tensor]
    traced: Sequence[Tensor]
    tried: Sequence[Sequence[Tensor]]
    free: Sequence[Mapping[int, Any]]
    axes: Mapping[str, Sequence[str | int]]
    facts: Mapping[str, Any]


def written(
    subject: Subject, suffix: str, header: Header, options: ExportOptions
) -> tuple[bytes, tuple[Difference, ...]]:
    """The content of a file, and how what it computes differs from what is wanted.

    ``header`` is what the file says of itself. Raises GantoolsError where it cannot be exported or computes something
    else, GuardedSize where torch takes one of the tried inputs for a special case.
    """
    program = graph.traced(subject.network, subject.traced, subject.free)
    described = json.dumps({**header, "about": {**header["about"], "exported": subject.facts}})
    if suffix == ".onnx":
        plain = {name: str(value) for name, value in subject.facts.items()}
        content = graph.onnx_bytes(program, options.opset, {**plain, "gantools": described}, subject.axes)
        run, engine = graph.run_onnx(content), f"onnxruntime {version('onnxruntime')}"
    else:
        content = graph.pt2_bytes(program, {"gantools.json": described})
        run, engine = graph.run_pt2(content), f"torch {version('torch')}"
    found = parity.differences(run, engine, subject.wanted, subject.tried)
    parity.require(found, parity.HALF_TOLERANCE if options.half else parity.TOLERANCE)
    return content, tuple(found)


def made(
    suffix: str, model: Model, header: Header, options: ExportOptions
) -> tuple[bytes, tuple[Difference, ...], tuple[str, ...]]:
    """The content of a file of ``model``, how it differs from the network, and lines about it.

    Raises UsageError for options that the network cannot have, and GantoolsError as :func:`written` does.
    """
    if model.sees_masks and isinstance(model.options, SpandrelOptions):
        raise UsageError("this network takes the mask as a channel; networks that take an image are exported")
    sides = _sides(model, options)
    network, dropout = baked.baked(model.network, _images(1, sides.example(), model, uint8=False), options)
    try:
        subject = _subject(network, dropout, model, sides, options)
        return *written(subject, suffix, header, options), (_line(subject.facts),)
    except (graph.GuardedSize, parity.DifferentResult):
        # Features of one pixel are a case of their own to torch, and norms of four magnify rounding: start one larger.
        if sides.fixed is not None:
            raise
        larger = replace(sides, minimum=(sides.least + 1) * sides.multiple)
        subject = _subject(network, dropout, model, larger, options)
        return *written(subject, suffix, header, options), (_line(subject.facts),)


def _subject(network: nn.Module, dropout: baked.Dropout, model: Model, sides: Sides, options: ExportOptions) -> Subject:
    def images(count: int, size: tuple[int, int]) -> list[Tensor]:
        return [_images(count, size, model, uint8=options.uint8)]

    reference = baked.without_dropout(model.network) if dropout == "off" else model.network
    sizes = dict.fromkeys([(1, sides.smallest()), (2, sides.example(3, 1)), (2, sides.example(2, 4))])
    return Subject(
        baked.Samples(network, uint8=options.uint8, half=options.half),
        parity.one_by_one(baked.Samples(reference, uint8=options.uint8, half=False)),
        images(2, sides.example()),
        [images(count, size) for count, size in sizes],
        [sides.dynamic(1 if options.uint8 else 2)],
        _axes(model, sides, options),
        _facts(model, sides, options, dropout),
    )


def _sides(model: Model, options: ExportOptions) -> Sides:
    """The sides that the file takes. Raises UsageError for a --size that the network does not take."""
    multiple, minimum = model.generator.size_multiple, model.generator.minimum_size_px
    for side in options.fixed_px or ():
        if side % multiple or side < minimum:
            raise UsageError(
                f"--size: {side} px; this network's sides are multiples of {multiple}, at least {minimum} px"
            )
    return Sides(multiple, minimum, options.fixed_px)


def _images(count: int, size: tuple[int, int], model: Model, *, uint8: bool) -> Tensor:
    """Random images, the same each time."""
    random, channels = torch.Generator().manual_seed(0), model.options.in_channels
    if uint8:
        return torch.randint(0, 256, (count, *size, channels), generator=random, dtype=torch.uint8)
    return torch.rand((count, channels, *size), generator=random) * 2 - 1


def _axes(model: Model, sides: Sides, options: ExportOptions) -> dict[str, Sequence[str | int]]:
    """The axes of input and output, by name where their length is free."""

    def axes(channels: int, scale: int) -> Sequence[str | int]:
        times = f"{scale}*" if scale > 1 else ""
        lengths = [f"{times}height", f"{times}width"] if sides.fixed is None else [scale * side for side in sides.fixed]
        return [BATCH, *lengths, channels] if options.uint8 else [BATCH, channels, *lengths]

    return {
        "image": axes(model.options.in_channels, 1),
        "output": axes(model.options.out_channels, model.generator.scale),
    }


def _facts(model: Model, sides: Sides, options: ExportOptions, dropout: baked.Dropout) -> dict[str, Any]:
    """What a user of the file must know, beside the description of the weights."""
    mask = 1 if model.sees_masks else 0
    colours = ", ".join({1: "gray", 3: "RGB"}.get(count, f"{count} channels") for count in
                        dict.fromkeys((model.options.in_channels - mask, model.options.out_channels)))  # fmt: skip
    colours += " and a mask, largest where pixels are missing and smallest elsewhere" if mask else ""
    samples = "uint8 NHWC, 0 to 255" if options.uint8 else "float32 NCHW, -1 to 1"
    return {
        "images": f"{colours}, {samples}",
        "scale": model.generator.scale,
        "size_multiple": sides.multiple,
        "minimum_size_px": sides.minimum,
        "size_px": list(sides.fixed) if sides.fixed else None,
        "arithmetic": "float16" if options.half else "float32",
        "dropout": dropout,
    }


def _line(facts: Mapping[str, Any]) -> str:
    """One line about what the file takes and gives."""
    height_width = facts["size_px"]
    sides = (
        f"of {height_width[1]}×{height_width[0]} px"
        if height_width
        else f"of any size in multiples of {facts['size_multiple']} px, from {facts['minimum_size_px']} px on"
    )
    words = {
        "none": "",
        "off": "; dropout is left out, so results differ from infer's",
        "fixed": "; dropout as infer's",
    }
    larger = f", made {facts['scale']} times as large" if facts["scale"] > 1 else ""
    half = "; computed in float16" if facts["arithmetic"] == "float16" else ""
    return f"images: {facts['images']}, {sides}{larger}{half}{words[facts['dropout']]}"
