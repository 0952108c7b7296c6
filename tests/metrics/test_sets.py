"""Metrics of sets of images, by cases whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from gantools.metrics import sets


def test_precision_and_recall_of_halves() -> None:
    """Half of the made vectors lie in the real cluster; they cover one of two real clusters."""
    rng = np.random.default_rng(0)
    near, far, stray = (rng.normal(at, 0.1, (40, 3)) for at in (0, 10, -50))
    precision, recall = sets.precision_recall(np.concatenate([near[:20], stray[:20]]), np.concatenate([near[20:], far]))
    assert precision == pytest.approx(0.5, abs=0.1)
    assert recall == pytest.approx(1 / 3, abs=0.1)


def test_kernel_distance_is_that_of_its_definition_and_about_zero_for_sets_of_one_kind() -> None:
    rng = np.random.default_rng(1)
    made, real = rng.normal(1, 2, (7, 4)), rng.normal(0, 1, (5, 4))
    scale = np.sqrt((real**2).mean())

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 4 / scale**2 + 1) ** 3)

    wanted = sum(kernel(a, b) for i, a in enumerate(made) for j, b in enumerate(made) if i != j) / (7 * 6)
    wanted += sum(kernel(a, b) for i, a in enumerate(real) for j, b in enumerate(real) if i != j) / (5 * 4)
    wanted -= 2 * sum(kernel(a, b) for a in made for b in real) / (7 * 5)
    assert sets.kernel_distance(made, real) == pytest.approx(wanted)
    same = sets.kernel_distance(*rng.normal(0, 1, (2, 500, 4)))
    assert abs(same) < 0.1 < sets.kernel_distance(rng.normal(1, 1, (500, 4)), rng.normal(0, 1, (500, 4)))


def test_detail_is_the_energy_that_a_half_size_copy_lacks() -> None:
    flat = np.full((8, 8, 3), 90, np.uint8)
    chequered = np.where(np.indices((8, 8, 3))[:2].sum(0) % 2, 200, 100).astype(np.uint8)
    assert sets.detail([flat]) == 0
    assert sets.detail([chequered]) == 50**2  # of which only the mean, 150, is left
    assert sets.detail([flat, chequered]) == 50**2 / 2


def test_moments_follow_what_is_drawn() -> None:
    def bar(slant: float, width: int, height: int) -> np.ndarray:
        image = np.zeros((40, 40, 1), np.uint8)
        for y in range(20 - height // 2, 20 + height // 2):
            left = round(20 + slant * (y - 20) - width / 2)
            image[y, left : left + width] = 255
        return image

    found = sets.moments([bar(0, 4, 20), bar(0.5, 4, 20), bar(0, 8, 20), bar(0, 4, 30)])
    assert found["slant"][:2] == pytest.approx([0, 0.5], abs=0.02)
    assert found["width"][2] / found["width"][0] == pytest.approx(2, abs=0.1)
    assert found["height"][3] / found["height"][0] == pytest.approx(1.5, abs=0.02)
    assert found["brightness"][2] == 2 * found["brightness"][0]


def test_nearest_is_zero_for_what_is_known_and_spread_is_the_mean_difference() -> None:
    known = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert sets.nearest(np.array([[3.0, 4.0], [0.0, 1.0]]), known) == pytest.approx([0, np.sqrt(0.5)])
    assert sets.spread(known) == pytest.approx(np.sqrt(12.5))


def test_correlation_has_no_sign_and_needs_variation() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 30))
    assert sets.correlation(a, b) == pytest.approx(abs(np.corrcoef(a, b)[0, 1]))
    assert sets.correlation(a, -3 * a + 1) == pytest.approx(1)
    assert sets.correlation(a, np.full(30, 5.0)) == 0
