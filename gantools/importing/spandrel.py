"""Networks that are none of ours, through the library spandrel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gantools.checkpoint.weights import Export
from gantools.errors import ModelFileError
from gantools.importing.found import Family, Found, State
from gantools.importing.networks import stored_tensor
from gantools.models.generators.spandrel import SpandrelNetwork, knows

PURPOSES: Mapping[str, str] = {
    "SR": "super-resolution",
    "FaceSR": "faces",
    "Inpainting": "inpainting",
    "Restoration": "restoration",
}
LICENCE = (
    "the architecture's code: permissive (MIT, Apache 2.0 or public domain), as spandrel takes no others;"
    " the weights: ask those who trained them"
)


def recognise(state: State) -> tuple[Family, Found] | None:
    """The family and network of these tensors; None where spandrel knows none. Raises ModelFileError."""
    name = knows({key: stored.shape for key, stored in state.items()})
    if name is None:
        return None
    try:
        network = SpandrelNetwork({key: stored.read().float() for key, stored in state.items()})
    except Exception as error:  # whatever tensors that only look like its own lead spandrel to
        why = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"looks like {name}, but spandrel cannot load it: {type(error).__name__}: {why}"
        ) from error
    tensors = {key: stored_tensor(value) for key, value in network.state_dict().items()}
    found = Found(_export(network), lambda: network, tensors)
    name = f"{name} ({PURPOSES[network.purpose]})"
    return Family(name, "https://github.com/chaiNNer-org/spandrel", LICENCE, "imported", lambda _: None), found


def _export(network: SpandrelNetwork) -> Export:
    options = {
        "name": "spandrel",
        "architecture": network.architecture,
        "in_channels": network.in_channels,
        "out_channels": network.out_channels,
        "supports_bf16": network.supports_bf16,
        "supports_fp16": network.supports_fp16,
    }
    takes: Literal["masked", "picture"] = "masked" if network.fills else "picture"
    return Export("generator", options, network.scale, network.size_multiple, network.minimum_size_px, takes=takes)
