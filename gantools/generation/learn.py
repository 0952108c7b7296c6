"""``gantools directions learn``: directions of a model from scores, examples, or its weights alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from gantools import files
from gantools.errors import DataError, UsageError
from gantools.generation import boundary, directions, latents, scores, style_files, style_rows
from gantools.generation.boundary import Scores
from gantools.generation.directions import Direction
from gantools.generation.latents import Sample, Vectors
from gantools.generation.model import LatentModel
from gantools.generation.options import LearnOptions
from gantools.generation.styled import mean_style, open_styled

if TYPE_CHECKING:
    from gantools.models.latent.style import Level, StyleGenerator

Progress = Callable[[str, int, int], None]
"""Gets what is being done, how much of it is done, of how much."""
MOST_BATCH, BATCH_PIXELS = 64, 1 << 20
"""Samples computed at once: 64, fewer above 128 px, so that features of large images fit into memory."""


@dataclass(frozen=True)
class Learnt:
    """A direction that was written."""

    path: Path
    direction: Direction


def learn(path: Path, options: LearnOptions, progress: Progress) -> list[Learnt]:
    """Learn what is asked for, and write it. Raises UsageError before any work, and DataError."""
    _require_source(options)
    outputs = _outputs(path, options)
    model = open_styled(path, options.device)
    kept = [directions.read(directions.find(path, each, "--keep")) for each in options.keep or ()]
    for each in kept:
        directions.require_fitting(each, len(mean_style(model)))
    if options.closed_form is not None:
        learnt = _amplified(model, [each.stem for each in outputs], options.rows)
    else:
        learnt = [_separating(model, path, options, progress)]
    about = {"model": files.sha256(path), "recipe": model.recipe}
    if kept:
        about |= {"keeps": ", ".join(each.name for each in kept)}
    written = []
    for output, each in zip(outputs, learnt, strict=True):
        direction = replace(each.keeping(kept), name=output.stem, about={**about, **each.about})
        directions.write(output, direction)
        written.append(Learnt(output, direction))
    return written


def _require_source(options: LearnOptions) -> None:
    """Raise UsageError unless there is one thing to learn from, with the options that belong to it."""
    given = {
        "--scores": options.scores,
        "--attribute": options.attribute,
        "--measure": options.measure,
        "--positive": options.positive,
        "--closed-form": options.closed_form,
    }
    sources = [name for name, value in given.items() if value is not None]
    if len(sources) != 1:
        what = " and ".join(sources) + " contradict each other" if sources else "nothing to learn from"
        raise UsageError(f"{what}; give one of {', '.join(given)}")
    belongs = {
        "--column": (options.column, ["--scores"]),
        "--value": (options.value, ["--scores", "--attribute"]),
        "--data": (options.data, ["--attribute"]),
        "--negative": (options.negative, ["--positive"]),
        "--rows": (options.rows, ["--closed-form"]),
    }
    for name, (value, owners) in belongs.items():
        if value is not None and sources[0] not in owners:
            raise UsageError(f"{name}: goes with {' or '.join(owners)}")
    needs = {"--attribute": ("--data", options.data), "--positive": ("--negative", options.negative)}
    partner, value = needs.get(sources[0], ("", ""))
    if value is None:
        raise UsageError(f"{sources[0]}: give {partner} DIR too")
    if options.name is None and options.closed_form is None:
        raise UsageError("--name: give the direction a name, such as smile")


def _outputs(weights: Path, options: LearnOptions) -> list[Path]:
    """The files to be written. Raises UsageError where one exists."""
    name = options.name or "closed-form"
    if not re.fullmatch(r"[\w][\w .+-]*", name):
        raise UsageError(f"--name {name}: becomes a file's name; use letters, digits and - . + _")
    count = options.closed_form
    names = [name] if count is None else [f"{name}-{number:02d}" for number in range(1, count + 1)]
    given = None if options.output is None else Path(options.output)
    if given is not None and given.suffix:
        if given.suffix.lower() != directions.SUFFIX or len(names) > 1:
            wanted = "a folder" if len(names) > 1 else f"a file {directions.SUFFIX} or a folder"
            raise UsageError(f"-o {given}: give {wanted}")
        paths = [given]
    else:
        folder = given or directions.folders(weights)[0]
        paths = [folder / f"{each}{directions.SUFFIX}" for each in names]
    from gantools.jobs import outputs

    existing = [str(each) for each in paths if each.exists()]
    if existing and not options.overwrite:
        raise UsageError(f"exists already: {outputs.some(existing)}; --overwrite replaces it")
    outputs.settle([(each.stem, each) for each in paths], (), "overwrite")
    return paths


# --- from scores and examples


def _separating(model: LatentModel, path: Path, options: LearnOptions, progress: Progress) -> Direction:
    """The normal of the plane between what is asked for and the rest."""
    facts: dict[str, Any] = {}
    if options.positive is not None and options.negative is not None:
        positive, negative = (_examples(model, Path(each)) for each in (options.positive, options.negative))
        plane = boundary.of_examples(negative, positive)
        facts["learnt"] = f"{len(positive)} examples beside {len(negative)}"
    elif options.scores is not None:
        given = scores.read_csv(Path(options.scores), options.column, options.value)
        styles = _scored(model, Path(options.scores).parent, list(given), options.label)
        plane = boundary.between(styles, np.array(list(given.values())), options.extremes)
        what = "".join(f" {each}" for each in (options.column, options.value) if each)
        facts["learnt"] = f"scores{what} of {len(given)} images"
    else:
        score, facts["learnt"] = _score(path, options, progress)
        samples = drawn(model, options.label, options.count)
        styles, values = measured(model, samples, score, progress)
        plane = boundary.between(styles, values, options.extremes)
        facts["samples"] = len(samples)
    facts |= {
        "accuracy": plane.accuracy,
        "accuracy_rest": plane.accuracy_rest,
        "examples": plane.examples,
        "deviation": plane.deviation,
    }
    return Direction(str(options.name), plane.normal, plane.normal, plane.offset, facts)


def _score(path: Path, options: LearnOptions, progress: Progress) -> tuple[scores.Score, str]:
    """What scores samples, and a phrase about it."""
    if options.measure is not None:
        return scores.by_measure(options.measure), f"measure {options.measure}"
    data, name = Path(str(options.data)), str(options.attribute)
    judge = scores.by_attribute(
        path, data, name, options.value, lambda done, of: progress("epochs of the classifier", done, of)
    )
    what = f"attribute {name} = {judge.value} by a classifier that is right on {judge.accuracy:.1%} of held-out images"
    return judge.score, what


def drawn(model: LatentModel, label: str | None, count: int) -> list[Sample]:
    """Samples of the seeds 0, 1, …, of one class or of all classes in turn."""
    templates = latents.samples(model.latent, (0,), [] if label is None else [label], (), {})
    return [
        replace(templates[seed % len(templates)], latent=latents.vector_of(model.latent, seed), seed=seed)
        for seed in range(count)
    ]


def measured(
    model: LatentModel, samples: Sequence[Sample], score: scores.Score, progress: Progress
) -> tuple[Vectors, Scores]:
    """The style and the score of each sample. Shapes: [N, style_size], [N]."""
    styles: list[Vectors] = []
    values: list[Scores] = []
    size = max(1, min(MOST_BATCH, BATCH_PIXELS // prod(model.export.image_px or (1, 1))))
    for at in range(0, len(samples), size):
        progress("samples", at, len(samples))
        batch = samples[at : at + size]
        rows = model.styles(batch)
        styles.append(rows[:, 0])
        images = model.images([replace(each, styles=row) for each, row in zip(batch, rows, strict=True)])
        values.append(score(images))
    return np.concatenate(styles), np.concatenate(values)


def _examples(model: LatentModel, folder: Path) -> Vectors:
    """The styles in all files of a folder, the mean of an image's rows. Shapes: [N, style_size]."""
    if not folder.is_dir():
        raise UsageError(f"'{folder}': is no folder of files of styles, such as `gantools project` writes")
    paths = sorted(each for each in folder.iterdir() if each.suffix.lower() in style_files.SUFFIXES)
    found = [sample for each in paths for sample in style_files.samples_of(model, str(each))]
    if not found:
        raise DataError(f"'{folder}': holds no files of styles ({', '.join(style_files.SUFFIXES)})")
    return _means(found)


def _means(samples: Sequence[Sample]) -> Vectors:
    return np.stack([cast(Vectors, each.styles).mean(axis=0) for each in samples])


def _scored(model: LatentModel, folder: Path, names: Sequence[str], label: str | None) -> Vectors:
    """The styles of what was scored: ``seed:85``, ``seed0085.png``, or a file of styles within ``folder``."""
    return _means(list(_scored_samples(model, folder, names, label)))


def _scored_samples(model: LatentModel, folder: Path, names: Sequence[str], label: str | None) -> Iterator[Sample]:
    for name in names:
        seed = re.fullmatch(r"(?:.*[-/\\])?seed[:]?([0-9]{1,10})(?:\.\w+)?", name)
        if seed:
            yield style_files.sample_of(model, f"{style_files.SEEDS}{seed[1]}", label)
        elif Path(name).suffix.lower() in style_files.SUFFIXES:
            yield style_files.sample_of(model, str(folder / name))
        else:
            hint = "for images of a data set give --attribute NAME --data DIR"
            raise UsageError(
                f"--scores: {name!r} is neither a seed, such as seed0085.png, nor a file of styles; {hint}"
            )


# --- from the weights alone


def _amplified(model: LatentModel, names: Sequence[str], given_rows: str | None) -> list[Direction]:
    """As many of the strongest directions as there are names; their boundary is the mean style."""
    rows = style_rows.parse(given_rows or "all", model.latent.rows)
    found = closed_form(cast("StyleGenerator", model.network), rows)
    if len(found) < len(names):
        raise UsageError(f"--closed-form {len(names)}: the model's styles have {len(found)} directions")
    mean, learnt = mean_style(model), f"closed form, rows {style_rows.ranges(rows)}"
    return [
        Direction(name, vector, vector, float(vector @ mean), {"learnt": learnt, "strength": strength})
        for name, (vector, strength) in zip(names, found, strict=False)
    ]


def closed_form(network: StyleGenerator, rows: Sequence[int]) -> list[tuple[Vectors, float]]:
    """Directions that change the convolutions of ``rows`` most, with how much, the strongest first.

    They are the eigenvectors of the convolutions' stacked affine weights A, of AᵀA. Signs are chosen so that the
    largest component is positive. Paper: Shen 2021, arXiv 2007.06600 (SeFa).
    """
    weights: list[torch.Tensor] = []
    for number, module in enumerate(network.synthesis.levels):
        level = cast("Level", module)
        parts = {2 * number - 1: level.up, 2 * number: level.same}
        weights += [part.convolution.affine.weight for row, part in parts.items() if part is not None and row in rows]
    if not weights:
        raise UsageError(f"--rows {style_rows.ranges(rows)}: only an image's last layer uses these; add others")
    stacked = torch.cat(weights).double().cpu()
    values, vectors = torch.linalg.eigh(stacked.t() @ stacked)
    found = []
    for value, vector in zip(values.flip(0).tolist(), vectors.flip(1).t().numpy(), strict=True):
        signed = vector * np.sign(vector[np.abs(vector).argmax()])
        found.append((signed.astype(np.float32), float(max(value, 0) ** 0.5)))
    return found
