"""Files as NVIDIA's and rosinality's code write them, made of networks of ours, without any of their code.

The names and axes are spelled out here once more, from ours to theirs, so that a slip in the importer does not pass.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SOURCE = "raise SystemExit('this source was executed')"
FILTER = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


# ------------------------------------------------------------------ names


def generator_names(generator: nn.Module) -> dict[str, str]:
    """The name in NVIDIA's PyTorch code → ours."""
    names = {"mapping.w_avg": "mapping.running_mean", "synthesis.b4.const": "synthesis.start"}
    names |= mapping_names(generator.mapping)
    for number in range(len(generator.synthesis.levels)):
        for theirs, ours in (("conv0", "up"), ("conv1", "same")) if number else (("conv1", "same"),):
            block, level = f"synthesis.b{4 << number}.{theirs}", f"synthesis.levels.{number}.{ours}"
            names[f"{block}.noise_const"] = f"{level}.noise"
            names[f"{block}.noise_strength"] = f"{level}.noise_strength"
            names[f"{block}.bias"] = f"{level}.bias"
            for part in ("weight", "affine.weight", "affine.bias"):
                names[f"{block}.{part}"] = f"{level}.convolution.{part}"
        block, level = f"synthesis.b{4 << number}.torgb", f"synthesis.levels.{number}"
        names[f"{block}.bias"] = f"{level}.image_bias"
        for part in ("weight", "affine.weight", "affine.bias"):
            names[f"{block}.{part}"] = f"{level}.to_image.{part}"
    return names


def discriminator_names(discriminator: nn.Module) -> dict[str, str]:
    """The name in NVIDIA's PyTorch code → ours."""
    count = len(discriminator.levels)
    names = {} if discriminator.mapping is None else mapping_names(discriminator.mapping)
    pairs = [(f"b{4 << count}.fromrgb", "from_image"), ("b4.conv", "last"), ("b4.fc", "dense"), ("b4.out", "score")]
    for number in range(count):
        block = f"b{4 << (count - number)}"
        pairs += [(f"{block}.conv0", f"levels.{number}.same"), (f"{block}.conv1", f"levels.{number}.down")]
        names[f"{block}.skip.weight"] = f"levels.{number}.skip.weight"
    return names | {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in pairs for part in ("weight", "bias")}


def mapping_names(mapping: nn.Module) -> dict[str, str]:
    pairs = [(f"mapping.fc{number}", f"mapping.layers.{number}") for number in range(len(mapping.layers))]
    pairs += [("mapping.embed", "mapping.embed")] if mapping.embed is not None else []
    return {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in pairs for part in ("weight", "bias")}


def named(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network by the names in NVIDIA's PyTorch code."""
    names = generator_names(network) if hasattr(network, "synthesis") else discriminator_names(network)
    state = network.state_dict()
    return {theirs: state[ours] for theirs, ours in names.items()}


# ------------------------------------------------------------------ NVIDIA, PyTorch


class EasyDict(dict):
    """As in ``dnnlib.util``."""


class Persistent:
    """A module that is stored with its source."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.class_name, self.state = class_name, state

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": self.class_name}
        return _reconstruct_persistent_obj, (EasyDict(**meta, state=self.state),)


def _reconstruct_persistent_obj(meta: Any) -> None:
    raise AssertionError("this would execute the source")


class Network:
    """As in ``dnnlib.tflib.network``."""

    def __init__(self, **state: Any) -> None:
        self.state = state

    def __getstate__(self) -> dict[str, Any]:
        return self.state


@contextmanager
def their_modules() -> Iterator[None]:
    """Within the context these stand-ins are pickled under the names that they have in NVIDIA's code."""
    placed = {
        "torch_utils.persistence": _reconstruct_persistent_obj,
        "dnnlib.util": EasyDict,
        "dnnlib.tflib.network": Network,
    }
    before = {each: (each.__module__, each.__qualname__) for each in placed.values()}
    packages = ("torch_utils", "dnnlib", "dnnlib.tflib")
    sys.modules.update({name: types.ModuleType(name) for name in packages})
    for name, each in placed.items():
        sys.modules[name] = module = types.ModuleType(name)
        setattr(module, each.__name__, each)
        each.__module__ = name
    try:
        yield
    finally:
        for name in packages:
            del sys.modules[name]
        for name, each in placed.items():
            del sys.modules[name]
            each.__module__ = before[each][0]


def nested(class_name: str, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], prefix: str = "") -> Persistent:
    """Modules within modules from names with dots. ``settings`` are attributes by the module's path."""
    inner = {key: value for key, value in tensors.items() if key.startswith(prefix)}
    here = {key.removeprefix(prefix): value for key, value in inner.items() if "." not in key.removeprefix(prefix)}
    buffers = ("noise_const", "w_avg", "resample_filter")
    paths = [*(key for key in inner if key.removeprefix(prefix) not in here), *(f"{path}." for path in settings)]
    children = dict.fromkeys(path.removeprefix(prefix).split(".")[0] for path in paths if path.startswith(prefix))
    children.pop("", None)
    state = {
        "training": False,
        "_parameters": OrderedDict(
            {key: nn.Parameter(each, requires_grad=False) for key, each in here.items() if key not in buffers}
        ),
        "_buffers": OrderedDict({key: value for key, value in here.items() if key in buffers}),
        "_non_persistent_buffers_set": set(),
        "_modules": OrderedDict({name: nested(name, tensors, settings, f"{prefix}{name}.") for name in children}),
        "_init_kwargs": EasyDict(channel_base=np.float64(2.0)),
        **settings.get(prefix.removesuffix("."), {}),
    }
    return Persistent(class_name, state)


def save_torch(path: Path, networks: Mapping[str, nn.Module], changes: Mapping[str, Any] | None = None) -> Path:
    """Write networks as a snapshot of stylegan2-ada-pytorch; ``changes`` are settings of modules by path."""
    content = EasyDict(training_set_kwargs=EasyDict(class_name="training.dataset"), augment_pipe=None)
    for name, network in networks.items():
        tensors = dict(named(network))
        filtered = [key.removesuffix("weight") for key in tensors if key.endswith(("conv1.weight", "skip.weight"))]
        tensors |= {f"{key}resample_filter": FILTER for key in filtered}
        content[name] = nested(
            "Generator" if name != "D" else "Discriminator", tensors, settings_of(network) | dict(changes or {})
        )
    return pickled(path, content)


def pickled(path: Path, content: Any) -> Path:
    """Write anything as NVIDIA's code does."""
    with their_modules(), path.open("wb") as stream:
        pickle.dump(content, stream)
    return path


def settings_of(network: nn.Module) -> dict[str, dict[str, Any]]:
    """What shapes do not tell, by the path of the module that NVIDIA's code has it in."""
    learning = {"mapping.fc0": {"bias_gain": 0.01, "activation": "lrelu"}}
    if hasattr(network, "synthesis"):
        clamp = network.synthesis.levels[0].same.clamp
        return {**learning, "synthesis.b4": {"architecture": "skip"}, "synthesis.b4.conv1": {"conv_clamp": clamp}}
    group = {"group_size": network.group_images}
    return {**learning, "b4": {"architecture": "resnet"}, "b4.conv": {"conv_clamp": network.clamp}, "b4.mbstd": group}


# ------------------------------------------------------------------ NVIDIA, TensorFlow


def tensorflow_name(key: str, *, in_generator: bool) -> str:
    """The name in NVIDIA's PyTorch code → in the TensorFlow code."""
    if not in_generator:
        key = key.replace("mapping.fc", "Mapping").replace("mapping.embed", "LabelEmbed")
    key = key.replace("mapping.w_avg", "dlatent_avg").replace("mapping.fc", "mapping/Dense")
    key = key.replace("mapping.embed", "mapping/LabelEmbed").replace(".b4.const", "/4x4/Const/const")
    key = key.replace(".b4.conv1", "/4x4/Conv").replace("affine.", "mod_")
    for side in (4, 8, 16, 32):
        key = key.replace(f".b{side}.conv0", f"/{side}x{side}/Conv0_up").replace(
            f".b{side}.conv1", f"/{side}x{side}/Conv1"
        )
        key = key.replace(f".b{side}.torgb", f"/{side}x{side}/ToRGB")
        key = key.replace(f"b{side}.fromrgb", f"{side}x{side}/FromRGB").replace(
            f"b{side}.conv0", f"{side}x{side}/Conv0"
        )
        key = key.replace(f"b{side}.conv1", f"{side}x{side}/Conv1_down").replace(f"b{side}.skip", f"{side}x{side}/Skip")
    key = key.replace("b4.conv", "4x4/Conv").replace("b4.fc", "4x4/Dense0").replace("b4.out", "Output")
    return (
        key.replace(".weight", "/weight")
        .replace(".bias", "/bias")
        .replace(".mod_", "/mod_")
        .replace(".noise", "/noise")
    )


def tensorflow_array(key: str, value: Tensor) -> Any:
    array = value.numpy()
    if key.endswith("noise_strength"):
        return np.float32(array)
    if key.endswith("mod_bias"):
        return array - 1
    if key.endswith("Const/const"):
        return array[None]
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
        return np.ascontiguousarray(array[::-1, ::-1] if "Conv0_up" in key else array)
    return np.ascontiguousarray(array.T)


def tensorflow_network(network: nn.Module, version: int = 4, **static: Any) -> Network:
    tensors = named(network)
    noise = [value for key, value in tensors.items() if key.endswith("noise_const")]  # in the order of use
    variables = {
        tensorflow_name(key, in_generator=hasattr(network, "synthesis")): value
        for key, value in tensors.items()
        if not key.endswith("noise_const")
    }
    arrays = [(key, tensorflow_array(key, value)) for key, value in variables.items()]
    arrays += [(f"synthesis/noise{number}", plane.numpy()[None, None]) for number, plane in enumerate(noise)]
    arrays += [("lod", np.float32(0))]
    parts = {}
    for part in ("mapping", "synthesis"):
        inner = [(key.removeprefix(f"{part}/"), array) for key, array in arrays if key.startswith(f"{part}/")]
        if inner and hasattr(network, "synthesis"):
            parts[part] = Network(variables=inner, components={}, static_kwargs={}, version=version)
            arrays = [(key, array) for key, array in arrays if not key.startswith(f"{part}/")]
    return Network(version=version, static_kwargs=static, components=parts, variables=arrays, build_module_src=SOURCE)


def save_tensorflow(path: Path, networks: Mapping[str, nn.Module], version: int = 4, **static: Any) -> Path:
    """Write G, D and G's average as NVIDIA's TensorFlow code does."""
    with their_modules(), path.open("wb") as stream:
        stored = tuple(tensorflow_network(networks[name], version, **static) for name in ("G", "D", "G_ema"))
        pickle.dump(stored, stream, protocol=4)
    return path


# ------------------------------------------------------------------ rosinality


def rosinality_state(network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors under rosinality's names, with its axes of one entry."""
    tensors, levels = named(network), len(getattr(network, "levels", ())) or len(network.synthesis.levels) - 1
    state: dict[str, Tensor] = {}
    if not hasattr(network, "synthesis"):
        order = [f"b{4 << (levels - number)}" for number in range(levels)]
        state |= {
            "convs.0.0.weight": tensors[f"{order[0]}.fromrgb.weight"],
            "convs.0.1.bias": tensors[f"{order[0]}.fromrgb.bias"],
        }
        for number, block in enumerate(order, start=1):
            state |= {
                f"convs.{number}.conv1.0.weight": tensors[f"{block}.conv0.weight"],
                f"convs.{number}.conv1.1.bias": tensors[f"{block}.conv0.bias"],
                f"convs.{number}.conv2.0.kernel": FILTER,
                f"convs.{number}.conv2.1.weight": tensors[f"{block}.conv1.weight"],
                f"convs.{number}.conv2.2.bias": tensors[f"{block}.conv1.bias"],
                f"convs.{number}.skip.0.kernel": FILTER,
                f"convs.{number}.skip.1.weight": tensors[f"{block}.skip.weight"],
            }
        last = {"final_conv.0.weight": "conv.weight", "final_conv.1.bias": "conv.bias"}
        last |= {f"final_linear.0.{part}": f"fc.{part}" for part in ("weight", "bias")}
        last |= {f"final_linear.1.{part}": f"out.{part}" for part in ("weight", "bias")}
        return state | {theirs: tensors[f"b4.{ours}"] for theirs, ours in last.items()}
    for number in range(len(network.mapping.layers)):
        state |= {f"style.{number + 1}.{part}": tensors[f"mapping.fc{number}.{part}"] for part in ("weight", "bias")}
    state["input.input"] = tensors["synthesis.b4.const"][None]
    layers = {"conv1": "b4.conv1"}
    images = {"to_rgb1": "b4.torgb"}
    for number in range(levels):
        layers |= {f"convs.{2 * number + at}": f"b{8 << number}.conv{at}" for at in (0, 1)}
        images[f"to_rgbs.{number}"] = f"b{8 << number}.torgb"
        state[f"to_rgbs.{number}.upsample.kernel"] = FILTER * 4
    for theirs, block in {**layers, **images}.items():
        here = {key.removeprefix(f"synthesis.{block}."): value for key, value in tensors.items() if f".{block}." in key}
        state[f"{theirs}.conv.weight"] = here["weight"][None]
        state |= {f"{theirs}.conv.modulation.{part}": here[f"affine.{part}"] for part in ("weight", "bias")}
        if theirs in images:
            state[f"{theirs}.bias"] = here["bias"][None, :, None, None]
        else:
            state |= {f"{theirs}.activate.bias": here["bias"], f"{theirs}.noise.weight": here["noise_strength"][None]}
            state[f"noises.noise_{list(layers).index(theirs)}"] = here["noise_const"][None, None]
    return state


def save_rosinality(path: Path, networks: Mapping[str, nn.Module], *, mean: bool, old: bool = False) -> Path:
    """Write a checkpoint of rosinality's training, or (``mean``) one that was converted from TensorFlow."""
    content: dict[str, Any] = {name.lower(): rosinality_state(network) for name, network in networks.items()}
    if mean:
        content["latent_avg"] = networks["G_ema"].mapping.running_mean
    else:
        content["args"], content["ada_aug_p"] = argparse.Namespace(size=16, path="here"), 0.5
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path
