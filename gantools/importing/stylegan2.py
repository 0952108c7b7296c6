"""StyleGAN2 of other codes as our networks.

What a network is like (size, channels, layers) follows from the shapes of its tensors; ``Parts`` has what they do not
tell. Key names and constants: NVlabs/stylegan2-ada-pytorch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import log2
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from gantools.checkpoint.weights import Export, Latent
from gantools.errors import ModelFileError
from gantools.importing.found import Found, Names, renamed
from gantools.importing.records import Stored
from gantools.models.latent.style import MAPPING_LR_MULTIPLIER, StyleDiscriminator, StyleGenerator, widths

LARGEST_PX = 4096
MEAN_LATENTS = 10_000


@dataclass(frozen=True)
class Parts:
    """A network's tensors under the names of NVIDIA's PyTorch code, and the settings that shapes do not tell."""

    kind: Literal["generator", "discriminator"]
    tensors: Mapping[str, Stored]
    filters: list[Stored]
    architectures: frozenset[str] = frozenset()
    activations: frozenset[str] = frozenset()
    clamp: float | None = None
    lr_multiplier: float = MAPPING_LR_MULTIPLIER
    group_images: int = 4

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {key: stored.shape for key, stored in self.tensors.items()}

    @property
    def condition_size(self) -> int:
        """How many classes the network knows."""
        return self.shapes["mapping.embed.weight"][1] if "mapping.embed.weight" in self.tensors else 0

    @property
    def mapping_layers(self) -> int:
        """How many dense layers the mapping has."""
        return sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", key)) for key in self.tensors)

    def channels(self, pattern: str) -> dict[int, int]:
        """Channels by side, the smallest first, from the tensors whose names match."""
        matches = ((re.fullmatch(pattern, key), shape) for key, shape in self.shapes.items())
        return dict(sorted((int(match[1]), shape[0]) for match, shape in matches if match))


def found(parts: Parts) -> Found:
    """The network of ours that has these tensors. Raises ModelFileError for what it cannot have."""
    usual = "skip" if parts.kind == "generator" else "resnet"
    if others := parts.architectures - {usual}:
        raise ModelFileError(f"holds a {parts.kind} of the architecture {min(others)}; gantools has {usual}")
    if others := parts.activations - {"lrelu", "linear"}:
        raise ModelFileError(f"holds a {parts.kind} with the activation {min(others)}; gantools has lrelu")
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    for each in parts.filters:
        if each.shape != (4, 4) or not torch.allclose(each.read().float(), torch.outer(line, line), atol=1e-5):
            raise ModelFileError("holds a network with another resampling filter than [1, 3, 3, 1]")
    try:
        return _generator(parts) if parts.kind == "generator" else _discriminator(parts)
    except KeyError as error:
        raise ModelFileError(f"holds no StyleGAN2: {error.args[0]} is missing") from error
    except IndexError as error:
        raise ModelFileError("holds no StyleGAN2: a tensor has too few axes") from error


def _generator(parts: Parts) -> Found:
    shapes, classes = parts.shapes, parts.condition_size
    sizes = parts.channels(r"synthesis\.b(\d+)\.conv1\.weight")
    style_size = shapes["synthesis.b4.conv1.affine.weight"][1]
    latent_size = shapes["mapping.fc0.weight"][1] - (style_size if classes else 0)
    options: dict[str, Any] = {
        **_sides(sizes),
        "latent_size": latent_size,
        "style_size": style_size,
        "out_channels": shapes["synthesis.b4.torgb.weight"][0],
        "mapping_layers": parts.mapping_layers,
        "condition_size": classes,
        "clamp": parts.clamp,
    }
    latent = Latent(latent_size, classes=tuple(map(str, range(classes))), rows=2 * len(sizes))
    side_px = max(sizes)
    export = Export(
        "generator", {"name": "style", **options}, 1, 1, takes="latent", latent=latent, image_px=(side_px, side_px)
    )
    complete = None if "mapping.w_avg" in shapes else _find_mean
    lacks_mean = {} if complete is None else {"mapping.running_mean": _zeros(style_size)}
    tensors = {**_ours(parts, _generator_names()), **lacks_mean}
    return Found(export, partial(StyleGenerator, **options), tensors, complete, drawn="noise")


def _discriminator(parts: Parts) -> Found:
    sizes = {4: parts.shapes["b4.conv.weight"][0], **parts.channels(r"b(\d+)\.conv0\.weight")}
    largest = max(sizes)
    options: dict[str, Any] = {
        **_sides(sizes),
        "in_channels": parts.shapes[f"b{largest}.fromrgb.weight"][1],
        "mapping_layers": parts.mapping_layers if parts.condition_size else 8,
        "condition_size": parts.condition_size,
        "group_images": parts.group_images,
        "clamp": parts.clamp,
    }
    tensors = _ours(parts, _discriminator_names(largest))
    if parts.condition_size:  # unused in a discriminator, whose style is never truncated
        tensors["mapping.running_mean"] = _zeros(sizes[4])
    export = Export("discriminator", {"name": "style_discriminator", **options}, 1, 1, takes="judged")
    return Found(export, partial(StyleDiscriminator, **options), tensors)


def _zeros(size: int) -> Stored:
    return Stored((size,), lambda: torch.zeros(size))


def _sides(sizes: Mapping[int, int]) -> dict[str, int]:
    """The options that both networks have, from the channels by side."""
    sides = list(sizes)
    if not sides or sides != [4 << number for number in range(len(sides))] or sides[-1] > LARGEST_PX:
        raise ModelFileError(f"holds no StyleGAN2: has blocks of the sides {', '.join(map(str, sides)) or 'none'}")
    base, most = max(side * count for side, count in sizes.items()), max(sizes.values())
    if widths(sides[-1], base, most) != list(sizes.values()):
        raise ModelFileError(f"holds a StyleGAN2 whose channels are not min(base / side, most): {dict(sizes)}")
    return {"image_px": sides[-1], "channel_base": base, "max_channels": most}


def _ours(parts: Parts, names: Names) -> dict[str, Stored]:
    """The tensors under our names; those of a mapping with another learning rate are scaled to ours."""
    factor = parts.lr_multiplier / MAPPING_LR_MULTIPLIER
    scaled: Callable[[str], bool] = lambda key: factor != 1 and key.startswith("mapping.fc")  # noqa: E731
    return {
        renamed(names, key): stored.changed(stored.shape, lambda value: value * factor) if scaled(key) else stored
        for key, stored in parts.tensors.items()
    }


_MAPPING: Names = ((r"mapping\.fc(\d+)\.(.+)", "mapping.layers.{}.{}".format),)


def _generator_names() -> Names:
    def level(side: str) -> str:
        return f"synthesis.levels.{int(log2(int(side))) - 2}"

    def layer(side: str, number: str, part: str) -> str:
        inner = "convolution." if part.startswith(("weight", "affine")) else ""
        return f"{level(side)}.{('up', 'same')[int(number)]}.{inner}{part.replace('noise_const', 'noise')}"

    return (
        *_MAPPING,
        (r"mapping\.w_avg", lambda: "mapping.running_mean"),
        (r"synthesis\.b4\.const", lambda: "synthesis.start"),
        (r"synthesis\.b(\d+)\.conv([01])\.(.+)", layer),
        (r"synthesis\.b(\d+)\.torgb\.bias", lambda side: f"{level(side)}.image_bias"),
        (r"synthesis\.b(\d+)\.torgb\.(.+)", lambda side, part: f"{level(side)}.to_image.{part}"),
    )


def _discriminator_names(largest: int) -> Names:
    def level(side: str, layer: str, part: str) -> str:
        ours = {"conv0": "same", "conv1": "down", "skip": "skip"}[layer]
        return f"levels.{int(log2(largest / int(side)))}.{ours}.{part}"

    return (
        *_MAPPING,
        (rf"b{largest}\.fromrgb\.(.+)", "from_image.{}".format),
        (r"b4\.conv\.(.+)", "last.{}".format),
        (r"b4\.fc\.(.+)", "dense.{}".format),
        (r"b4\.out\.(.+)", "score.{}".format),
        (r"b(\d+)\.(conv0|conv1|skip)\.(.+)", level),
    )


@torch.no_grad()
def _find_mean(network: nn.Module) -> None:
    """Set the mean style, of as many latents as NVIDIA's projector takes, where a file does not hold it."""
    assert isinstance(network, StyleGenerator)
    latents = torch.from_numpy(np.random.RandomState(123).randn(20, MEAN_LATENTS // 20, network.latent_size))
    condition = torch.zeros(latents.shape[1], network.condition_size) if network.condition_size else None
    means = torch.stack([network.mapping(part, condition).mean(dim=0) for part in latents])
    network.mapping.running_mean.copy_(means.mean(dim=0))
