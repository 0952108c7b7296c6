"""Files of StyleGAN2: how those of each code are told from others, and the networks in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gantools.importing import nvidia, rosinality, stylegan2
from gantools.importing.found import Found

NVIDIA_TERMS = (
    "NVIDIA's own files: NVIDIA Source Code License, non-commercial (of FFHQ also CC BY-NC-SA 4.0);"
    " files that others trained: ask them"
)
ROSINALITY_TERMS = (
    "code MIT; weights converted from NVIDIA's stay under NVIDIA's non-commercial license; those that others trained:"
    " ask them"
)


@dataclass(frozen=True)
class Format:
    """A kind of file: how it is told from others, and the networks in it.

    ``holds`` gets what the file holds as plain values; ``names`` are the networks it may have; ``found`` makes one of
    ours of the opened file and a name.
    """

    name: str
    origin: str
    terms: str
    holds: Callable[[Any], bool]
    names: Callable[[Any], list[str]]
    found: Callable[[Any, str], Found]


FORMATS = (
    Format(
        "StyleGAN2 of NVIDIA (PyTorch)",
        "https://github.com/NVlabs/stylegan2-ada-pytorch",
        NVIDIA_TERMS,
        nvidia.is_torch,
        lambda content: [name for name in ("G_ema", "G", "D") if content.get(name) is not None],
        lambda file, name: stylegan2.found(nvidia.torch_parts(file, name)),
    ),
    Format(
        "StyleGAN2 of NVIDIA (TensorFlow)",
        "https://github.com/NVlabs/stylegan2",
        NVIDIA_TERMS,
        nvidia.is_tensorflow,
        lambda _content: list(nvidia.TENSORFLOW_NAMES),
        lambda file, name: stylegan2.found(nvidia.tensorflow_parts(file, name)),
    ),
    Format(
        "StyleGAN2 of rosinality",
        "https://github.com/rosinality/stylegan2-pytorch",
        ROSINALITY_TERMS,
        rosinality.is_rosinality,
        lambda content: [name for name in ("G_ema", "G", "D") if isinstance(content.get(name.lower()), dict)],
        lambda file, name: stylegan2.found(rosinality.rosinality_parts(file.content, name)),
    ),
)


def format_of(content: Any) -> Format | None:
    """The format of what a file holds; None where it is no StyleGAN2."""
    return next((each for each in FORMATS if each.holds(content)), None)
