"""What an ONNX file says of itself, of the image that it takes and of the one that it makes. No torch.

Nothing is run, and no other file is read: tensors outside of the file are looked for by onnxruntime, in the file's own
folder alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from gantools.errors import ModelFileError, UsageError

SUFFIX = ".onnx"
KEY = "gantools"
"""Under it, in the metadata, our own files describe themselves."""

LARGEST_BYTES = (1 << 31) - 1
"""More does not fit in one protobuf message."""

LARGEST_SIDE_PX = 1 << 14
"""Of images whose size is fixed: each part of an image is brought to it."""

_TYPES = {1: "float32", 2: "uint8", 10: "float16"}
_NAMED = 100
"""Letters of a name from the file that a message shows."""


@dataclass(frozen=True)
class Value:
    """An input or output: its type, and its axes; None for one of any length."""

    name: str
    type: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class OnnxFile:
    """The description that gantools wrote, None in other programs' files; what goes in and what comes out."""

    header: dict[str, Any] | None
    image: Value
    output: Value
    tensors: int
    producer: str

    @property
    def channels_last(self) -> bool:
        """Whether images are NHWC: those of 8 bits that gantools exports."""
        return self.image.type == "uint8"

    @property
    def channels(self) -> tuple[int, int]:
        """Of the image and of the output; RGB where an axis is of any length."""
        axis = 3 if self.channels_last else 1
        return self.image.shape[axis] or 3, self.output.shape[axis] or 3

    @property
    def side_axes(self) -> slice:
        """Where height and width are."""
        return slice(1, 3) if self.channels_last else slice(2, 4)

    @property
    def fixed_px(self) -> tuple[int, int] | None:
        """Height and width, where images of no other size are taken."""
        height, width = self.image.shape[self.side_axes]
        return (height, width) if height is not None and width is not None else None


def is_onnx(path: Path) -> bool:
    """Whether a file is meant as an ONNX model, by its name."""
    return path.suffix.lower() == SUFFIX


def describe(path: Path) -> dict[str, Any]:
    """What weights files say in their header: what gantools wrote, or what the graph of another program's file shows.

    Raises ModelFileError.
    """
    file = read(path)
    if file.header is not None:
        return file.header
    inputs, outputs = file.channels
    scale = 1
    made = file.output.shape[file.side_axes]
    if file.fixed_px is not None and made[0]:
        scale = max(1, made[0] // file.fixed_px[0])
    options = {"name": "onnx", "in_channels": inputs, "out_channels": outputs}
    network = {"network": "network", "options": options, "scale": scale, "size_multiple": 1}
    return {"schema": 1, "recipe": "onnx", "exports": {"network": network}, "about": {"producer": file.producer}}


def read(path: Path) -> OnnxFile:
    """Read what a file says. Raises ModelFileError for what cannot be run, UsageError without the package onnx."""
    try:
        status = path.stat()
    except OSError as error:
        raise ModelFileError(f"{str(path)!r}: cannot be read ({error})") from error
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, size: int, _changed: int) -> OnnxFile:
    if size > LARGEST_BYTES:
        raise ModelFileError(f"{str(path)!r}: has {size:,} bytes, more than an ONNX file can have")
    try:
        import onnx
    except ImportError as error:
        raise UsageError(
            f"{str(path)!r}: running ONNX files needs onnx and onnxruntime: pip install 'gantools[export]'"
        ) from error
    try:
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's own, by version
        raise ModelFileError(f"{str(path)!r}: is no ONNX model, or a damaged one") from error
    try:
        return _opened(model, path)
    except ModelFileError as error:
        raise ModelFileError(f"{str(path)!r}: {error}") from error


def _opened(model: Any, path: Path) -> OnnxFile:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    for values, what in ((inputs, "inputs"), (model.graph.output, "outputs")):
        if len(values) != 1:
            raise ModelFileError(f"has {len(values)} {what}; models from one image to one image are run")
    tensors = list(_tensors(model))
    for tensor in tensors:
        _require_inside(tensor, path)
    if any(node.op_type == "EPContext" for node in model.graph.node):
        raise ModelFileError("is compiled for one kind of processor (EPContext), which may name any file; not run")
    header = next((each.value for each in model.metadata_props if each.key == KEY), None)
    described = _header(header)
    if described is not None and '"takes": "latent"' in json.dumps(described["exports"]):
        raise ModelFileError("makes images from noise; gantools generate takes the weights that it was exported from")
    image, output = _value(inputs[0]), _value(model.graph.output[0])
    file = OnnxFile(described, image, output, len(tensors), _printable(model.producer_name))
    _require_images(file)
    return file


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor of a message, those in attributes, subgraphs and functions too."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.name == "TensorProto":
            yield from value if field.is_repeated else [value]
        else:
            for part in value if field.is_repeated else [value]:
                yield from _tensors(part)


def _require_inside(tensor: Any, path: Path) -> None:
    """Refuse a tensor that lies in another file, unless that is in the same folder, or below it."""
    if tensor.data_location != 1:  # EXTERNAL
        return
    location = next((each.value for each in tensor.external_data if each.key == "location"), "")
    folder = path.resolve().parent
    name = PurePosixPath(location.replace("\\", "/"))
    if not location or name.is_absolute() or ".." in name.parts or ":" in location:
        raise ModelFileError(f"wants to read {_printable(location)!r}, which is outside of its folder")
    if not (folder / name).resolve().is_relative_to(folder):
        raise ModelFileError(f"wants to read {_printable(location)!r}, a link out of its folder")
    if not (folder / name).is_file():
        raise ModelFileError(f"lacks {_printable(location)!r}, which holds its tensors and belongs beside it")


def _value(info: Any) -> Value:
    name, tensor = _printable(info.name), info.type.tensor_type
    if not info.type.HasField("tensor_type") or tensor.elem_type not in _TYPES:
        raise ModelFileError(f"{name!r} is no tensor of float32, float16 or uint8")
    if not tensor.HasField("shape") or len(tensor.shape.dim) != 4:
        count = len(tensor.shape.dim) if tensor.HasField("shape") else "an unknown number of"
        raise ModelFileError(f"{name!r} has {count} axes; images have four: batch, channels, height, width")
    lengths = (axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim)
    return Value(
        info.name, _TYPES[tensor.elem_type], tuple(length if length and length > 0 else None for length in lengths)
    )


def _header(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        header = json.loads(text)
        exports = header["exports"].values()
        if not exports or not isinstance(header["recipe"], str) or not all(isinstance(each, dict) for each in exports):
            raise KeyError
        return {**header, "exports": dict(header["exports"]), "about": dict(header["about"])}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError("has a description that gantools did not write") from error


def _require_images(file: OnnxFile) -> None:
    image, output = file.image, file.output
    if (image.type == "uint8") != (output.type == "uint8") or (image.type == "uint8" and file.header is None):
        raise ModelFileError(f"takes {image.type} and makes {output.type}; floats in and out are run")
    if not {file.channels[0] - _sees_mask(file), file.channels[1]} <= {1, 3}:
        shape = "×".join("?" if length is None else str(length) for length in image.shape)
        raise ModelFileError(
            f"takes {shape} and makes {file.channels[1]} channels; gray or RGB, channels first, is run"
        )
    if image.shape[0] not in (None, 1):
        raise ModelFileError(f"takes {image.shape[0]} images at once; one, or any number, is run")
    if file.fixed_px is not None and max(file.fixed_px) > LARGEST_SIDE_PX:
        raise ModelFileError(
            f"takes images of {file.fixed_px[1]}×{file.fixed_px[0]} px alone, which is too large to run"
        )
    free = [length is None for length in image.shape[file.side_axes]]
    if any(free) and not all(free):
        raise ModelFileError("takes images of one fixed side; both sides fixed, or neither, is run")


def _sees_mask(file: OnnxFile) -> bool:
    """Whether it is of a network of ours that fills missing parts, and is given the mask as one channel more."""
    exports = file.header["exports"].values() if file.header is not None else ()
    return file.channels[0] == file.channels[1] + 1 and any(each.get("takes") == "masked" for each in exports)


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_NAMED])
