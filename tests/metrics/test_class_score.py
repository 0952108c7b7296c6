"""The class score tells oranges from apples, on real ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gantools.errors import ModelFileError
from gantools.images.io.reader import read_rgb8
from gantools.metrics.class_score import GRANNY_SMITH, ORANGE, ClassScore


@pytest.fixture(scope="module")
def score(shared_data: Path) -> ClassScore:
    return ClassScore(shared_data / "features" / "squeezenet1_0_imagenet.safetensors")


@pytest.fixture(scope="module")
def fruit(shared_data: Path) -> dict[str, list[np.ndarray]]:
    root = shared_data / "apples_oranges_128"
    return {name: [read_rgb8(path) for path in sorted((root / name).iterdir())[:24]] for name in FOLDERS}


FOLDERS = ("trainA_apples", "trainB_oranges")


def mean(score: ClassScore, images: list[np.ndarray], class_index: int) -> float:
    return float(np.mean([score(image, class_index) for image in images]))


@pytest.mark.parametrize("side_px", [128, 64])
def test_oranges_are_oranges_and_apples_are_not(score, fruit, side_px: int) -> None:
    apples, oranges = (
        [cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA) for image in fruit[name]]
        for name in FOLDERS
    )
    assert mean(score, oranges, ORANGE) > 0.05
    assert mean(score, oranges, ORANGE) > 20 * mean(score, apples, ORANGE)
    assert mean(score, apples, GRANNY_SMITH) > 20 * mean(score, oranges, GRANNY_SMITH)


def test_it_is_a_probability_for_any_size(score) -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 500, 3), np.uint8)
    scores = [score(image, index) for index in (0, ORANGE, 999)]
    assert all(0 <= value <= 1 for value in scores)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelFileError, match="not the weights of torchvision's squeezenet1_0"):
        ClassScore(tmp_path / "w.safetensors")
