"""Where examples come from: a recipe's own validation data, or two folders of files with matching names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from gantools import recipes
from gantools.checkpoint import weights
from gantools.checkpoint.learnt_scale import learnt_scale
from gantools.config import report
from gantools.config.schema import RunConfig
from gantools.config.source import Tree
from gantools.data.folders import layout, search
from gantools.data.folders.layout import Item
from gantools.data.loading.dataset import Dataset
from gantools.data.loading.sampler import SampleKey
from gantools.errors import DataError, ImageError, ModelFileError
from gantools.evaluation.run_model import RunModel
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.inference.model import Model, open_model
from gantools.inference.options import ScaleTo
from gantools.inference.scaling import short_side_px
from gantools.metrics.example import RESULT, Example
from gantools.training.recipe import Recipe

PAIR_FOLDERS = (("low", "high"), ("lr", "hr"), ("degraded", "clean"), ("input", "target"), ("source", "target"))
"""Names of the two folders of ready-made pairs: inputs, truths."""


class Examples(Protocol):
    """Examples on request. Reading one raises ImageError when its image cannot be used.

    ``inputs`` says how the inputs were made, ``reference`` what candidates are compared with.
    """

    @property
    def inputs(self) -> str: ...

    @property
    def reference(self) -> str: ...

    def describe(self) -> str:
        """Which images these are."""
        ...

    def name(self, index: int) -> str:
        """The name of an example, also of one that cannot be read."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


@dataclass(frozen=True, eq=False)
class RecipeExamples:
    """The validation data of a recipe, each sample run through the model."""

    recipe: type[Recipe[Any, Any]]
    dataset: Dataset
    model: RunModel
    inputs: str

    @property
    def reference(self) -> str:
        return self.recipe.evaluation.reference

    def describe(self) -> str:
        return self.dataset.describe()

    def name(self, index: int) -> str:
        items = self.dataset.items
        return items[index % len(items)].name

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Example:
        return self.recipe.example(self.dataset[SampleKey(0, index)], self.model)


@dataclass(frozen=True, eq=False)
class FolderPairs:
    """Pairs of files, input or result first. Files in ``unpaired`` have no partner and cannot be compared."""

    items: tuple[Item, ...]
    unpaired: tuple[Path, ...]
    example: Callable[[tuple[Pixels, Pixels, str]], Example]
    inputs: str
    reference: str = "the truth"

    def describe(self) -> str:
        return f"{len(self.items)} pairs of files"

    def name(self, index: int) -> str:
        if index < len(self.items):
            return self.items[index].name
        file = self.unpaired[index - len(self.items)]
        return f"{file.parent.name}/{file.name}"

    def __len__(self) -> int:
        return len(self.items) + len(self.unpaired)

    def __getitem__(self, index: int) -> Example:
        if index >= len(self.items):
            raise ImageError("has no partner of the same name in the other folder")
        item = self.items[index]
        first, second = map(reader.read_rgb8, item.files)
        return self.example((first, second, item.name))


def of_results(results: Path, truths: Path) -> FolderPairs:
    """Results and truths matched by name. Raises DataError for a missing or empty folder, or without any match."""
    items, unpaired = layout.match(results, truths)
    if not items:
        raise DataError(f"--pairs: no image of '{results}' has the name of one of '{truths}'")

    def example(pair: tuple[Pixels, Pixels, str]) -> Example:
        result, truth, name = pair
        return Example(name, {RESULT: result}, truth)

    return FolderPairs(items, unpaired, example, "not known; results as they lie in their folder")


def of_model(
    path: Path, model: Model, data: Path, overrides: tuple[str, ...], device: torch.device, scale_to: ScaleTo = "auto"
) -> RecipeExamples | FolderPairs:
    """Examples for the weights at ``path``, from the images in ``data``.

    Raises ConfigError for overrides that do not fit, DataError for images that do not, ModelFileError for weights that
    do not say how they were trained.
    """
    if model.recipe not in recipes.names():  # of another code or program, and none of ours
        raise ModelFileError(_unknown_inputs(path))
    recipe = recipes.find(model.recipe)
    if recipe.evaluation.ready_pairs and (pairs := _ready_pairs(data, recipe, RunModel(model, scale_to))):
        return pairs
    config = _stored_config(path, data, overrides)
    run_model = RunModel(model, _scale_of_crops(config, model, scale_to), _opposite(path, model, device))
    inputs = f"{recipe.evaluation.inputs}, seed {config.seed}; network in fp32"
    return RecipeExamples(recipe, recipe.dataset(config, "validation"), run_model, inputs)


def _ready_pairs(folder: Path, recipe: type[Recipe[Any, Any]], model: RunModel) -> FolderPairs | None:
    """The pairs of a folder that holds two folders named as in ``PAIR_FOLDERS``, else None. Raises DataError."""
    search.require_folder(folder)
    present = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    for given, wanted in PAIR_FOLDERS:
        if given in present and wanted in present:
            items, unpaired = layout.match(present[given], present[wanted])
            inputs = f"as they lie in {given}/; network in fp32"
            return FolderPairs(items, unpaired, lambda pair: recipe.example(pair, model), inputs)
    return None


def _unknown_inputs(path: Path) -> str:
    return (
        f"{str(path)!r}: does not say how its images were made; run infer, then compare what it wrote:"
        " gantools eval --pairs RESULTS TRUTHS"
    )


def _stored_config(path: Path, data: Path, overrides: tuple[str, ...]) -> RunConfig:
    """The configuration that weights were trained with, with all of ``data`` for validation."""
    stored = weights.describe(path)
    values = stored.about.get("config")
    if not isinstance(values, dict):
        raise ModelFileError(_unknown_inputs(path))
    tree = Tree(dict(values), name=str(path))
    for key in ("dir", "validation_dir"):
        tree.assign(("data", key), str(data), f"command line: --data {data}")
    tree.override(overrides)
    return report.validate(recipes.find(stored.recipe).config_type, tree)


def _scale_of_crops(config: RunConfig, model: Model, scale_to: ScaleTo) -> ScaleTo | Callable[[Pixels], ScaleTo]:
    """The size for inputs that are crops of images which ``config`` has resized: as those would be scaled."""
    resized_px = learnt_scale(config.data.model_dump(mode="json")).get("resized_px")
    wanted_px = short_side_px(model.export, scale_to)
    if wanted_px is None or resized_px is None:
        return scale_to
    factor = wanted_px / resized_px
    return lambda image: max(1, round(min(image.shape[:2]) * factor))


def _opposite(path: Path, model: Model, device: torch.device) -> Model | None:
    """The generator of the opposite direction, where the weights have one."""
    exports = weights.describe(path).exports
    others = [name for name, export in exports.items() if export.network != model.export.network]
    return open_model(path, export=others[0], device=device) if len(others) == 1 else None
