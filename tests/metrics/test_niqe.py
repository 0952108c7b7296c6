"""NIQE with its own parameters: worse images score worse, without a truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gantools.errors import ImageError
from gantools.images.io import reader
from gantools.metrics import niqe
from gantools.metrics.niqe import niqe_kodak


def surface(seed: int, height: int = 192, width: int = 288) -> np.ndarray:
    """Noise whose power falls with the square of its frequency, as a photo's."""
    spectrum = np.fft.fft2(np.random.default_rng(seed).standard_normal((height, width)))
    distance = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    values = np.fft.ifft2(spectrum / np.maximum(distance, 1 / width)).real
    return np.repeat(np.clip(128 + 40 * values / values.std(), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    noise = sigma * np.random.default_rng(0).standard_normal(image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def test_blur_is_further_from_photos():
    values = [niqe_kodak(image) for image in (surface(0), blurred(surface(0), 1), blurred(surface(0), 2))]
    assert values == sorted(values)
    assert values[-1] > values[0] + 5


def test_the_distribution_of_samples_is_found():
    rng = np.random.default_rng(0)
    samples = np.stack([rng.normal(0, 3, (200, 200)), rng.laplace(0, 2, (200, 200))])
    # A side that is twice as wide holds twice as many, so that the density has no step.
    lopsided = np.abs(samples) * np.where(rng.random(samples.shape) < 1 / 3, -1, 2)
    shape, left, right = niqe.asymmetric(samples)
    assert shape == pytest.approx([2, 1], rel=0.05)
    assert left == pytest.approx([3 * 2**0.5, 2], rel=0.05)
    assert right == pytest.approx(left, rel=0.05)
    shape, left, right = niqe.asymmetric(lopsided)
    assert right / left == pytest.approx(2, rel=0.05)
    assert shape == pytest.approx([2, 1], rel=0.05)


def test_each_whole_patch_has_features_at_two_sizes():
    image = surface(0, 200, 300)
    found, sharpness = niqe.features(image)
    assert found.shape == (6, 36)
    assert sharpness.shape == (6,)
    assert np.array_equal(found, niqe.features(image[:192, :288])[0])


def test_its_own_photos_are_near_to_a_fit():
    mean, covariance = niqe.fit(surface(seed) for seed in range(6))
    assert mean.shape == (36,)
    assert np.allclose(covariance, covariance.T)
    own, _ = niqe.features(surface(9))
    other, _ = niqe.features(noisy(surface(9), 20))
    width = np.sqrt(np.diag(covariance))
    assert np.abs((own.mean(0) - mean) / width).max() < np.abs((other.mean(0) - mean) / width).max()


def test_a_photo_on_its_side_is_as_good():
    lying = cv2.GaussianBlur(surface(0), (0, 0), sigmaX=0.1, sigmaY=1)
    standing = np.ascontiguousarray(lying.swapaxes(0, 1))
    assert niqe_kodak(standing) == pytest.approx(niqe_kodak(lying), rel=1e-3)


def test_an_image_of_one_patch_is_refused():
    with pytest.raises(ImageError, match="leave the metric out"):
        niqe_kodak(surface(0, 190, 190))
    assert niqe_kodak(np.full((96, 192, 3), 9, np.uint8)) > 5


def test_blur_noise_and_compression_are_worse_on_photos(shared_data):
    files = sorted((shared_data / "photos_kodak24").glob("*.png"))[::6]
    photos = [reader.read_rgb8(path) for path in files]

    def compressed(image: np.ndarray, quality: int) -> np.ndarray:
        return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1))

    for worsened, steps in ((blurred, (0.6, 1.2, 2.4)), (noisy, (5, 10, 20)), (compressed, (60, 30, 10))):
        means = [np.mean([niqe_kodak(photo) for photo in photos])]
        means += [np.mean([niqe_kodak(worsened(photo, step)) for photo in photos]) for step in steps]
        assert means == sorted(means)
