"""Where the weights of the frozen feature networks lie. Nothing here downloads."""

from __future__ import annotations

from pathlib import Path

from gantools.errors import UsageError
from gantools.pretrained.catalogue import weights_folder

SUFFIXES = (".safetensors", ".pth")


def find_feature_weights(network: str) -> Path:
    """Return the fetched weights file of a feature network. Raises UsageError where there is none."""
    folder = weights_folder()
    for suffix in SUFFIXES:
        path = folder / f"{network}{suffix}"
        if path.is_file():
            return path
    raise UsageError(
        f"no weights of {network} in {folder}: run `gantools weights fetch {network}`, or set `weights: FILE`"
        " (`weights: random` for a dry run)"
    )
