"""Training data: drawn, split, packed and looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gantools.api.settings import Settings

if TYPE_CHECKING:
    from gantools.data.prepare import inspect, pack
    from gantools.data.prepare.recognise import Kind


def draw_data(recipe: str, output: str | Path, *, count: int = 200, size_px: int = 128, seed: int = 0) -> list[Path]:
    """Draw square images to try ``recipe`` with into ``output``; the files. Raises UsageError for an unknown recipe."""
    from gantools import recipes
    from gantools.data.synthetic import drawing

    return drawing.draw_dataset(recipes.find(recipe).drawings, Path(output), count, size_px, seed)


def pack_data(
    folders: Sequence[str | Path],
    output: str | Path,
    *,
    shard_megabytes: float = 256.0,
    stream: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> pack.Report:
    """Pack the images of data sets into tar files in the new folder ``output``. Raises UsageError and DataError.

    ``stream``: single images, in random order, of which only the tars are listed: for sets that outgrow memory.
    """
    from gantools.data.prepare import pack

    return pack.pack([Path(folder) for folder in folders], Path(output), shard_megabytes, progress, stream=stream)


def inspect_data(
    folder: str | Path,
    kind: Kind | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> inspect.Report:
    """Decode every image below ``folder``; what is there, and what keeps a recipe from training on it.

    ``kind``: ``photos``, ``pairs``, ``ab`` or ``unpaired``; None: what a recipe would take it for. Raises DataError.
    """
    from gantools.cores import usable_cores
    from gantools.data.prepare import inspect

    return inspect.inspect(Path(folder), kind, workers=workers or usable_cores(), progress=progress)


def distill_data(
    settings: Settings,
    teacher: str | Path | None,
    output: str | Path,
    *,
    count: int = 1000,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> int:
    """Write training samples of ``settings`` and what ``teacher`` (any model, or none) makes of them; how many are new.

    A folder that was begun with the same teacher and settings goes on. Training takes it as ``data.dir``.
    Raises UsageError (ConfigError, DataError, ModelFileError).
    """
    from gantools.api.models import load_model
    from gantools.data.loading import dataset
    from gantools.data.prepare.distill import distill
    from gantools.inference import find_weights

    samples = settings.recipe.dataset(settings.config, "training")
    model = load_model(teacher, device=device, fast=True) if teacher else None
    about = {
        "teacher": find_weights.identity(find_weights.resolve(teacher)) if teacher else None,
        "data": dataset.fingerprint(samples),
        "seed": settings.config.seed,
        "settings": settings.config.data.model_dump(mode="json", exclude={"dir", "validation_dir", "shards"}),
    }
    return distill(samples, settings.config.seed, model, about, Path(output), count, progress)


def preview_data(
    settings: Settings, output: str | Path, *, split: Literal["training", "validation"] = "training", count: int = 8
) -> str:
    """Draw training examples into the image ``output``; a description of the data set. Raises DataError."""
    from gantools.data.prepare.preview import sheet
    from gantools.images.image import Image
    from gantools.images.io import writer

    dataset = settings.recipe.dataset(settings.config, split)
    writer.write(Image(sheet(dataset, split, count=count, seed=settings.config.seed)), Path(output))
    return dataset.describe()
