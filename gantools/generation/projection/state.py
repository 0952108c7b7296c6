"""The file from which a stopped search goes on."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from gantools import files


def store(path: Path, held: Mapping[str, Any]) -> None:
    content = io.BytesIO()
    torch.save(dict(held), content)
    files.write_bytes(path, content.getvalue())


def stored(path: Path, key: str, report: Callable[[str], None]) -> dict[str, Any] | None:
    """What a stopped search has stored; None where it has not, or was another."""
    if not path.exists():
        return None
    try:
        held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if held["key"] == key:
            return held
        reason = "is of another model, photo or other options"
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError):
        reason = "is damaged"
    report(f"{path} {reason}; the search begins anew")
    return None
