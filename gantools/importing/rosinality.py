"""StyleGAN2 in checkpoints of rosinality/stylegan2-pytorch: trained with it, or converted from NVIDIA's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gantools.importing.found import Names, renamed
from gantools.importing.nvidia import noise_plane
from gantools.importing.records import Stored
from gantools.importing.stylegan2 import Parts

_GENERATOR: Names = (
    (r"input\.input", lambda: "synthesis.b4.const"),
    (r"style\.(\d+)\.(.+)", lambda number, part: f"mapping.fc{int(number) - 1}.{part}"),
    (r"noises\.noise_(\d+)", noise_plane),
    (r"conv1\.(.+)", "synthesis.b4.conv1.{}".format),
    (r"to_rgb1\.(.+)", "synthesis.b4.torgb.{}".format),
    (r"convs\.(\d+)\.(.+)", lambda at, part: f"synthesis.b{8 << int(at) // 2}.conv{int(at) % 2}.{part}"),
    (r"to_rgbs\.(\d+)\.(.+)", lambda at, part: f"synthesis.b{8 << int(at)}.torgb.{part}"),
)
_PARTS: Names = (
    (r"(synthesis.+)\.conv\.modulation\.(.+)", "{}.affine.{}".format),
    (r"(synthesis.+)\.conv\.weight", "{}.weight".format),
    (r"(synthesis.+)\.noise\.weight", "{}.noise_strength".format),
    (r"(synthesis.+)\.activate\.bias", "{}.bias".format),
)


def is_rosinality(content: Any) -> bool:
    """Whether it is a checkpoint of rosinality's code."""
    networks = [content.get(name) for name in ("g_ema", "g")] if isinstance(content, dict) else []
    return any(isinstance(each, dict) and "input.input" in each for each in networks)


def rosinality_parts(content: Mapping[str, Any], name: str) -> Parts:
    """The network called ``name`` (G, D, G_ema)."""
    state = {key: _stored(value) for key, value in content[name.lower()].items() if isinstance(value, Tensor | Stored)}
    filters = [
        stored.changed(stored.shape, lambda taps: taps / taps.sum())
        for key, stored in state.items()
        if key.endswith("kernel")
    ]
    weights = {key: stored for key, stored in state.items() if not key.endswith("kernel")}
    if name == "D":
        names = _discriminator_names(state)
        return Parts("discriminator", {renamed(names, key): stored for key, stored in weights.items()}, filters)
    theirs = {renamed(_PARTS, renamed(_GENERATOR, key)): stored for key, stored in weights.items()}
    tensors = {key: _without_ones(key, stored) for key, stored in theirs.items()}
    if (mean := content.get("latent_avg")) is not None:
        tensors["mapping.w_avg"] = _without_ones("w_avg", _stored(mean))
    return Parts("generator", tensors, filters)


def _discriminator_names(state: Mapping[str, Stored]) -> Names:
    largest = 4 << sum(bool(re.fullmatch(r"convs\.\d+\.skip\.1\.weight", key)) for key in state)

    def block(at: str) -> str:
        return f"b{largest >> (int(at) - 1)}"

    return (
        (r"convs\.0\.\d\.(.+)", f"b{largest}.fromrgb.{{}}".format),
        (r"convs\.(\d+)\.conv1\.\d\.(.+)", lambda at, part: f"{block(at)}.conv0.{part}"),
        (r"convs\.(\d+)\.conv2\.\d\.(.+)", lambda at, part: f"{block(at)}.conv1.{part}"),
        (r"convs\.(\d+)\.skip\.\d\.(.+)", lambda at, part: f"{block(at)}.skip.{part}"),
        (r"final_conv\.\d\.(.+)", "b4.conv.{}".format),
        (r"final_linear\.0\.(.+)", "b4.fc.{}".format),
        (r"final_linear\.1\.(.+)", "b4.out.{}".format),
    )


def _stored(value: Tensor | Stored) -> Stored:
    return value if isinstance(value, Stored) else Stored(tuple(value.shape), lambda: value)


def _without_ones(key: str, stored: Stored) -> Stored:
    """A generator's tensor without the axes of one entry that this code has besides NVIDIA's."""
    shape = stored.shape
    if key.endswith(("weight", "const")):
        kept = {"noise_const": 2, "const": 3}.get(key.rpartition(".")[2], min(len(shape), 4))
        shape = shape[-kept:]
    else:
        shape = () if key.endswith("noise_strength") else (math.prod(shape),)
    return stored.changed(shape, lambda value: value.reshape(shape))
