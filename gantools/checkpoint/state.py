"""Training state on disk: one folder of safetensors + JSON + a manifest of checksums, written atomically. No pickle.

A checkpoint is ``step-NNNNNNNNN``; saved again at the same step it is ``step-NNNNNNNNN.1`` and so on, for the first one
is removed only when the second one is there.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from stat import S_ISREG
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gantools.checkpoint import tensors as tensor_file
from gantools.checkpoint.folders import NAME, all_saved, steps
from gantools.errors import ModelFileError
from gantools.files import new_file, remove_folder, sha256, staged_folder

__all__ = ["all_saved", "load", "newest", "save", "steps", "stored_bytes"]

SCHEMA = 2
TENSORS, TREE, MANIFEST = "state.safetensors", "state.json", "manifest.json"
# Far above what any recipe's state has, far below what would fill the memory before a checksum is looked at.
LARGEST_MANIFEST_BYTES = 100_000


def save(checkpoints: Path, step: int, state: Any, keep: int) -> Path:
    """Write ``state`` as a checkpoint of ``step`` and remove all but the ``keep`` newest.

    ``state`` is any nesting of dicts, lists and tuples of tensors, numbers, text and None. Raises OSError when it
    cannot be written; then what was there is there still.
    """
    values: dict[str, torch.Tensor] = {}
    tree = _json(_pack(state, "", values))
    versions = [saved.version for saved in all_saved(checkpoints) if saved.step == step]
    folder = checkpoints / (f"step-{step:09d}" + (f".{max(versions) + 1}" if versions else ""))
    with staged_folder(folder) as staged:
        with new_file(staged / TENSORS) as tensors_stream:
            tensor_file.write(tensors_stream, values)
        with new_file(staged / TREE) as tree_stream:
            tree_stream.write(tree)
        with new_file(staged / MANIFEST) as stream:
            stream.write(_manifest(step, {TENSORS: tensors_stream.sha256, TREE: tree_stream.sha256}))
    _rotate(checkpoints, step, keep)
    return folder


def stored_bytes(state: Any) -> int:
    """How much room a checkpoint of ``state`` needs on disk, to within a few blocks of the file system."""
    values: dict[str, torch.Tensor] = {}
    tree = _json(_pack(state, "", values))
    return tensor_file.stored_bytes(values) + 2 * len(tree) + (1 << 16)


def newest(checkpoints: Path) -> tuple[int, Any]:
    """The newest intact checkpoint's step and state; damaged ones are passed over and named in one warning.

    Raises ModelFileError when none is intact.
    """
    damage = []
    for saved in reversed(all_saved(checkpoints)):
        try:
            state = load(saved.folder)
        except ModelFileError as error:
            damage.append(str(error))
            continue
        if damage:
            warnings.warn(f"{'; '.join(damage)}; going on from step {saved.step} instead", stacklevel=2)
        return saved.step, state
    raise ModelFileError("; ".join([f"{checkpoints}: no intact checkpoint to resume from", *damage]))


def load(folder: Path) -> Any:
    """Read a checkpoint. Raises ModelFileError when a file is missing, changed or of another schema."""
    try:
        for name in (MANIFEST, TENSORS, TREE):
            if not S_ISREG((folder / name).lstat().st_mode):  # a link out of the folder, a pipe that never ends
                raise ModelFileError(f"{folder / name}: not a plain file")
        sums = _read_manifest(folder)
        for name, digest in sums.items():
            if sha256(folder / name) != digest:
                raise ModelFileError(f"{folder / name}: damaged (its checksum differs from the manifest's)")
        return _unpack(json.loads((folder / TREE).read_bytes()), load_file(folder / TENSORS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise ModelFileError(f"{folder}: not an intact checkpoint ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{Path(str(error.filename)).name}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _rotate(checkpoints: Path, step: int, keep: int) -> None:
    """Keep the newest ``keep`` steps up to ``step``. What claims to be later was passed over as damaged at a resume."""
    saved = all_saved(checkpoints)
    kept = {each.step: each.folder for each in saved if each.step <= step}  # of a step saved twice: the second
    wanted = {kept[number] for number in sorted(kept)[-keep:]}
    for each in saved:
        if each.folder not in wanted:
            try:
                remove_folder(each.folder)
            except OSError as error:
                warnings.warn(f"{each.folder}: this old checkpoint cannot be removed ({error.strerror})", stacklevel=3)


def _json(value: Any) -> bytes:
    return (json.dumps(value) + "\n").encode()


def _manifest(step: int, sums: dict[str, str]) -> bytes:
    """The manifest: what the checksums of the files are, and of all this itself."""
    content = {"schema": SCHEMA, "step": step, "sha256": sums}
    return _json({**content, "self": hashlib.sha256(_json(content)).hexdigest()})


def _read_manifest(folder: Path) -> dict[str, str]:
    """Each file's checksum. Raises ModelFileError unless the manifest is, to the byte, one that was written here."""
    with (folder / MANIFEST).open("rb") as stream:
        text = stream.read(LARGEST_MANIFEST_BYTES)
    content = json.loads(text)
    if content["schema"] != SCHEMA:
        raise ModelFileError(f"{folder}: written in schema {content['schema']}, this gantools reads {SCHEMA}")
    sums = {name: str(content["sha256"][name]) for name in (TENSORS, TREE)}
    if text != _manifest(content["step"], sums):
        raise ModelFileError(f"{folder / MANIFEST}: damaged (its checksum differs from its content's)")
    match = NAME.fullmatch(folder.name)
    if match and int(match[1]) != content["step"]:
        raise ModelFileError(f"{folder}: holds the checkpoint of step {content['step']}")
    return sums


def _pack(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON for ``value``; its tensors go to ``tensors`` under their path, uncopied."""
    if isinstance(value, torch.Tensor):
        path = path if path not in tensors else f"{path} {len(tensors)}"  # the keys 1 and "1" look alike in a path
        tensors[path] = value
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
