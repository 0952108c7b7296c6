"""Runs several models over the same images and measures them where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gantools.errors import GantoolsError, ImageError
from gantools.evaluation.measurement import Measurement
from gantools.evaluation.realistic import Chain
from gantools.evaluation.result import Evaluation, Failure, Row
from gantools.evaluation.run_model import RunModel, run_on_file
from gantools.generation.latents import Sample, samples
from gantools.generation.model import LatentModel
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops.color import as_rgb
from gantools.images.ops.resize import resize_bicubic
from gantools.inference.model import Model
from gantools.inference.options import ScaleTo
from gantools.jobs import image_files
from gantools.metrics.example import TRUTH, Example

INPUT = "input"


@dataclass(frozen=True)
class ComparedImage:
    """One image's tiles by title (input, models, truth), and the metrics of those that were measured."""

    name: str
    tiles: Mapping[str, Pixels]
    rows: Mapping[str, Row] = field(default_factory=dict)


@dataclass(eq=False)
class Comparison:
    """Models and the images they are compared on. ``measurement`` collects metrics where there are ``truths``.

    With a ``chain`` the images are the truths, and it makes the inputs of them.
    """

    models: Mapping[str, Model]
    inputs: Sequence[Path]
    truths: Path | None = None
    mask: str | None = None
    scale_to: ScaleTo = "auto"
    measurement: Measurement | None = None
    chain: Chain | None = None
    failures: list[Failure] = field(default_factory=list)

    def run(self) -> Iterator[ComparedImage]:
        """Every image that could be read and computed; the others are failures."""
        for path in self.inputs:
            try:
                if self.chain is None:
                    yield self._compared(path)
                else:
                    yield from self._made_by(self.chain, path)
            except GantoolsError as error:
                self.failures.append(Failure(str(path), str(error)))

    def _compared(self, path: Path) -> ComparedImage:
        results = {name: run_on_file(path, model, self.mask, self.scale_to) for name, model in self.models.items()}
        given = reader.read_rgb8(path)
        if self.truths is None:
            largest = max(results.values(), key=lambda pixels: pixels.size)
            return ComparedImage(path.name, {INPUT: given, **_baseline(given, largest), **results})
        return self._measured(path.name, given, results, reader.read_rgb8(_truth_of(path, self.truths)))

    def _made_by(self, chain: Chain, path: Path) -> Iterator[ComparedImage]:
        """The photo as each of the chain's inputs."""
        truth, inputs = chain.inputs(reader.read_rgb8(path))
        for kind, given in inputs.items():
            results = {name: RunModel(model, self.scale_to)(given) for name, model in self.models.items()}
            yield self._measured(chain.title(path.name, kind), given, results, truth)

    def _measured(self, name: str, given: Pixels, results: Mapping[str, Pixels], truth: Pixels) -> ComparedImage:
        baseline = _baseline(given, truth)
        tiles = {INPUT: given, **baseline, **results, TRUTH: truth}
        if self.measurement is None:
            return ComparedImage(name, tiles)
        measurable = {title: pixels for title, pixels in results.items() if pixels.shape == truth.shape}
        rows = self.measurement.add(Example(name, {**baseline, **measurable}, truth))
        return ComparedImage(name, tiles, {row.candidate: row for row in rows})

    def evaluation(self) -> Evaluation | None:
        """The metrics of all images, where there were truths."""
        if self.measurement is None:
            return None
        return Evaluation(
            {"models": ", ".join(self.models)},
            data=f"{len(self.inputs)} images",
            inputs="as given" if self.chain is None else str(self.chain),
            reference="the truth",
            metrics=self.measurement.metrics.protocols,
            protocol=tuple(self.measurement.metrics.lines()),
            rows=tuple(self.measurement.rows),
        )


@dataclass(eq=False)
class SampleComparison:
    """Models that start from noise, on the same seeds; conditional ones show one class after another."""

    models: Mapping[str, LatentModel]
    seeds: int
    measured: Evaluation | None = None
    failures: Sequence[Failure] = ()

    def run(self) -> Iterator[ComparedImage]:
        """An image of every seed and model."""
        for seed in range(self.seeds):
            made = {name: model.images([_sample(model, seed)])[0] for name, model in self.models.items()}
            yield ComparedImage(f"seed {seed}", {name: as_rgb(pixels) for name, pixels in made.items()})

    def evaluation(self) -> Evaluation | None:
        """The metrics of the models, where they were measured."""
        return self.measured


def _sample(model: LatentModel, seed: int) -> Sample:
    classes = model.latent.classes
    label = [classes[seed % len(classes)]] if classes else []
    return samples(model.latent, [seed], label, (), {})[0]


def _truth_of(path: Path, truths: Path) -> Path:
    """The image of the same name in a folder of truths, with any suffix. Raises ImageError for none or several."""
    name = image_files.stem(path)
    found = [file for file in sorted(truths.iterdir()) if image_files.known(file) and image_files.stem(file) == name]
    if len(found) != 1:
        raise ImageError(f"{len(found) or 'no'} images called {name!r} in {str(truths)!r}; one for each input")
    return found[0]


def _baseline(given: Pixels, truth: Pixels) -> dict[str, Pixels]:
    """The unchanged input, enlarged by bicubic interpolation where the truth, or a result, is larger."""
    if given.shape == truth.shape:
        return {INPUT: given}
    return {"bicubic": resize_bicubic(given, size=truth.shape[:2])} if given.size < truth.size else {}
