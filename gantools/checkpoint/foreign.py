"""What a file is that was given as weights and is none. No torch."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path

from gantools.images.formats import sniff

_HEAD_BYTES = 32
_PICKLE = b"\x80"
_TORCH = (".pth", ".pt", ".ckpt")
_WANTED = "gantools reads the .safetensors weights of its own runs"


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
    if path.suffix in (".yaml", ".yml"):
        return f"is a configuration, not a model: gantools train {path.name} makes one of it"
    pickled = head.startswith(_PICKLE) and path.suffix != ".safetensors"
    if pickled or path.suffix in _TORCH or any(name.endswith("data.pkl") for name in names):  # as torch.save writes
        return f"is a PyTorch checkpoint (pickle); {_WANTED}; of StyleGAN2: gantools weights import {path.name}"
    if zipped or path.suffix == ".onnx":
        return f"is {'a zip archive' if zipped else 'an ONNX model'}; {_WANTED}"
    return None
