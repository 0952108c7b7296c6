"""Settings refuse what cannot be, without importing torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from gantools.data import DATASETS
from gantools.data.options.datasets import (
    BlurredData,
    EdgeOptions,
    MaskedData,
    PairedData,
    ResolutionData,
    RestorationData,
    UnpairedData,
)


@pytest.mark.parametrize(
    ("group", "values", "said"),
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
    ],
)
def test_impossible_settings_are_refused(group: type[PairedData], values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        group(**values)
    assert said in str(caught.value)


def test_the_defaults_are_the_sources() -> None:
    edges = PairedData().edges
    assert (edges.bilateral_px, edges.bilateral_sigma_color, edges.bilateral_sigma_space) == (5, 50, 50)
    assert (edges.canny_low, edges.canny_high) == (45, 100)
    assert (edges.max_hints, edges.hint_radius_px, edges.white_threshold) == (300, 2, 2.75)
    assert (PairedData().validation_share, PairedData().split_seed) == (0.2, 2)
    assert (ResolutionData().scale, ResolutionData().crop_px, ResolutionData().batch_images) == (4, 96, 16)


def test_every_entry_of_the_table_exists_under_its_options_name() -> None:
    names = {
        group().name: group
        for group in (PairedData, ResolutionData, MaskedData, UnpairedData, BlurredData, RestorationData)
    }
    assert set(DATASETS.names()) == set(names)
    for name in names:
        assert callable(DATASETS.factory(name).describe)


def test_options_and_table_import_nothing_heavy() -> None:
    code = (
        "import sys, gantools.data.options.datasets, gantools.data.options.datasets, gantools.data;"
        " print({'torch', 'numpy', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
