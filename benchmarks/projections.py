"""How near projections come to images that the model has made, and to held-out ones of its data.

Five generated and ten held-out images are projected to W and to W+, each with ``gantools project``'s own settings.
Usage: python -m benchmarks.projections RUN|WEIGHTS DATA [FEATURE_WEIGHTS|none]
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gantools import api
from gantools.data.loading.sampler import SampleKey
from gantools.evaluation.generated import dataset_of
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.inference import find_weights

SEEDS = (85, 100, 101, 102, 103)
HELD_OUT = 10


def main(model: str, data: str, features: str | None = None) -> None:
    """Print the mean and the worst of each measure, and the time, for both kinds of images and both spaces."""
    held_out = dataset_of(find_weights.resolve(model), Path(data), "validation")
    with TemporaryDirectory() as name:
        folder = Path(name)
        list(api.generate(model, seeds=SEEDS, output=folder / "generated"))
        for index in range(HELD_OUT):
            image = held_out[SampleKey(0, index)].image
            path = folder / "held-out" / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            writer.write(Image(image), path)
        for kind in ("generated", "held-out"):
            for space in ("w", "w+"):
                found = list(
                    api.project(
                        model, folder / kind, output=folder / f"{kind}-{space}", space=space, feature_weights=features
                    )
                )
                seconds = np.mean([each.seconds for each in found])
                print(f"{kind}, {space.upper()}: {len(found)} images, {seconds:.1f} s each")
                for measure in ("psnr_rgb", "l1_percent", "feature_distance"):
                    values = [float(each.facts[measure]) for each in found if measure in each.facts]
                    if values:
                        worst = min(values) if measure == "psnr_rgb" else max(values)
                        print(f"  {measure}: mean {np.mean(values):.4g}, worst {worst:.4g}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
