"""What a training pair costs.

First the project's own part of each kind of pair beside per-pixel Python loops that make the same; then whole pairs of
256 px out of 400×533 JPEG files, from the loaders' own data sets, in one process with one thread and no cache.
All take turns, so that a busy moment meets them all; medians are printed.
Usage: python -m benchmarks.data [--rounds N] [--photos FOLDER] (default: drawn photos)
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import math
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from gantools.data import DATASETS
from gantools.data.degrade import blur, crappify, edges, masks
from gantools.data.loading import sampler
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.blur import BlurOptions
from gantools.data.options.datasets import (
    BlurredData,
    EdgeOptions,
    MaskedData,
    PairedData,
    ResolutionData,
    RestorationData,
    UnpairedData,
)
from gantools.data.options.degradations import CRAPPIFY, GrayOptions, LowResolutionOptions, NoiseOptions
from gantools.data.options.masks import CenterMask, RandomBlockMask, RandomRegionMask
from gantools.data.synthetic import drawing
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer

SIDE_PX = 256
PHOTOS = 8


# Per-pixel loops: what one writes first. Lists, not arrays, where that is faster.


def loop_hints(drawing: Pixels, target: Pixels, rng: np.random.Generator, options: EdgeOptions) -> Pixels:
    rows, painted = target.tolist(), drawing.copy()
    height, width = len(rows), len(rows[0])
    limit = (options.white_threshold + 3) * 127.5
    coloured = [(y, x) for y in range(height) for x in range(width) if sum(rows[y][x]) < limit]
    reach = options.hint_radius_px - 1
    for chosen in rng.choice(len(coloured), min(len(coloured), options.max_hints), replace=False):
        y, x = coloured[chosen]
        places = [
            (v, u)
            for v in range(max(0, y - reach), min(height, y + reach + 1))
            for u in range(max(0, x - reach), min(width, x + reach + 1))
        ]
        colour = [round(sum(rows[v][u][channel] for v, u in places) / len(places)) for channel in range(3)]
        for v, u in places:
            painted[v, u] = colour
    return painted


def loop_rasterised(points: Any) -> Any:
    reach = math.ceil(max(max(abs(point.real), abs(point.imag)) for point in points)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for point in points:
        y, x = point.real + reach, point.imag + reach
        top, left = math.floor(y), math.floor(x)
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            kernel[row, column] += (1 - abs(y - row)) * (1 - abs(x - column))
    return blur.normalised(kernel)


def loop_motion_kernel(rng: np.random.Generator, extent_px: float, steps: int) -> Any:
    """The published algorithm, one random number after the other; another stream than ours, so another kernel."""
    anxiety = 0.1 * rng.random()
    jerk, pull, tremble = 0.2 * rng.random(), 0.7 * rng.random(), 10 * rng.random()
    direction, place, path = np.exp(2j * np.pi * rng.random()), 0j, np.zeros(steps, np.complex128)
    for step in range(1, steps):
        back = -2 * direction * np.exp(1j * (rng.random() - 0.5)) if rng.random() < jerk * anxiety else 0
        shock = tremble * (rng.standard_normal() + 1j * rng.standard_normal())
        direction += back + anxiety * (shock - pull * place * 60 / (steps - 1))
        direction /= abs(direction)
        place += direction
        path[step] = place
    longest = max(max(path.real) - min(path.real), max(path.imag) - min(path.imag))
    return loop_rasterised((path - path.mean()) * (extent_px / longest))


def loop_polylines(canvas: Any, lines: list[Any], _closed: bool, color: int, width_px: int) -> None:
    corners = lines[0].tolist()
    height, width = canvas.shape
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        for y in range(height):
            for x in range(width):
                along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length if length else 0.0
                along = min(max(along, 0.0), 1.0)
                if math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) <= width_px / 2:
                    canvas[y, x] = color


def loop_fill(canvas: Any, shapes: list[Any], color: int) -> None:
    corners = shapes[0].tolist()
    for y in range(canvas.shape[0]):
        for x in range(canvas.shape[1]):
            inside = False
            for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
                if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
                    inside = not inside
            if inside:
                canvas[y, x] = color


def loop_low_resolution(photo: Pixels, options: LowResolutionOptions, _chance: Any) -> Pixels:
    """Bilinear, antialiased, first across, then down."""
    shrink = min(photo.shape[:2]) / options.short_side_px
    across = [_shrunk_line(row, shrink) for row in photo.tolist()]
    down = [_shrunk_line([row[x] for row in across], shrink) for x in range(len(across[0]))]
    return np.array(down).swapaxes(0, 1).round().clip(0, 255).astype(np.uint8)


def _shrunk_line(line: list[list[float]], shrink: float) -> list[list[float]]:
    made = []
    for place in range(round(len(line) / shrink)):
        centre = (place + 0.5) * shrink
        reached = range(max(0, math.floor(centre - shrink)), min(len(line), math.ceil(centre + shrink)))
        weights = [max(0.0, 1 - abs((tap + 0.5 - centre) / shrink)) for tap in reached]
        total = sum(weights)
        made.append([sum(w * line[tap][c] for w, tap in zip(weights, reached, strict=True)) / total for c in range(3)])
    return made


def loop_noise(photo: Pixels, options: NoiseOptions, chance: Any) -> Pixels:
    sigma = chance.rng.uniform(*options.sigma)
    noisy = photo.copy()
    for y, row in enumerate(photo.tolist()):
        for x, pixel in enumerate(row):
            drawn = [float(chance.rng.standard_normal(dtype=np.float32)) for _ in pixel]
            noisy[y, x] = [min(max(int(v + sigma * n + 0.5), 0), 255) for v, n in zip(pixel, drawn, strict=True)]
    return noisy


def loop_gray(photo: Pixels, _options: Any, _chance: Any) -> Pixels:
    made = photo.copy()
    for y, row in enumerate(photo.tolist()):
        for x, (red, green, blue) in enumerate(row):
            made[y, x] = int(0.299 * red + 0.587 * green + 0.114 * blue + 0.5)
    return made


LOOP_DEGRADATIONS = {"low_resolution": loop_low_resolution, "noise": loop_noise, "gray": loop_gray}


def rng() -> np.random.Generator:
    return sampler.sample_rng(1, 2, 3)


def own_parts(photo: Pixels) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Name → ours, and the loops."""
    drawing, options = edges.outline(photo, EdgeOptions()), EdgeOptions()
    path = blur.trajectory(rng(), 2000)
    points = (path - path.mean()) * (24 / np.ptp(path.real))
    strokes, shapes = RandomRegionMask(silhouette_share=0), RandomRegionMask(silhouette_share=1)
    bad = {"crappify (the source's)": CRAPPIFY, "crappify: noise, gray": (NoiseOptions(), GrayOptions())}
    parts: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "colour hints": (
            lambda: edges.colour_hints(drawing, photo, rng(), options),
            lambda: loop_hints(drawing, photo, rng(), options),
        ),
        "blur kernel: its light": (partial(blur.rasterised, points), partial(loop_rasterised, points)),
        "blur kernel: all of it": (
            lambda: blur.motion_kernel(rng(), 24, 2000),
            lambda: loop_motion_kernel(rng(), 24, 2000),
        ),
    }
    for name, kind in (("mask: strokes", strokes), ("mask: silhouettes", shapes)):
        parts[name] = (partial(mask, kind), partial(loop_mask, kind))
    for name, chosen in bad.items():
        parts[name] = (partial(crappified, photo, chosen), partial(loop_crappified, photo, chosen))
    return parts


def mask(options: RandomRegionMask) -> Any:
    return masks.draw(SIDE_PX, SIDE_PX, rng(), options)


def loop_mask(options: RandomRegionMask) -> Any:
    with mock.patch.object(cv2, "polylines", loop_polylines), mock.patch.object(cv2, "fillPoly", loop_fill):
        return mask(options)


def crappified(photo: Pixels, degradations: Any) -> Pixels:
    return crappify.crappify(photo, degradations, rng())


def loop_crappified(photo: Pixels, degradations: Any) -> Pixels:
    with mock.patch.dict(crappify._FUNCTIONS, LOOP_DEGRADATIONS):  # type: ignore[arg-type]
        return crappified(photo, degradations)


def apart(name: str, ours: Any, loops: Any) -> str:
    """How far the two results are from each other. Raises AssertionError when they are not the same thing."""
    if name == "blur kernel: all of it":
        assert abs(float(ours.sum()) - float(loops.sum())) < 1e-4
        return "other draws"
    if ours.dtype == bool:
        overlap = float((ours & loops).sum() / (ours | loops).sum())
        assert overlap > 0.9
        return f"overlap {overlap:.3f}"
    differences = np.abs(ours.astype(float) - loops.astype(float))
    if name.startswith("crappify ("):  # a step of rounding in the small image is many after JPEG
        assert differences.mean() < 1
        return f"differs by {differences.mean():.2f} on average"
    assert differences.max() <= 1
    return f"differs by ≤ {differences.max():.2g}"


def compare(rounds: int) -> None:
    """Print a line per part."""
    photo = cv2.resize(image(0), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    parts = own_parts(np.asarray(photo, np.uint8))
    results = {name: apart(name, ours(), loops()) for name, (ours, loops) in parts.items()}
    seconds = interleaved({(name, side): parts[name][side] for name in parts for side in (0, 1)}, rounds)
    print(f"{'own part of a pair at 256 px':28} {'ours':>9} {'loops':>9} {'ratio':>6}   results")
    for name, said in results.items():
        ours, loops = (1000 * seconds[name, side] for side in (0, 1))
        print(f"{name:28} {ours:6.2f} ms {loops:6.1f} ms {loops / ours:6.0f}   {said}")


def data_sets(folder: str) -> dict[str, Any]:
    """Name → data set, every image decoded anew."""
    two = UnpairedData(a=f"{folder}/a", b=f"{folder}/b", load_px=286, crop_px=SIDE_PX, cache_megabytes=0)
    side = {"load_px": SIDE_PX, "crop_px": SIDE_PX, "dir": f"{folder}/a", "cache_megabytes": 0, "validation_share": 0.0}
    crop = {key: value for key, value in side.items() if key != "load_px"}
    blurs = {"motion": 0, "defocus": 1, "gaussian": 2}
    options: dict[str, Any] = {
        "outline + hints": PairedData(**side),
        "outline + hints, at 256 px": PairedData(**side, edges=EdgeOptions(edges_at="resized")),
        "gray": PairedData(**side, make="gray"),
        "unpaired (two photos)": two,
        "low / high resolution": ResolutionData(**crop),
        "mask: centre": MaskedData(**side, mask=CenterMask()),
        "mask: squares": MaskedData(**side, mask=RandomBlockMask()),
        "mask: strokes, silhouettes": MaskedData(**side, mask=RandomRegionMask()),
        "crappify (the source's)": RestorationData(**side),
        "noise": RestorationData(**side, degradations=(NoiseOptions(),)),
    }
    for name, chosen in blurs.items():
        weights = {f"{kind}_weight": float(number == chosen) for kind, number in blurs.items()}
        options[f"blur: {name}"] = BlurredData(**crop, blur=BlurOptions(**weights))
    return {name: DATASETS.factory(given.name)(given, split="training", seed=1) for name, given in options.items()}


def whole_pairs(folder: str, rounds: int) -> None:
    """Print a line per data set: the time of a pair, and the library calls that take most of it."""
    sets = data_sets(folder)
    files = sorted(Path(folder, "a").iterdir())
    turn = {name: iter(range(10**9)) for name in ("", *sets)}

    def one(name: str) -> None:
        epoch, index = divmod(next(turn[name]), PHOTOS)
        sets[name][SampleKey(epoch, index % len(sets[name]))]

    work: dict[Any, Callable[[], Any]] = {name: partial(one, name) for name in sets}
    work[""] = lambda: reader.read_rgb8(files[next(turn[""]) % PHOTOS])
    seconds = interleaved(work, rounds)
    print(f"\n{'whole pair at 256 px':28} {'time':>8} {'a worker':>11}   most of it")
    print(f"{'(decoding the JPEG alone)':28} {1000 * seconds['']:5.1f} ms")
    for name in sets:
        calls = ", ".join(costliest(work[name]))
        print(f"{name:28} {1000 * seconds[name]:5.1f} ms {1 / seconds[name]:6.0f} img/s   {calls}")


def costliest(function: Callable[[], Any], times: int = 10) -> list[str]:
    """The calls into libraries that take more than a tenth, with their share."""
    profile = cProfile.Profile()
    profile.runcall(lambda: [function() for _ in range(times)])
    stats: Mapping[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    library = {key[2].strip("<>"): own / total for key, (_, _, own, _, _) in stats.items() if key[0] == "~"}
    ranked = sorted(library.items(), key=lambda item: -item[1])
    return [f"{short(name)} {share:.0%}" for name, share in ranked if share > 0.1][:3]


def short(name: str) -> str:
    """``method 'decode' of 'ImagingDecoder' objects`` is ``decode of ImagingDecoder``."""
    return name.removeprefix("built-in method ").removeprefix("method ").removesuffix(" objects").replace("'", "")


def interleaved(work: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, float]:
    """Median seconds of each, taking turns; the first turn warms up."""
    seconds: dict[Any, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, function in work.items():
            start = time.perf_counter()
            function()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def image(number: int) -> Pixels:
    return np.asarray(drawing.draw_image("scenes", number, 533, 7)[:, :400], np.uint8)


def write_photos(folder: Path, photos: Path | None) -> None:
    """PHOTOS files of 400×533 in two folders, drawn or from ``photos``."""
    given = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".png")) if photos else []
    for number in range(PHOTOS):
        pixels = reader.read_rgb8(given[number % len(given)]) if given else image(number)
        sized = np.asarray(cv2.resize(pixels, (400, 533), interpolation=cv2.INTER_AREA), np.uint8)
        for side in "ab":
            writer.write(Image(sized), folder / side / f"{number}.jpg")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--photos", type=Path)
    given = arguments.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    compare(max(1, given.rounds // 3))
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), given.photos)
        whole_pairs(folder, given.rounds)


if __name__ == "__main__":
    main()
