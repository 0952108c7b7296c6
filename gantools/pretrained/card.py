"""The card of a weights file: ``<name>.json`` beside ``<name>.safetensors``, what one must know before using it.

``<name>.jpg`` beside them shows what the weights make of images that they were not trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from gantools.config.options import Options, setting
from gantools.errors import ModelFileError


class TrainingSet(Options):
    """Images that weights learnt from."""

    name: str = setting(..., "name of the set")
    images: int = setting(..., "images used", ge=1)
    licence: str = setting(..., "licence of the images")
    source: str = setting(..., "where the set comes from")
    drawn_by: str | None = setting(None, "what `gantools data synth` draws it with, where it is drawn: pix2pix -n 2000")


class Measured(Options):
    """A measured value, what it takes to repeat it, and baselines."""

    metric: str = setting(..., "name of the metric, protocol included: psnr_y")
    value: float = setting(..., "what was measured")
    data: str = setting(..., "the images it was measured on, none of them trained on")
    protocol: str = setting(..., "how: down-scaling, border, colour channel, precision")
    settings: tuple[str, ...] = setting((), "settings of `gantools eval` besides the data, as KEY=VALUE")
    inputs: Literal["realistic"] | None = setting(None, "what `gantools eval --inputs` was given")
    row: str = setting("model", "the row of its table")
    baselines: dict[str, float] = setting({}, "the same metric of simpler methods: bicubic")


class Samples(Options):
    """Samples that `gantools data distill` wrote, and weights learnt from."""

    sets: tuple[str, ...] = setting(..., "names of the card's sets that they were cut from", min_length=1)
    count: int = setting(..., "how many", ge=1)
    settings: tuple[str, ...] = setting((), "what was changed in the preset for them, as KEY=VALUE")
    taught: bool = setting(True, "whether the teacher's results are learned, or the originals")


class Teacher(Options):
    """Whose results weights learnt."""

    file: str = setting(..., "name of the weights")
    sha256: str = setting(..., "of the weights file")
    licence: str = setting(..., "licence of the weights")
    source: str = setting(..., "where they come from")
    samples: tuple[Samples, ...] = setting(..., "what it was asked", min_length=1)


class Blended(Options):
    """Another training from the same start, between whose weights and the first one's the shipped weights lie."""

    settings: tuple[str, ...] = setting((), "what was changed in the preset for it, as KEY=VALUE")
    share: float = setting(..., "how much of the shipped weights comes from the first training", gt=0, lt=1)


class Card(Options):
    """Where weights come from, what they can do and what they cannot."""

    purpose: str = setting(..., "one line: what an image becomes")
    recipe: str = setting(..., "the recipe they were trained by")
    config: str = setting(..., "the preset they were trained with: RECIPE/PRESET")
    settings: tuple[str, ...] = setting((), "what was changed in it, as KEY=VALUE")
    pretraining: tuple[tuple[str, ...], ...] = setting(
        (), "what was changed in the preset for earlier trainings, each of which the next began with, the last one this"
    )
    teacher: Teacher | None = setting(None, "whose results they learnt, where they are distilled")
    blended: Blended | None = setting(None, "another training that the shipped weights were blended with")
    default: bool = setting(False, "whether the recipe's name alone means these weights")
    starts_from: str | None = setting(None, "name of the weights that this training began with; --blend goes there")
    applied_at: Literal["trained", "native"] = setting(
        "native", "the size at which `gantools infer` applies them: that of the training images, or the image's own"
    )
    licence: str = setting(..., "licence of the weights")
    trained: str = setting(..., "date of the training")
    data: tuple[TrainingSet, ...] = setting(..., "what they learnt from", min_length=1)
    steps: dict[str, int] = setting(..., "steps of each stage", min_length=1)
    minutes: float = setting(..., "length of the training", gt=0)
    hardware: str = setting(..., "what they were trained on")
    seed: int = setting(..., "the run's seed")
    measured: tuple[Measured, ...] = setting(..., "metrics on images not trained on", min_length=1)
    limits: tuple[str, ...] = setting(..., "what they do badly, one line each", min_length=1)


def card_path(weights: Path) -> Path:
    """Where the card of a weights file lies."""
    return weights.with_suffix(".json")


def find_image(weights: Path) -> Path | None:
    """The image beside a weights file, None where there is none."""
    path = weights.with_suffix(".jpg")
    return path if path.is_file() else None


def read_card(weights: Path) -> Card | None:
    """The card beside a weights file, None where there is none. Raises ModelFileError when it is not one."""
    path = card_path(weights)
    if not path.is_file():
        return None
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelFileError(f"'{path}': not a card of weights: {where or 'file'}: {first['msg']}") from error
