"""Inputs as users bring them, by a fixed chain: small photos saved as JPEGs, or photos of five JPEG qualities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from gantools import recipes
from gantools.data import transforms
from gantools.data.degrade import resolution
from gantools.data.degrade.crappify import encoded
from gantools.data.folders.layout import Layout, find_photos
from gantools.errors import UsageError
from gantools.evaluation.run_model import RunModel
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.inference.model import Model
from gantools.inference.options import ScaleTo
from gantools.metrics.example import Example
from gantools.metrics.protocols import installed_version
from gantools.training.recipe import Recipe

VERSION = 1
"""Of the chain, in what is said of it; to be raised when the inputs change, for then figures do not compare."""


@dataclass(frozen=True)
class Chain:
    """What is done to a photo. Nothing is random: a photo has the same inputs everywhere, up to OpenCV's JPEG code.

    ``scale``: how many times smaller the photo becomes first; ``qualities``: a JPEG of each is an input.
    """

    scale: int
    qualities: tuple[int, ...]

    def inputs(self, photo: Pixels) -> tuple[Pixels, dict[str, Pixels]]:
        """The truth, and the inputs by the names of their kinds. Raises ImageError for a photo that is too small.

        Shapes: uint8 [H, W, 3] → the middle [H', W', 3] of whole multiples of the scale; [H' / scale, W' / scale, 3].
        """
        low = resolution.shrunk(photo, self.scale)
        truth = transforms.centre(photo, low.shape[0] * self.scale, low.shape[1] * self.scale)
        jpegs = {quality: encoded(low, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality) for quality in self.qualities}
        return truth, {f"JPEG {quality}": given for quality, given in jpegs.items()}

    def title(self, name: str, kind: str) -> str:
        """A name with the kind of the input behind it, where there are several kinds."""
        return f"{name}, {kind}" if len(self.qualities) > 1 else name

    def __str__(self) -> str:
        shrunk = f"cut to multiples of {self.scale} px, shrunk by antialiased bicubic (a = -0.5), "
        qualities = ", ".join(map(str, self.qualities))
        jpeg = f"saved as JPEG {qualities} (4:2:0, OpenCV {installed_version('opencv')}) and read again"
        return f"realistic {VERSION}: {shrunk if self.scale > 1 else ''}{jpeg}; network in fp32"


def chain_of(model: Model) -> Chain:
    """The chain for a model, by its recipe and scale. Raises UsageError where its recipe has none."""
    qualities = {name: recipes.find(name).evaluation.realistic_jpeg for name in recipes.names()}
    if not qualities.get(model.recipe) or model.export.gray == "color":
        known = ", ".join(name for name, found in qualities.items() if found)
        raise UsageError(f"--inputs realistic: only for models that enlarge or restore photos in colour ({known})")
    return Chain(model.generator.scale, qualities[model.recipe])


@dataclass(frozen=True, eq=False)
class RealisticExamples:
    """Photos whose inputs the chain makes, run through the model; a candidate of each name for each kind of input."""

    recipe: type[Recipe[Any, Any]]
    photos: Layout
    chain: Chain
    model: RunModel

    @property
    def inputs(self) -> str:
        return str(self.chain)

    @property
    def reference(self) -> str:
        return self.recipe.evaluation.reference

    def describe(self) -> str:
        return self.photos.describe()

    def name(self, index: int) -> str:
        return self.photos.items[index].name

    def __len__(self) -> int:
        return len(self.photos.items)

    def __getitem__(self, index: int) -> Example:
        item = self.photos.items[index]
        truth, inputs = self.chain.inputs(reader.read_rgb8(item.files[0]))
        return Example(item.name, dict(self._candidates(truth, inputs)), truth)

    def _candidates(self, truth: Pixels, inputs: dict[str, Pixels]) -> Iterator[tuple[str, Pixels]]:
        for kind, given in inputs.items():
            for name, made in self.recipe.example((given, truth, ""), self.model).candidates.items():
                yield self.chain.title(name, kind), made


def of_photos(model: Model, data: Path, scale_to: ScaleTo) -> RealisticExamples:
    """Examples of the photos in ``data``; of a folder of pairs those of its truths. Raises UsageError and DataError."""
    chain = chain_of(model)
    return RealisticExamples(recipes.find(model.recipe), find_photos(data), chain, RunModel(model, scale_to))
