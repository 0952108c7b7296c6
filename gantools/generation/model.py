"""A generator that was trained on latent vectors, ready to make images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export, Latent
from gantools.errors import ModelFileError, UsageError
from gantools.generation import latents
from gantools.generation.latents import Sample, Vectors
from gantools.images import ranges
from gantools.images.image import Pixels
from gantools.models import LATENT_GENERATORS

if TYPE_CHECKING:
    from gantools.models.latent.style import StyleGenerator


@dataclass(frozen=True, eq=False)
class LatentModel:
    """A generator with what it says about itself; images come out in float32.

    The rest is for generators with styles. ``truncation`` moves the first ``truncated_rows`` (all by default) towards
    the mean style, 0 is that. ``noise``: the planes that are stored, those of a sample's seed, or none.
    """

    recipe: str
    export: Export
    network: nn.Module
    device: torch.device
    truncation: float = 1.0
    truncated_rows: int | None = None
    noise: Literal["const", "random", "none"] = "const"

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
        if self.latent.rows:
            return [self._from_styles(samples)]
        latent = torch.from_numpy(np.stack([each.latent for each in samples])).to(self.device)
        conditions = [each.condition for each in samples if each.condition is not None]
        given = [torch.from_numpy(np.stack(conditions)).to(self.device)] if conditions else []
        if steps and self.latent.levels > 1:
            return [image.float() for image in self.network.steps(latent, *given)]  # type: ignore[operator]
        return [self.network(latent, *given).float()]

    @torch.inference_mode()
    def styles(self, samples: Sequence[Sample]) -> Vectors:
        """The truncated rows of styles of samples. Shapes: (N, rows, style_size)."""
        network = cast("StyleGenerator", self.network)
        found = []
        for each in samples:
            if each.styles is not None:
                found.append(each.styles)
                continue
            latent = torch.from_numpy(each.latent)[None].to(self.device)
            condition = None if each.condition is None else torch.from_numpy(each.condition)[None].to(self.device)
            styles = network.styles(latent, condition, self.truncation, self.truncated_rows)
            found.append(styles[0].cpu().numpy())
        return np.stack(found)

    def _from_styles(self, samples: Sequence[Sample]) -> Tensor:
        synthesis = cast("StyleGenerator", self.network).synthesis
        styles = torch.from_numpy(self.styles(samples)).to(self.device)
        if self.noise == "const" and any(each.planes for each in samples):
            stored = [plane.cpu().numpy() for plane in synthesis.noise]
            chosen = zip(*(each.planes or stored for each in samples), strict=True)
            planes = [torch.from_numpy(np.stack(planes)[:, None]).to(self.device) for planes in chosen]
            return cast(Tensor, synthesis(styles, planes)).float()
        if self.noise != "random":
            return cast(Tensor, synthesis(styles, self.noise)).float()
        seeded = [torch.Generator().manual_seed(each.seed) for each in samples]
        planes = [
            torch.stack([torch.randn(1, *shape, generator=one) for one in seeded]).to(self.device)
            for shape in synthesis.noise_shapes
        ]
        return cast(Tensor, synthesis(styles, planes)).float()


def open_model(path: Path, export: str | None = None, device: torch.device | str = "cpu") -> LatentModel:
    """Open a weights file. Raises ModelFileError, and UsageError for weights that take an image."""
    stored = weights.load(path)
    name = export or next(iter(stored.exports))
    if name not in stored.exports:
        raise UsageError(f"--export {name}: '{path}' holds {', '.join(stored.exports)}")
    described = stored.exports[name]
    latents.require_generator(path, stored.recipe, described)
    arguments: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in described.options.items()
    }
    try:
        with torch.device("meta"):
            network = LATENT_GENERATORS.factory(arguments.pop("name"))(**arguments)
        network.load_state_dict(stored.tensors[name], assign=True)
    except (RuntimeError, TypeError, KeyError, UsageError) as error:
        raise ModelFileError(f"'{path}': its tensors are not those of the network it names ({error})") from error
    network = network.float().eval().requires_grad_(False).to(device)  # weights may be stored in float16
    return LatentModel(stored.recipe, described, network, torch.device(device))
