"""The small classifier that judges samples, and the matching of codes to classes."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from gantools.metrics import classifier
from gantools.metrics.frechet import frechet


def stripes(label: int, seed: int, size: tuple[int, int, int]) -> np.ndarray:
    """Vertical or horizontal stripes in noise."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 90, size)
    at = random.integers(2)
    if label:
        image[:, at::4] += 150
    else:
        image[at::4] += 150
    return image.astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 16, 1), (20, 12, 3)])
def test_it_learns_what_differs(size: tuple[int, int, int]) -> None:
    labels = [number % 2 for number in range(256)]
    images = [stripes(label, seed, size) for seed, label in enumerate(labels)]
    trained = classifier.train(images[:192], labels[:192], images[192:], labels[192:])
    assert trained.accuracy > 0.95
    assert (trained.classes(images[192:]) == np.asarray(labels[192:])).mean() == trained.accuracy
    features = trained.features(images)
    assert features.shape == (256, classifier.FEATURES)
    same, other = frechet(features[0::4], features[2::4]), frechet(features[0::4], features[1::4])
    assert other > 5 * same  # sets of one class are near, of two classes far


def test_training_again_gives_the_same_and_leaves_the_stream_alone() -> None:
    import torch

    images = [stripes(number % 2, number, (8, 8, 1)) for number in range(64)]
    torch.manual_seed(3)
    first = classifier.train(images, [number % 2 for number in range(64)], [], [])
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)
    second = classifier.train(images, [number % 2 for number in range(64)], [], [])
    np.testing.assert_allclose(first.features(images), second.features(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_codes_are_matched_to_classes_as_well_as_can_be(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 6))
    classes, codes = random.integers(0, size, (2, 60))
    size = int(max(classes.max(), codes.max())) + 1
    best = max(
        np.mean([order[code] == each for code, each in zip(codes, classes, strict=False)])
        for order in permutations(range(size))
    )
    assert classifier.match(classes, codes) == pytest.approx(best)


def test_renamed_classes_match_wholly() -> None:
    classes = np.arange(100) % 10
    assert classifier.match(classes, (classes * 3 + 1) % 10) == 1
    with pytest.raises(ValueError, match="at most 16"):
        classifier.match(np.arange(17), np.arange(17))
