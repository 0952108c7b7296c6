"""Examples of each recipe: inputs as its own validation makes them, always alike, or ready-made ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from gantools import recipes
from gantools.checkpoint import weights
from gantools.config import overrides as override
from gantools.config import report
from gantools.config.schema import RunConfig
from gantools.config.source import Tree
from gantools.data.dataset import Dataset
from gantools.data.sampler import SampleKey
from gantools.errors import ModelFileError
from gantools.evaluation.applying import filled, made_of
from gantools.evaluation.example import MODEL, Example
from gantools.evaluation.given import GivenPairs, given_pairs
from gantools.images import holes
from gantools.images.color import resize_bicubic
from gantools.inference import bundle
from gantools.inference.bundle import Model


class Make(Protocol):
    """Makes an example of a data set's sample."""

    def __call__(self, sample: Any, model: Model) -> Example: ...


@dataclass(frozen=True, eq=False)
class RecipeExamples:
    """What a recipe's data set holds for validation, each picture taken through the model."""

    dataset: Dataset
    make: Callable[[Any], Example]
    inputs: str
    reference: str = "the truth"

    @property
    def describe(self) -> str:
        return self.dataset.describe()

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        items = self.dataset.items
        return items[index % len(items)].name

    def __getitem__(self, index: int) -> Example:
        return self.make(self.dataset[SampleKey(0, index)])


def of_model(
    path: Path, model: Model, data: Path, overrides: tuple[str, ...], device: torch.device
) -> RecipeExamples | GivenPairs:
    """Examples for the weights at ``path``, from the pictures in ``data``.

    Raises ConfigError for overrides that do not fit, DataError for pictures that do not, ModelFileError for weights
    that do not say how they were trained.
    """
    pairs = given_pairs(data, partial(_restored_pair, model=model)) if model.recipe in ("srgan", "restore") else None
    if pairs is not None:
        return pairs
    config = stored_config(path, data, overrides)
    dataset = recipes.find(model.recipe).dataset(config, "validation")
    inputs = f"{_INPUTS[model.recipe]}, seed {config.seed}; network in fp32"
    if model.recipe == "cyclegan":
        back = _other_way(path, model, device)
        make = partial(_translated, model=model, back=back)
        return RecipeExamples(dataset, make, inputs, "the input: there is no truth")
    return RecipeExamples(dataset, partial(_MAKERS[model.recipe], model=model), inputs)


def stored_config(path: Path, data: Path, overrides: tuple[str, ...]) -> RunConfig:
    """The configuration that weights were trained with, with all of ``data`` for validation."""
    stored = weights.describe(path)
    values = stored.about.get("config")
    if not isinstance(values, dict):
        raise ModelFileError(f"{str(path)!r}: does not say how its pictures were made; compare results with --pairs")
    tree = Tree(dict(values), name=str(path))
    for key in ("dir", "validation_dir"):
        override.assign(tree, ("data", key), str(data), f"command line: --data {data}")
    override.apply(tree, overrides)
    return report.validate(recipes.find(stored.recipe).config_type, tree)


def _other_way(path: Path, model: Model, device: torch.device) -> Model | None:
    """The generator that leads back, where the weights have one."""
    exports = weights.describe(path).exports
    others = [name for name, export in exports.items() if export.network != model.export.network]
    return bundle.open_model(path, export=others[0], device=device) if len(others) == 1 else None


def _enlarged(sample: Any, model: Model) -> Example:
    bicubic = resize_bicubic(sample.low, scale=model.generator.scale)
    return Example(sample.name, {"bicubic": bicubic, MODEL: made_of(sample.low, model)}, sample.high)


def _restored(sample: Any, model: Model) -> Example:
    made = made_of(sample.degraded, model)
    return Example(sample.name, {"degraded input": sample.degraded, MODEL: made}, sample.clean)


def _drawn(sample: Any, model: Model) -> Example:
    return Example(sample.name, {"input": sample.source, MODEL: made_of(sample.source, model)}, sample.target)


def _filled(sample: Any, model: Model) -> Example:
    missing = sample.mask[..., 0] > 0
    without = {"mean fill": holes.mean_filled(sample.image, missing), "Telea": holes.telea(sample.image, missing)}
    return Example(sample.name, {**without, MODEL: filled(sample.image, missing, model)}, sample.image, missing)


def _translated(sample: Any, model: Model, back: Model | None) -> Example:
    """There is no truth; the input stands in its place, and the other domain's pictures are the kin."""
    forth = model.export.network == "a_to_b"
    given, kin = (sample.a, sample.b) if forth else (sample.b, sample.a)
    made = made_of(given, model)
    candidates = {"input": given, MODEL: made}
    if back is not None:
        candidates["there and back"] = made_of(made, back)
    return Example(sample.name_a if forth else sample.name_b, candidates, given, kin=kin)


def _restored_pair(low: Any, model: Model) -> dict[str, Any]:
    """Candidates for a ready-made input: enlarged where the model enlarges."""
    scale = model.generator.scale
    without = {"degraded input": low} if scale == 1 else {"bicubic": resize_bicubic(low, scale=scale)}
    return {**without, MODEL: made_of(low, model)}


_INPUTS: Mapping[str, str] = {
    "srgan": "the middle cut to a multiple of the scale, shrunk by antialiased bicubic (a = -0.5), rounded to 8 bits",
    "deblur": "whole pictures, blurred as the weights' configuration says, or ready pairs",
    "restore": "degraded as the weights' configuration says, cut to multiples of its crop",
    "pix2pix": "pairs as the weights' configuration makes them, resized to its crop",
    "context_encoder": "the middle square of the resized photo, with a hole as the weights' configuration draws it",
    "cyclegan": "resized to the square of the weights' configuration",
}
_MAKERS: Mapping[str, Make] = {
    "srgan": _enlarged,
    "deblur": _restored,
    "restore": _restored,
    "pix2pix": _drawn,
    "context_encoder": _filled,
}
