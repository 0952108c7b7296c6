"""Where the weights of ImageNet networks lie, and reading them. Nothing here downloads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gantools.errors import ModelFileError, UsageError
from gantools.pretrained.catalogue import weights_folder
from gantools.pretrained.feature_networks import find, installed_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def find_feature_weights(network: str, key: str = "weights") -> Path:
    """Return the fetched weights file of a feature network. Raises UsageError, naming the option, for none."""
    folder = weights_folder()
    if path := installed_file(find(network), folder):
        return path
    raise UsageError(
        f"no weights of {network} in {folder}: run `gantools weights fetch {network}`, or set `{key}: FILE`"
        f" (`{key}: random` for a dry run)"
    )


def read_state(path: Path, what: str) -> Mapping[str, Tensor]:
    """The tensors of a .safetensors or .pth file. Raises UsageError where there is none, ModelFileError for others."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UsageError(f"{what}: no file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ModelFileError(f"'{path}': damaged, or not a weights file (.safetensors, .pth)") from error
    return state
