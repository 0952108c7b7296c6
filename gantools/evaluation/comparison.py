"""Several models on the same pictures: what each makes, and how good it is where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gantools.errors import GantoolsError, ImageError
from gantools.evaluation.applying import made_from
from gantools.evaluation.entrants import Entrants
from gantools.evaluation.example import Example
from gantools.evaluation.measuring import Measurement
from gantools.evaluation.result import Evaluation, Failure, Row
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops.resize import resize_bicubic
from gantools.inference.model import Model
from gantools.inference.options import ScaleTo
from gantools.jobs import pictures

INPUT, TRUTH = "input", "truth"


@dataclass(frozen=True)
class Shown:
    """One picture's tiles, by title, and the figures of those that were measured."""

    name: str
    tiles: Mapping[str, Pixels]
    rows: Mapping[str, Row] = field(default_factory=dict)


@dataclass(eq=False)
class Comparison:
    """Runs ``models`` over pictures, one after the other. ``measurement`` collects figures where there are truths."""

    models: Mapping[str, Model]
    entrants: Entrants
    truths: Path | None = None
    mask: str | None = None
    scale_to: ScaleTo = "auto"
    measurement: Measurement | None = None
    failures: list[Failure] = field(default_factory=list)

    def shown(self) -> Iterator[Shown]:
        """Every picture that could be read and made; the others are failures."""
        for path in self.entrants.inputs:
            try:
                yield self._one(path)
            except GantoolsError as error:
                self.failures.append(Failure(str(path), str(error)))

    def _one(self, path: Path) -> Shown:
        made = {name: made_from(path, model, self.mask, self.scale_to) for name, model in self.models.items()}
        given, truth = reader.read_rgb8(path), self._truth(path)
        if truth is None:
            return Shown(path.name, {INPUT: given, **made})
        return Shown(path.name, {INPUT: given, **made, TRUTH: truth}, self._rows(path, given, made, truth))

    def evaluation(self) -> Evaluation | None:
        """The figures of all pictures shown, where there were truths."""
        if self.measurement is None:
            return None
        instruments, subject = self.measurement.instruments, {"models": ", ".join(self.models)}
        pictures, rows = f"{len(self.entrants.inputs)} pictures", tuple(self.measurement.rows)
        protocol = tuple(instruments.lines())
        return Evaluation(subject, pictures, "as given", "the truth", instruments.protocols, protocol, rows)

    def _truth(self, path: Path) -> Pixels | None:
        return None if self.truths is None else reader.read_rgb8(truth_of(path, self.truths))

    def _rows(self, path: Path, given: Pixels, made: Mapping[str, Pixels], truth: Pixels) -> Mapping[str, Row]:
        """The figures of everything that has the truth's size, the input (enlarged) before the models."""
        if self.measurement is None:
            return {}
        first = len(self.measurement.rows)
        fitting = {name: pixels for name, pixels in made.items() if pixels.shape == truth.shape}
        self.measurement.add(Example(path.name, {**_baseline(given, truth), **fitting}, truth))
        return {row.candidate: row for row in self.measurement.rows[first:]}


def truth_of(path: Path, truths: Path) -> Path:
    """The picture of the same name in a folder of truths, with any suffix. Raises ImageError for none or several."""
    name = pictures.stem(path)
    found = [file for file in sorted(truths.iterdir()) if pictures.known(file) and pictures.stem(file) == name]
    if len(found) != 1:
        raise ImageError(f"{len(found) or 'no'} pictures called {name!r} in {str(truths)!r}; one for each input")
    return found[0]


def _baseline(given: Pixels, truth: Pixels) -> dict[str, Pixels]:
    """What doing nothing would give: the input, enlarged where the truth is larger."""
    if given.shape == truth.shape:
        return {INPUT: given}
    return {"bicubic": resize_bicubic(given, size=truth.shape[:2])} if given.size < truth.size else {}
