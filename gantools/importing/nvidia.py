"""StyleGAN2 in NVIDIA's pickles: of the PyTorch code, and of the TensorFlow code before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from gantools.errors import ModelFileError
from gantools.importing.found import Names, renamed
from gantools.importing.pickles import PickledFile
from gantools.importing.records import Module, NvidiaModule, Stored, TensorflowNetwork
from gantools.importing.stylegan2 import Parts

DEEPEST = 12
"""Modules within modules; NVIDIA's are four deep."""
MOST_TENSORS = 10_000
MOST_PARTS = 8
"""Of a TensorFlow network; a generator has two."""
OLDEST_VERSION = 4
"""Of TensorFlow networks; those of StyleGAN1 and ProGAN are older."""
WHOLE_BATCH = 1 << 16
"""More images than a group of the minibatch deviation ever has."""
TENSORFLOW_NAMES = ("G", "D", "G_ema")
_OTHER = "is a pickle of something else than NVIDIA's networks"


def is_torch(content: Any) -> bool:
    """Whether it is a snapshot of stylegan2-ada-pytorch, or of later code in the same shell."""
    return isinstance(content, dict) and any(isinstance(each, NvidiaModule) for each in content.values())


def torch_parts(file: PickledFile, name: str) -> Parts:
    """The network called ``name`` (G, D, G_ema). Raises ModelFileError for those of StyleGAN3 and others."""
    tensors: dict[str, Stored] = {}
    settings: dict[str, Any] = {}
    _walk(file.content[name], "", tensors, settings)
    if any(re.match(r"synthesis\.(input\.|L\d+_)", key) for key in tensors):
        raise ModelFileError("holds StyleGAN3, which gantools does not have; it imports StyleGAN2")
    filters = [tensors.pop(key) for key in list(tensors) if key.endswith("resample_filter")]
    is_generator = any(key.startswith("synthesis.") for key in tensors)

    def all_of(setting: str) -> frozenset[str]:
        return frozenset(str(value) for key, value in settings.items() if key.rpartition(".")[2] == setting)

    return Parts(
        "generator" if is_generator else "discriminator",
        tensors,
        filters,
        all_of("architecture"),
        all_of("activation"),
        clamp=settings.get("synthesis.b4.conv1.conv_clamp" if is_generator else "b4.conv.conv_clamp"),
        lr_multiplier=settings.get("mapping.fc0.bias_gain", Parts.lr_multiplier),
        group_images=settings.get("b4.mbstd.group_size", Parts.group_images) or WHOLE_BATCH,
    )


def _walk(module: Any, prefix: str, tensors: dict[str, Stored], settings: dict[str, Any]) -> None:
    """Collect the tensors of a module and of those within it, and their plain attributes."""
    if not isinstance(module, Module) or prefix.count(".") > DEEPEST or len(settings) > MOST_TENSORS:
        raise ModelFileError(_OTHER)
    plain = str | int | float | None
    settings[f"{prefix}__class__"] = module.class_name  # so that each module counts, one without settings too
    settings.update({prefix + key: value for key, value in module.state.items() if isinstance(value, plain)})
    for group in ("_parameters", "_buffers"):
        tensors.update({prefix + key: each for key, each in module.state[group].items() if isinstance(each, Stored)})
    for key, each in module.state["_modules"].items():
        if each is not None:
            _walk(each, f"{prefix}{key}.", tensors, settings)


def is_tensorflow(content: Any) -> bool:
    """Whether it is the tuple of G, D and G's average that NVIDIA's TensorFlow code stores."""
    return isinstance(content, tuple) and [type(each) for each in content] == [TensorflowNetwork] * 3


def tensorflow_parts(file: PickledFile, name: str) -> Parts:
    """The network called ``name`` (G, D, G_ema). Raises ModelFileError for those of StyleGAN1 and ProGAN."""
    state = file.content[TENSORFLOW_NAMES.index(name)].state
    variables = dict(_variables(state))
    if state.get("version", 0) < OLDEST_VERSION or any("StyleMod" in key for key in variables):
        raise ModelFileError("holds StyleGAN1 or ProGAN of TensorFlow; gantools imports StyleGAN2")
    given = {key: value for key, value in state["static_kwargs"].items() if value is not None}
    stored = {key: file.reader.array(array) for key, array in variables.items() if key != "lod"}
    is_generator = name != "D"
    taps = torch.tensor([float(tap) for tap in given.get("resample_kernel", [1, 3, 3, 1])])
    return Parts(
        "generator" if is_generator else "discriminator",
        dict(_turned(key, each, _GENERATOR if is_generator else _DISCRIMINATOR) for key, each in stored.items()),
        [Stored((len(taps), len(taps)), lambda: torch.outer(taps, taps) / taps.sum().square())],
        frozenset({_word(given["architecture"])} if "architecture" in given else {}),
        frozenset(_word(given.get(name, "lrelu")) for name in ("nonlinearity", "mapping_nonlinearity")),
        clamp=given.get("conv_clamp"),
        lr_multiplier=given.get("mapping_lrmul", 0.01 if is_generator else 0.1),
        group_images=given.get("mbstd_group_size", Parts.group_images),
    )


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise ModelFileError(_OTHER)
    return value


def _variables(state: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A network's variables and those of its parts (mapping, synthesis), by path."""
    too_many = len(state["variables"]) > MOST_TENSORS or len(state["components"]) > MOST_PARTS
    if prefix.count("/") > MOST_PARTS // 2 or too_many:
        raise ModelFileError(_OTHER)
    for name, array in state["variables"]:
        yield prefix + name, array
    for name, part in state["components"].items():
        yield from _variables(part.state, f"{prefix}{name}/")


def noise_plane(number: str) -> str:
    """The name of a plane of noise by its number: 0 at 4 pixels, 1 and 2 at 8, …"""
    at = int(number)
    return f"synthesis.b{4 << (at + 1) // 2}.conv{(at + 1) % 2 if at else 1}.noise_const"


_GENERATOR: Names = (
    (r"dlatent_avg", lambda: "mapping.w_avg"),
    (r"mapping/LabelEmbed/(.+)", "mapping.embed.{}".format),
    (r"mapping/Dense(\d+)/(.+)", "mapping.fc{}.{}".format),
    (r"synthesis/noise(\d+)", noise_plane),
    (r"synthesis/4x4/Const/const", lambda: "synthesis.b4.const"),
    (r"synthesis/4x4/Conv/(.+)", "synthesis.b4.conv1.{}".format),
    (r"synthesis/(\d+)x\d+/Conv0_up/(.+)", "synthesis.b{}.conv0.{}".format),
    (r"synthesis/(\d+)x\d+/Conv1/(.+)", "synthesis.b{}.conv1.{}".format),
    (r"synthesis/(\d+)x\d+/ToRGB/(.+)", "synthesis.b{}.torgb.{}".format),
)
_DISCRIMINATOR: Names = (
    (r"LabelEmbed/(.+)", "mapping.embed.{}".format),
    (r"Mapping(\d+)/(.+)", "mapping.fc{}.{}".format),
    (r"4x4/Conv/(.+)", "b4.conv.{}".format),
    (r"4x4/Dense0/(.+)", "b4.fc.{}".format),
    (r"Output/(.+)", "b4.out.{}".format),
    (r"(\d+)x\d+/FromRGB/(.+)", "b{}.fromrgb.{}".format),
    (r"(\d+)x\d+/Conv0/(.+)", "b{}.conv0.{}".format),
    (r"(\d+)x\d+/Conv1_down/(.+)", "b{}.conv1.{}".format),
    (r"(\d+)x\d+/Skip/(.+)", "b{}.skip.{}".format),
)


def _turned(key: str, stored: Stored, names: Names) -> tuple[str, Stored]:
    """A variable under PyTorch's name, in its order of axes. What enlarges is mirrored, biases of styles lack 1."""
    shape = stored.shape
    new = re.sub(r"\.mod_(weight|bias)$", r".affine.\1", renamed(names, key))
    if new.endswith("noise_const"):
        return new, stored.changed(shape[2:], lambda planes: planes[0, 0])
    if new.endswith(".const"):
        return new, stored.changed(shape[1:], lambda start: start[0])
    if new.endswith("affine.bias"):
        return new, stored.changed(shape, lambda bias: bias + 1)
    if len(shape) == 2:
        return new, stored.changed(shape[::-1], Tensor.t)
    if len(shape) != 4:
        return new, stored
    mirrored = (0, 1) if "/Conv0_up/" in key else ()
    order = (3, 2, 0, 1)
    return new, stored.changed([shape[at] for at in order], lambda weight: weight.flip(mirrored).permute(order))
