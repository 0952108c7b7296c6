"""Tensors to a safetensors file one after the other: no second copy of them all is ever in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gantools.files import NewFile

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def stored_bytes(tensors: Mapping[str, Tensor]) -> int:
    """How much room the tensors' values take in a file."""
    return sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())


def extremes(tensor: Tensor) -> tuple[Tensor, ...]:
    """The smallest and largest value, which are finite where all are; of whole numbers and empty tensors nothing.

    Nothing as large as the tensor is made on the way.
    """
    return torch.aminmax(tensor.detach()) if tensor.is_floating_point() and tensor.numel() else ()


def is_finite(tensor: Tensor) -> bool:
    """Whether every value is a number."""
    return all(bool(torch.isfinite(edge)) for edge in extremes(tensor))


def write(stream: NewFile, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write ``tensors``, wherever they are, in the safetensors format. Raises TypeError for a type it does not have."""
    # The widest types first: so every value lies at a multiple of its size.
    ordered = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    stream.write(_header({name: tensors[name] for name in ordered}, metadata))
    for name in ordered:
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)  # not copied where it is so already
        stream.write(flat.view(torch.uint8).numpy().data)


def _header(ordered: Mapping[str, Tensor], metadata: Mapping[str, str] | None) -> bytes:
    described: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in ordered.items():
        if tensor.dtype not in _NAMES:
            raise TypeError(f"{name}: a checkpoint cannot hold {tensor.dtype}")
        start, end = end, end + tensor.numel() * tensor.itemsize
        described[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
