"""What every data set promises: samples depend on seed, epoch and index alone, validation stays, batches stack."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gantools.data import DATASETS
from gantools.data.loading import loader
from gantools.data.loading.dataset import Dataset, fingerprint
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.blur import BlurOptions
from gantools.data.options.datasets import (
    BlurredData,
    DataOptions,
    EdgeOptions,
    MaskedData,
    PairedData,
    ResolutionData,
    RestorationData,
    UnpairedData,
)
from gantools.data.options.degradations import JpegOptions, NoiseOptions
from gantools.data.options.labelled import LabelledData
from gantools.data.options.masks import RandomBlockMask, RandomRegionMask
from gantools.images.image import Image
from gantools.images.io import writer

OPTIONS = {
    "paired": PairedData(load_px=20, crop_px=16),
    "resolution": ResolutionData(crop_px=16, degradations=(NoiseOptions(),)),
    "masked": MaskedData(load_px=20, crop_px=16, mask=RandomRegionMask()),
    "blurred": BlurredData(crop_px=16, layout="photos", blur=BlurOptions(trajectory_steps=60, motion_px=(4.0, 8.0))),
    "unpaired": UnpairedData(load_px=20, crop_px=16),
    "restoration": RestorationData(load_px=20, crop_px=16, degradations=(NoiseOptions(),)),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight random photos of one size in each of two folders."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(16):
        path = root / ("trainA" if number % 2 else "trainB") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        writer.write(Image(np.random.default_rng(number).integers(0, 256, (32, 40, 3), np.uint8)), path)
    return root


@pytest.fixture(params=OPTIONS)
def options(request: pytest.FixtureRequest, photos: Path) -> DataOptions:
    folder = photos if request.param == "unpaired" else photos / "trainA"
    return OPTIONS[request.param].model_copy(update={"dir": str(folder), "validation_share": 0.25})


def opened(options: DataOptions, split: Any = "training", seed: int = 1) -> Dataset:
    return DATASETS.factory(options.name)(options, split=split, seed=seed)


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def test_training_samples_depend_on_seed_epoch_and_index_alone(options: DataOptions) -> None:
    data, again = opened(options), pickle.loads(pickle.dumps(opened(options)))
    sample = data[SampleKey(3, 1)]
    data[SampleKey(0, 2)]
    assert same(sample, again[SampleKey(3, 1)])
    assert same(sample, data[SampleKey(3, 1)])
    assert not same(sample, data[SampleKey(4, 1)])
    assert not same(sample, opened(options, seed=2)[SampleKey(3, 1)])


def test_validation_samples_never_change_and_are_not_trained_on(options: DataOptions) -> None:
    training, validation = opened(options), opened(options, "validation")
    assert same(validation[SampleKey(0, 1)], validation[SampleKey(9, 1)])
    assert (len(training), len(validation)) == (6, 2)
    assert {item.files for item in training.items}.isdisjoint({item.files for item in validation.items})


def test_the_cache_changes_nothing_and_is_bounded(options: DataOptions) -> None:
    plain, cached, tiny = (opened(options.model_copy(update={"cache_megabytes": size})) for size in (0, 1, 1))
    tiny.divide_cache(200)
    for key in [SampleKey(epoch, index) for epoch in (0, 1) for index in range(6)]:
        assert same(cached[key], plain[key])
        assert same(tiny[key], plain[key])
    assert plain._cache.free_bytes == 0
    assert 0 <= tiny._cache.free_bytes <= 2**20 // 200
    with pytest.raises(ValueError, match="read-only"):
        cached._cache.recall(0, cached.load)[0][0, 0] = 0


def test_batches_are_the_stacked_samples(options: DataOptions) -> None:
    data = opened(options)
    batch = next(loader.batches(data, batch_images=3, start_batch=0, seed=1, workers=0))
    assert type(batch) is data.batch
    shapes = [tuple(getattr(batch, name).shape) for name in vars(batch) if name != "names"]
    assert all(shape[0] == 3 and shape[-1] in (1, 3) for shape in shapes)
    assert len(batch.names) == (6 if options.name == "unpaired" else 3)


def test_the_fingerprint_notices_other_data(photos: Path, tmp_path: Path) -> None:
    first, second, *_ = (path.read_bytes() for path in sorted((photos / "trainA").iterdir()))
    found = []
    for name, content in (("1", first), ("1", first), ("1", first + b"more"), ("2", second)):
        (tmp_path / f"{name}.png").write_bytes(content)
        found.append(fingerprint(opened(ResolutionData(dir=str(tmp_path), validation_share=0.0))))
    assert found[0] == found[1]
    assert len(set(found)) == 3


# Settings refuse what cannot be


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (PairedData, {"crop_px": 300}, "crop_px: must not exceed load_px"),
        (PairedData, {"source_dir": "x"}, "given together or not at all"),
        (PairedData, {"workers": -1}, "greater than or equal to 0"),
        (PairedData, {"validation_share": 1.0}, "less than 1"),
        (PairedData, {"widht": 1}, "Extra inputs"),
        (EdgeOptions, {"canny_low": 101}, "canny_low: must not exceed canny_high"),
        (EdgeOptions, {"min_hints": 301}, "min_hints: must not exceed max_hints"),
        (ResolutionData, {"crop_px": 95}, "must be a multiple of scale (4)"),
        (ResolutionData, {"downscale": (1.0, 1.5)}, "less than or equal to 1"),
        (ResolutionData, {"downscale": ()}, "at least 1 item"),
        (MaskedData, {"crop_px": 200}, "crop_px: must not exceed load_px"),
        (MaskedData, {"zoom": 2.0, "crop": "center"}, "zoom: belongs to random crops"),
        (RandomBlockMask, {"max_side_share": 0.6}, "more than max_share allows"),
        (RandomBlockMask, {"min_side_share": 0.45}, "must not exceed max_side_share"),
        (RandomRegionMask, {"max_share": 1.0}, "less than 1"),
        (UnpairedData, {"crop_px": 300}, "crop_px: must not exceed load_px"),
        (UnpairedData, {"a": "x"}, "a and b are given together"),
        (UnpairedData, {"a": "x", "b": "x"}, "the same folder"),
        (BlurredData, {"degraded_dir": "blur"}, "given together or not at all"),
        (BlurOptions, {"motion_px": (9.0, 8.0)}, "motion_px: 9 must not exceed 8"),
        (BlurOptions, {"noise_sigma": (2.0, 1.0)}, "noise_sigma: 2 must not exceed 1"),
        (BlurOptions, {"motion_weight": 0.0}, "must be above 0"),
        (BlurOptions, {"measured_weight": 1.0}, "needs at least one file"),
        (BlurOptions, {"defocus_px": (0.0, 1.0)}, "greater than 0"),
        (BlurOptions, {"sharp_share": 1.0}, "less than 1"),
        (RestorationData, {"degradations": ()}, "at least 1 item"),
        (RestorationData, {"crop_px": 300}, "crop_px not exceed load_px"),
        (RestorationData, {"largest_region_px": 300}, "must lie between crop_px and load_px"),
        (RestorationData, {"degradations": (JpegOptions(quality=(70, 10)),)}, "jpeg: quality: 70 must not exceed 10"),
        (RestorationData, {"degradations": ({"name": "jpg"},)}, "does not match any of the expected tags"),
    ],
)
def test_impossible_settings_are_refused(group: type[PairedData], values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        group(**values)
    assert message in str(caught.value)


def test_the_defaults_are_the_sources() -> None:
    edges = PairedData().edges
    assert (edges.bilateral_px, edges.bilateral_sigma_color, edges.bilateral_sigma_space) == (5, 50, 50)
    assert (edges.canny_low, edges.canny_high) == (45, 100)
    assert (edges.max_hints, edges.hint_radius_px, edges.white_threshold) == (300, 2, 2.75)
    assert (PairedData().validation_share, PairedData().split_seed) == (0.2, 2)
    assert (ResolutionData().scale, ResolutionData().crop_px, ResolutionData().batch_images) == (4, 96, 16)


def test_every_data_set_of_the_table_can_be_loaded() -> None:
    groups = (PairedData, ResolutionData, MaskedData, UnpairedData, BlurredData, RestorationData, LabelledData)
    assert set(DATASETS.names()) == {group().name for group in groups}
    assert all(callable(DATASETS.factory(name).describe) for name in DATASETS.names())
