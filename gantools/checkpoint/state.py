"""Training state on disk: one folder of safetensors + JSON + a manifest of checksums, written atomically. No pickle."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize

from gantools.errors import ModelFileError
from gantools.files import sha256, staged_folder, write_json

SCHEMA = 1
TENSORS, TREE, MANIFEST = "state.safetensors", "state.json", "manifest.json"
_FOLDER = re.compile(r"step-(\d{9})")


def save(checkpoints: Path, step: int, state: Any, keep: int) -> Path:
    """Write ``state`` as ``checkpoints/step-NNNNNNNNN`` and remove all but the ``keep`` newest.

    ``state`` is any nesting of dicts, lists and tuples of tensors, numbers, text and None.
    """
    folder = checkpoints / f"step-{step:09d}"
    if folder.exists():
        shutil.rmtree(folder)
    tensors: dict[str, torch.Tensor] = {}
    tree = _pack(state, "", tensors)
    with staged_folder(folder) as staged:
        (staged / TENSORS).write_bytes(serialize(tensors))
        write_json(staged / TREE, tree)
        sums = {name: sha256(staged / name) for name in (TENSORS, TREE)}
        write_json(staged / MANIFEST, {"schema": SCHEMA, "step": step, "sha256": sums})
    for old in steps(checkpoints)[:-keep]:
        shutil.rmtree(checkpoints / f"step-{old:09d}")
    return folder


def steps(checkpoints: Path) -> list[int]:
    """Step numbers of the checkpoints in a folder, oldest first."""
    found = (_FOLDER.fullmatch(child.name) for child in checkpoints.glob("step-*"))
    return sorted(int(match[1]) for match in found if match)


def newest(checkpoints: Path) -> tuple[int, Any]:
    """The newest intact checkpoint's step and state; damaged ones are named in a warning and passed over.

    Raises ModelFileError when none is intact.
    """
    for step in reversed(steps(checkpoints)):
        try:
            return step, load(checkpoints / f"step-{step:09d}")
        except ModelFileError as error:
            warnings.warn(f"{error}; trying the one before it", stacklevel=2)
    raise ModelFileError(f"{checkpoints}: no intact checkpoint to resume from")


def load(folder: Path) -> Any:
    """Read a checkpoint. Raises ModelFileError when a file is missing, changed or of another schema."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["schema"] != SCHEMA:
            raise ModelFileError(f"{folder}: written in schema {manifest['schema']}, this gantools reads {SCHEMA}")
        for name, digest in manifest["sha256"].items():
            if sha256(folder / name) != digest:
                raise ModelFileError(f"{folder / name}: damaged (its checksum differs from the manifest's)")
        return _unpack(json.loads((folder / TREE).read_bytes()), load_file(folder / TENSORS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ModelFileError(f"{folder}: not an intact checkpoint ({error})") from error


def _pack(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON for ``value``; its tensors go to ``tensors`` under their path."""
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().contiguous().clone()
        return {"$tensor": path}
    if isinstance(value, dict):
        return {"$items": [[key, _pack(item, f"{path}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "$list" if isinstance(value, list) else "$tuple"
        return {kind: [_pack(item, f"{path}/{number}", tensors) for number, item in enumerate(value)]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path}: a checkpoint cannot hold a {type(value).__name__}")


def _unpack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "$tensor":
        return tensors[content]
    if kind == "$items":
        return {key: _unpack(item, tensors) for key, item in content}
    items = [_unpack(item, tensors) for item in content]
    return items if kind == "$list" else tuple(items)
