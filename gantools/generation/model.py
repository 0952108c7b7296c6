"""A generator that was trained on latent vectors, ready to make images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export, Latent
from gantools.errors import ModelFileError, UsageError
from gantools.generation.latents import Sample
from gantools.images import ranges
from gantools.images.image import Pixels
from gantools.models import LATENT_GENERATORS


@dataclass(frozen=True, eq=False)
class LatentModel:
    """A generator with what it says about itself; images come out in float32."""

    recipe: str
    export: Export
    network: nn.Module
    device: torch.device

    @property
    def latent(self) -> Latent:
        """What images are made from."""
        return cast(Latent, self.export.latent)

    def images(self, samples: list[Sample]) -> list[Pixels]:
        """An image for each sample. Shapes: uint8 (H, W, C).

        Of several samples at once the last digits may differ from those of one alone.
        """
        return [ranges.from_tensor(image) for image in self._run(samples, steps=False)[-1]]

    def levels(self, samples: list[Sample]) -> list[list[Pixels]]:
        """The images of several samples at every level, the smallest first."""
        return [[ranges.from_tensor(image) for image in images] for images in self._run(samples, steps=True)]

    def steps(self, sample: Sample) -> list[Pixels]:
        """A sample's image at every level, the smallest first; one image where the generator has a single level."""
        return [images[0] for images in self.levels([sample])]

    @torch.inference_mode()
    def _run(self, samples: list[Sample], *, steps: bool) -> list[Tensor]:
        latent = torch.from_numpy(np.stack([each.latent for each in samples])).to(self.device)
        conditions = [each.condition for each in samples if each.condition is not None]
        given = [torch.from_numpy(np.stack(conditions)).to(self.device)] if conditions else []
        if steps and self.latent.levels > 1:
            return [image.float() for image in self.network.steps(latent, *given)]  # type: ignore[operator]
        return [self.network(latent, *given).float()]


def open_model(path: Path, export: str | None = None, device: torch.device | str = "cpu") -> LatentModel:
    """Open a weights file. Raises ModelFileError, and UsageError for weights that take an image."""
    stored = weights.load(path)
    name = export or next(iter(stored.exports))
    if name not in stored.exports:
        raise UsageError(f"--export {name}: '{path}' holds {', '.join(stored.exports)}")
    described = stored.exports[name]
    if described.takes != "latent" or described.latent is None:
        raise UsageError(f"'{path}' ({stored.recipe}) changes images; use: gantools infer {path} IMAGE")
    arguments: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in described.options.items()
    }
    try:
        with torch.device("meta"):
            network = LATENT_GENERATORS.factory(arguments.pop("name"))(**arguments)
        network.load_state_dict(stored.tensors[name], assign=True)
    except (RuntimeError, TypeError, KeyError, UsageError) as error:
        raise ModelFileError(f"{path}: its tensors are not those of the network it names ({error})") from error
    return LatentModel(stored.recipe, described, network.eval().requires_grad_(False).to(device), torch.device(device))
