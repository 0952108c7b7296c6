"""What rows of styles and directions do to generated shoes, judged by classifiers of drawn ones and by their pixels.

For each set of rows, of pairs of images that differ in an attribute: how often the mixture shows it as A does, and
as B does. Then directions: how often each is right, and what images show when they are moved along it.
Usage: python -m benchmarks.styles WEIGHTS DATA [PAIRS]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from benchmarks.captions import colour
from gantools import api
from gantools.generation import directions, learn, style_rows
from gantools.generation.examples import dataset_of, real_images
from gantools.generation.latents import Sample
from gantools.generation.mix import mixed
from gantools.generation.model import LatentModel, open_model
from gantools.images.image import Pixels
from gantools.inference import find_weights
from gantools.metrics import classifier
from gantools.metrics.classifier import Trained

ATTRIBUTES = ("kind", "heel", "main", "sole", "accent")
LEARNT: dict[str, dict[str, Any]] = {
    "heel": {"attribute": "heel"},
    "red": {"attribute": "main", "value": "red"},
    "brightness": {"measure": "brightness"},
}
SAMPLES = 20_000


def main(model: str, data: str, pairs: str = "400") -> None:
    """Print both tables."""
    path, folder = find_weights.resolve(model), Path(data)
    loaded, judges = open_model(path), judges_of(path, folder)
    _mixtures(loaded, judges, int(pairs))
    with tempfile.TemporaryDirectory() as output:
        for name, options in LEARNT.items():
            given = options if "measure" in options else {**options, "data": data}
            (facts,) = api.learn_directions(path, name=name, output=f"{output}/{name}.npz", count=SAMPLES, **given)
            print(
                f"direction {name}: {facts['accuracy']:.3f} of {facts['examples'] * 0.3:.0f} held-out extremes, "
                f"{facts['accuracy_rest']:.3f} of the rest ({facts['learnt']})"
            )
            _moves(loaded, judges, directions.read(Path(facts["path"])))


def judges_of(path: Path, data: Path) -> dict[str, tuple[Trained, list[str]]]:
    """A classifier of each attribute, with the names of its classes."""
    training, held_out = (
        real_images(dataset_of(path, data, split, captions="none")) for split in ("training", "validation")
    )
    judges = {}
    for name in ATTRIBUTES:
        values = sorted(set(training.attributes[name]))
        labels, test_labels = ([values.index(each) for each in real.attributes[name]] for real in (training, held_out))
        trained = classifier.train(training.images, labels, held_out.images, test_labels)
        print(f"classifier of {name}: right on {trained.accuracy:.3f} of {len(test_labels)} held-out drawings")
        judges[name] = trained, values
    return judges


def _made(model: LatentModel, samples: Sequence[Sample]) -> list[Pixels]:
    return [image for at in range(0, len(samples), 64) for image in model.images(list(samples[at : at + 64]))]


def _mixtures(model: LatentModel, judges: dict[str, tuple[Trained, list[str]]], pairs: int) -> None:
    samples = learn.drawn(model, None, 2 * pairs)
    samples = [replace(each, styles=row) for each, row in zip(samples, model.styles(samples), strict=True)]
    a, b = samples[:pairs], samples[pairs:]
    sources = [_made(model, side) for side in (a, b)]
    for name, rows in style_rows.named(model.latent.rows).items():
        mixtures = _made(model, [mixed(one, other, rows) for one, other in zip(a, b, strict=True)])
        print(f"{name} rows {style_rows.ranges(rows)} of B put into A, {pairs} pairs")
        for attribute, (judge, _) in judges.items():
            of_a, of_b, shown = (judge.classes(images) for images in (*sources, mixtures))
            differ = of_a != of_b
            kept, taken = ((shown == side)[differ].mean() for side in (of_a, of_b))
            print(f"  {attribute:<7} as A {kept:.3f}, as B {taken:.3f} (of {differ.sum()} pairs that differ)")
        print(f"  colour nearer to B's: {_nearer(mixtures, *sources):.3f} of pairs")


def _nearer(mixtures: Sequence[Pixels], of_a: Sequence[Pixels], of_b: Sequence[Pixels]) -> float:
    """How often the median colour of the shoe is nearer to B's than to A's, in CIELAB."""
    shown, near_a, near_b = (np.stack([colour(each) for each in images]) for images in (mixtures, of_a, of_b))
    distances = [np.linalg.norm(shown - side, axis=1) for side in (near_a, near_b)]
    return float((distances[1] < distances[0]).mean())


def _moves(model: LatentModel, judges: dict[str, tuple[Trained, list[str]]], direction: directions.Direction) -> None:
    """What 200 images show at distances from the boundary: what the direction is of, the rest as before."""
    samples = learn.drawn(model, None, 200)
    styles = cast(npt.NDArray[np.float32], model.styles(samples))
    rows = range(model.latent.rows)
    first = {name: judge.classes(_made(model, samples)) for name, (judge, _) in judges.items()}
    for distance in (-3, -1.5, 0, 1.5, 3):
        moved = [
            replace(each, styles=direction.moved(row, distance, rows))
            for each, row in zip(samples, styles, strict=True)
        ]
        images = _made(model, moved)
        parts = [f"brightness {np.mean(images):.0f}"]
        for name, (judge, values) in judges.items():
            shown = judge.classes(images)
            own = "True" if direction.name == name else direction.name
            if own not in values:
                parts.append(f"{name} as before {(shown == first[name]).mean():.2f}")
            else:
                parts.append(f"{name} {own} {(shown == values.index(own)).mean():.2f}")
        print(f"  at {distance:>4}: {', '.join(parts)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
