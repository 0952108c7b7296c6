"""The content of an ONNX or .pt2 file of a generator from a latent vector."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.export import Dim

from gantools.errors import UsageError
from gantools.exporting.graph_file import BATCH, Header, Subject, written
from gantools.exporting.options import ExportOptions
from gantools.exporting.parity import Difference
from gantools.generation.model import LatentModel
from gantools.images import ranges
from gantools.models.latent.progressive import ProgressiveGenerator

DEFAULT = ExportOptions()


class FromLatent(nn.Module):
    """A network from latent vectors, and conditions beside them to floats or samples.

    Shapes: (N, size), (N, condition) → (N, C, H, W) in [-1, 1], or uint8 (N, H, W, C).
    """

    def __init__(self, network: nn.Module, *, uint8: bool) -> None:
        super().__init__()
        self.network, self.uint8 = network, uint8

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        image = cast(Tensor, self.network(latent) if condition is None else self.network(latent, condition))
        return ranges.batch_from_float(image) if self.uint8 else image


def made(
    suffix: str, model: LatentModel, header: Header, options: ExportOptions
) -> tuple[bytes, tuple[Difference, ...], tuple[str, ...]]:
    """The content, how it differs from the network, and lines about it.

    Of StyleGAN2 the noise is the stored one, and styles are not truncated. Raises UsageError for options that such a
    network cannot have, and GantoolsError as :func:`gantools.exporting.graph_file.written` does.
    """
    for name in ("size", "dropout", "half"):
        if getattr(options, name) != getattr(DEFAULT, name):
            raise UsageError(f"--{name}: this network makes images from noise, of one size, in float32; leave it out")
    network = copy.deepcopy(model.network)
    if isinstance(network, ProgressiveGenerator):
        network.stop_growing()
    with torch.inference_mode():
        image = model.network(*_inputs(1, model))
    channels, *size = image.shape[1:]
    lengths: dict[str, Sequence[str | int]] = {
        name: [BATCH, each.shape[1]] for name, each in zip(("latent", "condition"), _inputs(1, model), strict=False)
    }
    subject = Subject(
        FromLatent(network, uint8=options.uint8),
        FromLatent(model.network, uint8=options.uint8),
        _inputs(2, model),
        [_inputs(count, model) for count in (1, 3)],
        [{0: Dim("batch", min=1)}] * len(lengths),
        {**lengths, "output": [BATCH, *size, channels] if options.uint8 else [BATCH, channels, *size]},
        _facts(model, options, (channels, *size)),
    )
    return *written(subject, suffix, header, options), (_line(subject.facts),)


def _inputs(count: int, model: LatentModel) -> list[Tensor]:
    """Random latent vectors, and conditions where the network takes them; the same each time."""
    random, latent = torch.Generator().manual_seed(0), model.latent
    vectors = [torch.randn((count, latent.size), generator=random)]
    if latent.text_size:
        return [*vectors, torch.rand((count, latent.text_size), generator=random)]
    if latent.classes:
        return [*vectors, torch.eye(len(latent.classes))[torch.arange(count) % len(latent.classes)]]
    return vectors


def _facts(model: LatentModel, options: ExportOptions, image: tuple[int, ...]) -> dict[str, Any]:
    latent = model.latent
    channels, height, width = image
    samples = "uint8 NHWC, 0 to 255" if options.uint8 else "float32 NCHW, -1 to 1"
    return {
        "latent": f"{latent.size} values, {latent.distribution}",
        "condition": f"a text's {latent.text_size} values"
        if latent.text_size
        else f"one of {len(latent.classes)} classes, as 0 and 1"
        if latent.classes
        else "none",
        "images": f"{width}×{height} px, {channels} channels, {samples}",
    }


def _line(facts: Mapping[str, Any]) -> str:
    condition = "" if facts["condition"] == "none" else f"; condition: {facts['condition']}"
    return f"latent: {facts['latent']}{condition}; images: {facts['images']}"
