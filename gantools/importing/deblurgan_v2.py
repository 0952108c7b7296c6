"""The feature pyramids of DeblurGAN-v2, on MobileNetV2 and on Inception-ResNet-v2, as our FPN.

Their files hold every layer of the encoder twice, by its place in the encoder and by its level; the levels are what
runs. Their script tests in training mode: BatchNorm takes the statistics of the image, and InstanceNorm never uses its
running statistics, which are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from gantools.errors import ModelFileError
from gantools.importing.found import Family, Found, Names, State, renamed
from gantools.importing.generators import (
    Shape,
    found_generator,
    kernel,
    options_of,
    renamed_by,
    shapes_of,
    with_batch_counts,
)
from gantools.importing.records import Stored
from gantools.models.blocks import NormName, convolution_bias
from gantools.models.fpn_encoders import EncoderName
from gantools.models.options import FPNOptions

_LOOKS_LIKE = "a feature pyramid of DeblurGAN-v2"
_STATISTICS = r"(smooth2?|fpn\.td\d)\.1\.(running_mean|running_var|num_batches_tracked)"
_WHOLE_ENCODER = r"fpn\.(features|inception)\..+"
"""The encoder as a whole, with the layers that do not run."""
_NEXT_TO_THEIR_INPUT = frozenset({(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 4)})
"""Blocks of MobileNetV2 whose output is added to their input, by level and place."""


def found(state: State) -> Found | None:
    """An FPNMobileNet or FPNInception."""
    shapes = shapes_of(state)
    if not kernel(shapes, "fpn.lateral4.weight")[0] or not kernel(shapes, "head1.block0.weight")[0]:
        return None
    encoder, pyramid, head = _encoder(shapes), *kernel(shapes, "head1.block0.weight")[1::-1]
    norm = _norm(shapes)
    options = options_of(
        FPNOptions,
        _LOOKS_LIKE,
        out_channels=kernel(shapes, "final.weight")[0],
        encoder=encoder,
        pyramid_channels=pyramid,
        head_channels=head,
        norm=norm,
        bias=None if convolution_bias(norm, None) else True,
    )
    return found_generator(options, _tensors(state, encoder, norm, head), mode="train")


def _encoder(shapes: Mapping[str, Shape]) -> EncoderName:
    """The encoder, by the channels of its last level. Raises ModelFileError for one that ours does not have."""
    known: dict[int, EncoderName] = {160: "mobilenet_v2", 2080: "inception_resnet_v2"}
    last = kernel(shapes, "fpn.lateral4.weight")[1]
    if last not in known:
        raise ModelFileError(
            f"looks like {_LOOKS_LIKE}, but its encoder ends with {last} channels; gantools has MobileNetV2 (160) and"
            " Inception-ResNet-v2 (2080)"
        )
    if "fpn.td1.0.weight" not in shapes:
        raise ModelFileError(f"looks like {_LOOKS_LIKE}, but has no convolutions between its scales (fpn.td1)")
    return known[last]


def _norm(shapes: Mapping[str, Shape]) -> NormName:
    return "batch" if "smooth.1.weight" in shapes else "instance"


def _tensors(state: State, encoder: EncoderName, norm: NormName, head: int) -> dict[str, Stored]:
    """The tensors by our names. What the heads see is concatenated from coarse to fine in theirs, in ours from fine."""
    left_out = rf"{_WHOLE_ENCODER}|{_STATISTICS}" if norm == "instance" else _WHOLE_ENCODER
    names = _MOBILE if encoder == "mobilenet_v2" else _INCEPTION
    kept = {key: stored for key, stored in state.items() if not re.fullmatch(left_out, key)}
    tensors = renamed_by(lambda key: renamed(_PYRAMID, renamed(names, key)), kept)
    smooth = tensors.get("smooth.0.weight")
    if smooth is not None and len(smooth.shape) == 4 and smooth.shape[1] == 4 * head:
        tensors["smooth.0.weight"] = smooth.changed(smooth.shape, _quarters_reversed)
    return with_batch_counts(tensors)


def _quarters_reversed(weight: Tensor) -> Tensor:
    return torch.cat(weight.tensor_split(4, dim=1)[::-1], dim=1)


def _before(number: str) -> int:
    return int(number) - 1


_PYRAMID: Names = (
    (r"head([1-4])\.block([01])\.(.+)", lambda number, at, part: f"heads.{_before(number)}.{2 * int(at)}.{part}"),
    (r"fpn\.lateral0\.(.+)", "lateral_fine.{}".format),
    (r"fpn\.lateral([1-4])\.(.+)", lambda number, part: f"lateral.{_before(number)}.{part}"),
    (r"fpn\.td([1-3])\.(.+)", lambda number, part: f"smooth_pyramid.{_before(number)}.{part}"),
    (r"smooth2\.(.+)", "smooth_fine.{}".format),
    (r"final\.(.+)", "last.{}".format),
)


def _mobile(level: str, place: str, part: str) -> str:
    inner = "body." if (int(level), int(place)) in _NEXT_TO_THEIR_INPUT else ""
    return f"encoder.{level}.{place}.{inner}{part}"


_MOBILE: Names = (
    (r"fpn\.enc([0-4])\.(\d)\.conv\.(.+)", _mobile),
    (r"fpn\.enc0\.0\.(.+)", "encoder.0.0.{}".format),
)


def _inception(level: str, layers: str) -> str:
    """Names of layers as their numbers: a convolution and its norm, branches, and what follows those."""
    for pattern, new in (
        (r"\bbranch(\d)", r"branches.\1"),
        (r"\bconv\.", "0."),
        (r"\bbn\.", "1."),
        (r"\bconv2d\b", "last"),
    ):
        layers = re.sub(pattern, new, layers)
    return f"encoder.{level}.{layers}"


_INCEPTION: Names = ((r"fpn\.enc([0-4])\.(.+)", _inception),)

FAMILIES: tuple[Family, ...] = (Family("DeblurGAN-v2", "VITA-Group/DeblurGANv2", "BSD-2-Clause", "deblur", found),)
