"""What a file is that was given as weights and is none of ours. No torch."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from gantools.images.formats import sniff

SUFFIXES = (".pth", ".pt", ".ckpt", ".pkl", ".tar", ".bin", ".h5")
"""Of the weights of other codes."""
TORCH_EXPORT = ".pt2"
"""Of programs that torch.export wrote; infer runs none."""

PICKLE, ZIP = b"\x80", b"PK\x03\x04"
"""What pickles and archives begin with."""

_HEAD_BYTES = 32
_WANTED = "gantools reads .safetensors, and .pth, .pt, .ckpt and .pkl files of networks that it knows"


def is_weights(path: Path) -> bool:
    """Whether a file looks like the weights of another code, by its first bytes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if head.startswith((PICKLE, ZIP)):
            return path.suffix not in (".safetensors", TORCH_EXPORT)
        if not is_safetensors(head):
            return False
        with safe_open(path, framework="numpy") as stored:
            return "gantools" not in (stored.metadata() or {})
    except (OSError, SafetensorError):
        return False


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins as a safetensors file does: the length of its header, then JSON."""
    return head[8:10] == b'{"'


def not_the_file(head: bytes) -> str | None:
    """What came in place of a file when it was downloaded, by its first bytes; None where nothing of the kind did."""
    if not head:
        return "is empty: download it again"
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself: git lfs pull, or download the file itself"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not the file: download it again from the link of the file itself"
    return None


def described(path: Path) -> str | None:
    """What a file is, and what to give instead; None where nothing better can be said than that it is not intact."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        zipped = zipfile.is_zipfile(path)
    except OSError:
        return None
    names = []
    if zipped:
        with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as stored:
            names = stored.namelist()
    if sniff(head) is not None:
        return f"is an image, not a model: type the model first, as in gantools infer srgan {path.name}"
    if instead := not_the_file(head):
        return instead
    if path.suffix == TORCH_EXPORT:
        return "is for torch.export.load; give the run or the weights that it is of, or an .onnx file of them"
    if path.suffix in (".yaml", ".yml"):
        return f"is a configuration, not a model: gantools train {path.name} makes one of it"
    if head.startswith(PICKLE) or any(name.endswith("data.pkl") for name in names):  # as torch.save writes
        return f"is a PyTorch checkpoint; {_WANTED}: gantools weights import {path.name}"
    if path.suffix in SUFFIXES:
        return f"is no PyTorch checkpoint; {_WANTED}"
    if zipped or path.suffix == ".onnx":
        return f"is {'a zip archive' if zipped else 'an ONNX model'}; {_WANTED}"
    return None
