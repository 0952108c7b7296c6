"""How far the colours of generated shoes are from the drawn ones of the same captions.

Each held-out caption of captioned shoes (``gantools data synth stackgan``) gives an image; the median colour of
its shoe, above the sole, is compared with that of the drawn shoe: CIE76 ΔE in CIELAB.
Usage: python -m benchmarks.captions RUN|WEIGHTS DATA
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gantools.data.loading.sampler import SampleKey
from gantools.evaluation.generated import samples_of
from gantools.generation.examples import dataset_of
from gantools.generation.model import open_model
from gantools.inference import find_weights

BACKGROUND = 247
"""Pixels with a channel below this belong to the shoe."""
UPPER = 0.6
"""The share of a shoe's height, from its top, that is no sole."""


def main(model: str, data: str) -> None:
    """Print mean, median and 90th percentile of ΔE."""
    path = find_weights.resolve(model)
    loaded = open_model(path)
    held_out = dataset_of(path, Path(data), "validation")
    examples = [held_out[SampleKey(0, index)] for index in range(len(held_out))]
    differences = []
    for sample, example in zip(samples_of(loaded.latent, held_out, len(examples)), examples, strict=True):
        made = loaded.images([sample])[0]
        differences.append(float(np.linalg.norm(colour(made) - colour(example.image))))
    known = {held_out.attributes(example.name)["main"] for example in examples}
    middle, most = np.percentile(differences, [50, 90])
    print(f"{len(examples)} captions, {len(known)} colours")
    print(f"ΔE: mean {np.mean(differences):.1f}, median {middle:.1f}, 90th percentile {most:.1f}")


def colour(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The median colour of a shoe above its sole, in CIELAB. Shapes: [H, W, 3] → [3]."""
    shoe = (image < BACKGROUND).any(axis=2)
    rows = np.flatnonzero(shoe.any(axis=1))
    if not len(rows):
        return np.array([100, 0, 0], np.float32)
    shoe[rows[0] + round(UPPER * (rows[-1] - rows[0])) :] = False
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(np.median(lab[shoe], axis=0) if shoe.any() else [100, 0, 0], np.float32)


if __name__ == "__main__":
    main(*sys.argv[1:])
