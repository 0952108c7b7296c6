"""DiffAugment: each policy does what the paper says, and gradients pass through it twice."""

from __future__ import annotations

import pytest
import torch

from gantools.training.augment import augment


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(64, 3, 16, 24, dtype=torch.float64) * 2 - 1


def test_nothing_is_changed_without_a_policy(images: torch.Tensor) -> None:
    assert augment(images, ()) is images


def test_translation_moves_by_up_to_an_eighth_and_leaves_zeros(images: torch.Tensor) -> None:
    shifts = set()
    for before, after in zip(images, augment(images, ["translation"]), strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-3, 4)
            if torch.equal(after, _shifted(before, down, right))
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert {down for down, _ in shifts} == set(range(-2, 3))
    assert {right for _, right in shifts} == set(range(-3, 4))


def _shifted(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    padded = torch.zeros(3, 16 + 8, 24 + 8, dtype=image.dtype)
    padded[:, 4:20, 4:28] = image
    return padded[:, 4 + down : 20 + down, 4 + right : 28 + right]


def test_cutout_removes_a_square_of_half_the_sides(images: torch.Tensor) -> None:
    removed = (augment(images, ["cutout"]) == 0).all(dim=1)
    assert (removed.flatten(1).sum(1) <= 8 * 12).all()
    assert (removed.flatten(1).sum(1) == 8 * 12).any()
    for mask in removed:  # a rectangle: the product of its rows and columns
        assert torch.equal(mask, mask.any(1)[:, None] & mask.any(0)[None])


def test_color_changes_brightness_saturation_and_contrast_within_bounds(images: torch.Tensor) -> None:
    flat = torch.zeros(500, 3, 4, 4, dtype=torch.float64)
    brightness = augment(flat, ["color"]).amax((1, 2, 3))
    assert -0.5 <= brightness.min() < -0.4
    assert 0.4 < brightness.max() <= 0.5
    red = torch.tensor([0.5, -0.25, -0.25], dtype=torch.float64).view(1, 3, 1, 1).expand(500, 3, 4, 4)
    chroma = augment(red, ["color"])
    width = chroma.amax(1) - chroma.amin(1)
    assert (width >= 0).all()
    assert width.max() <= 0.75 * 2 * 1.5 + 1e-9
    assert width.min() < 0.1


@pytest.mark.parametrize("policy", ["color", "translation", "cutout"])
def test_gradients_pass_twice(images: torch.Tensor, policy: str) -> None:
    image = images[:2].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(augment(image, [policy]).square().sum(), image, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), image)
    assert gradient.abs().sum() > 0
    assert second.abs().sum() > 0
