"""The published numbers of bicubic ×4 on Set5: resizing, brightness and metrics are right together, or this fails."""

from __future__ import annotations

import numpy as np
import pytest

from gantools.errors import ImageError, ModelFileError
from gantools.images.io.reader import read_rgb8
from gantools.images.ops.color import luma
from gantools.images.ops.resize import resize_bicubic
from gantools.metrics import pair_metric
from gantools.metrics.feature_distance import FeatureDistance
from gantools.metrics.ssim import _similarity as similarity


@pytest.fixture(scope="module")
def pairs(shared_data):
    """(original, bicubic ×4 of its antialiased quarter); the five images are multiples of 4 already."""
    paths = sorted((shared_data / "sr_set5").glob("*.bmp"))
    originals = [read_rgb8(path) for path in paths]
    assert len(originals) == 5
    assert all(side % 4 == 0 for image in originals for side in image.shape[:2])
    return [(high, resize_bicubic(resize_bicubic(high, scale=1 / 4), scale=4)) for high in originals]


@pytest.fixture(scope="module")
def feature_distance(shared_data):
    return FeatureDistance(shared_data / "features" / "squeezenet1_0_imagenet.safetensors")


@pytest.mark.parametrize(
    ("metric", "published", "tolerance"), [("psnr_y", 28.425, 0.01), ("ssim_y", 0.8104, 0.001), ("psnr_rgb", 26.7, 0.1)]
)
def test_bicubic_scores_what_the_papers_print(pairs, metric, published, tolerance):
    measure = pair_metric(metric)
    assert np.mean([measure(result, truth) for truth, result in pairs]) == pytest.approx(published, abs=tolerance)


def test_the_published_values_are_those_of_a_rounded_brightness(pairs):
    """28.42 and .8104 come from Y of 8 bits (MATLAB's rgb2ycbcr), shrunk and enlarged alone; ours is not rounded."""
    decibels, similarities = [], []
    for truth, _ in pairs:
        y = np.floor(luma(truth) + 0.5)[..., None]
        bicubic = np.floor(np.clip(resize_bicubic(resize_bicubic(y, scale=1 / 4), scale=4), 0, 255) + 0.5)
        cut = np.s_[4:-4, 4:-4, 0]
        decibels.append(10 * np.log10(255**2 / np.square(bicubic[cut] - y[cut]).mean()))
        similarities.append(similarity(bicubic[cut], y[cut]))
    assert np.mean(decibels) == pytest.approx(28.4207, abs=2e-4)
    assert np.mean(similarities) == pytest.approx(0.81037, abs=2e-5)
    assert round(float(np.mean(decibels)), 2) == 28.42
    assert round(float(np.mean(similarities)), 4) == 0.8104


def test_feature_distance_is_the_documented_one(pairs, feature_distance):
    distances = [feature_distance(result, truth) for truth, result in pairs]
    assert np.mean(distances) == pytest.approx(2.895, abs=0.01)


def test_feature_distance_is_a_distance(pairs, feature_distance):
    truth, result = (image[:64, :64] for image in pairs[0])
    assert feature_distance(truth, truth) == 0
    assert feature_distance(truth, result) == pytest.approx(feature_distance(result, truth), rel=1e-5)
    with pytest.raises(ImageError, match="too small"):
        feature_distance(truth[:20, :20], truth[:20, :20])
    assert feature_distance(truth[:21, :21], result[:21, :21]) > 0


@pytest.mark.parametrize("content", [None, b"not safetensors", b"\x02\0\0\0\0\0\0\0{}"])
def test_foreign_weights_are_refused_in_one_line(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        ModelFileError, match=r"weights\.safetensors': not the weights of torchvision's squeezenet1_0"
    ) as caught:
        FeatureDistance(path)
    assert "\n" not in str(caught.value)
