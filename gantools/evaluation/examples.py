"""Examples of each recipe: inputs as its own validation makes them, always alike, or ready-made ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch

from gantools import recipes
from gantools.checkpoint import weights
from gantools.checkpoint.learnt_scale import learnt_scale
from gantools.config import overrides as override
from gantools.config import report
from gantools.config.schema import RunConfig
from gantools.config.source import Tree
from gantools.data.loading.dataset import Dataset
from gantools.data.loading.sampler import SampleKey
from gantools.errors import ModelFileError
from gantools.evaluation.applying import filled, made_of
from gantools.evaluation.example import MODEL, Example
from gantools.evaluation.given import GivenPairs, given_pairs
from gantools.images.image import Pixels
from gantools.images.ops import masks
from gantools.images.ops.resize import resize_bicubic
from gantools.inference.model import Model, open_model
from gantools.inference.options import ScaleTo
from gantools.inference.scaling import short_side_px

Scale: TypeAlias = Callable[[Pixels], ScaleTo]
"""To what size an input is brought for the network."""


class Make(Protocol):
    """Makes an example of a data set's sample."""

    def __call__(self, sample: Any, model: Model, scale: Scale) -> Example: ...


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
    path: Path,
    model: Model,
    data: Path,
    overrides: tuple[str, ...],
    device: torch.device,
    scale_to: ScaleTo = "auto",
) -> RecipeExamples | GivenPairs:
    """Examples for the weights at ``path``, from the pictures in ``data``.

    Raises ConfigError for overrides that do not fit, DataError for pictures that do not, ModelFileError for weights
    that do not say how they were trained.
    """
    if model.recipe in ("srgan", "restore"):
        pairs = given_pairs(data, partial(_restored_pair, model=model, scale_to=scale_to))
        if pairs is not None:
            return pairs
    config = stored_config(path, data, overrides)
    dataset = recipes.find(model.recipe).dataset(config, "validation")
    scale = _scale_of_inputs(config, model, scale_to)
    inputs = f"{_INPUTS[model.recipe]}, seed {config.seed}; network in fp32"
    if model.recipe == "cyclegan":
        back = _other_way(path, model, device)
        make = partial(_translated, model=model, back=back, scale=scale)
        return RecipeExamples(dataset, make, inputs, "the input: there is no truth")
    return RecipeExamples(dataset, partial(_MAKERS[model.recipe], model=model, scale=scale), inputs)


def _scale_of_inputs(config: RunConfig, model: Model, scale_to: ScaleTo) -> Scale:
    """Inputs are parts of pictures that ``config`` has resized: they are scaled as those would be."""
    resized_px = learnt_scale(config.data.model_dump(mode="json")).get("resized_px")
    wanted_px = short_side_px(model.export, scale_to)
    if wanted_px is None or resized_px is None:
        return lambda _: scale_to
    factor = wanted_px / resized_px
    return lambda given: max(1, round(min(given.shape[:2]) * factor))


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
    return open_model(path, export=others[0], device=device) if len(others) == 1 else None


def _enlarged(sample: Any, model: Model, scale: Scale) -> Example:
    bicubic, made = resize_bicubic(sample.low, scale=model.generator.scale), _made(sample.low, model, scale)
    return Example(sample.name, {"bicubic": bicubic, MODEL: made}, sample.high)


def _made(given: Pixels, model: Model, scale: Scale) -> Pixels:
    return made_of(given, model, scale(given))


def _restored(sample: Any, model: Model, scale: Scale) -> Example:
    made = _made(sample.degraded, model, scale)
    return Example(sample.name, {"degraded input": sample.degraded, MODEL: made}, sample.clean)


def _drawn(sample: Any, model: Model, scale: Scale) -> Example:
    made = _made(sample.source, model, scale)
    return Example(sample.name, {"input": sample.source, MODEL: made}, sample.target)


def _filled(sample: Any, model: Model, scale: Scale) -> Example:
    missing = sample.mask[..., 0] > 0
    without = {"mean fill": masks.mean_filled(sample.image, missing), "Telea": masks.telea(sample.image, missing)}
    made = filled(sample.image, missing, model, scale(sample.image))
    return Example(sample.name, {**without, MODEL: made}, sample.image, missing)


def _translated(sample: Any, model: Model, back: Model | None, scale: Scale) -> Example:
    """There is no truth; the input stands in its place, and the other domain's pictures are the kin."""
    forth = model.export.network == "a_to_b"
    given, kin = (sample.a, sample.b) if forth else (sample.b, sample.a)
    made = _made(given, model, scale)
    candidates = {"input": given, MODEL: made}
    if back is not None:
        candidates["there and back"] = _made(made, back, scale)
    return Example(sample.name_a if forth else sample.name_b, candidates, given, kin=kin)


def _restored_pair(low: Any, model: Model, scale_to: ScaleTo) -> dict[str, Any]:
    """Candidates for a ready-made input: enlarged where the model enlarges."""
    scale = model.generator.scale
    without = {"degraded input": low} if scale == 1 else {"bicubic": resize_bicubic(low, scale=scale)}
    return {**without, MODEL: made_of(low, model, scale_to)}


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
