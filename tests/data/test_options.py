"""Settings refuse what cannot be."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gantools.data import DATASETS
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
from gantools.data.options.degradations import JpegOptions
from gantools.data.options.labelled import LabelledData
from gantools.data.options.masks import RandomBlockMask, RandomRegionMask


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
