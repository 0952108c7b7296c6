"""Projection: the published constants, one step by hand, and a search that stops and goes on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gantools.errors import GantoolsError
from gantools.generation.latents import vector_of
from gantools.generation.model import LatentModel, open_model
from gantools.generation.projection import search
from gantools.generation.projection.search import Distance, Projection, Search, Statistics
from gantools.losses.perceptual import PerceptualLoss
from gantools.models.latent.style import StyleGenerator
from tests.generation.conftest import saved_styles


@pytest.fixture
def network(style_model: LatentModel) -> StyleGenerator:
    assert isinstance(style_model.network, StyleGenerator)
    return style_model.network


def target(side_px: int = 16) -> Tensor:
    return torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(4)) * 2 - 1


def test_constants_are_the_published_ones() -> None:
    assert (search.STATISTICS_SEED, search.STATISTICS_LATENTS) == (123, 10_000)
    assert (search.RAMP_UP, search.RAMP_DOWN) == (0.05, 0.25)
    assert (search.STYLE_NOISE, search.STYLE_NOISE_UNTIL) == (0.05, 0.75)
    assert search.STAY_WEIGHT == 0.1
    assert (search.PLANE_WEIGHT, search.SMALLEST_PLANE_PX, search.COMPARED_PX) == (1e5, 8, 256)
    chosen = Search()
    assert (chosen.space, chosen.steps, chosen.lr, chosen.seed) == ("w+", 1000, 0.1, 303)


def test_learning_rate_and_noise_follow_their_schedules() -> None:
    rates = [search.learning_rate(0.1, step / 1000) for step in (0, 25, 50, 750, 875, 1000)]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.1, 0.05, 0])
    noise = [search.style_noise(2.0, step / 1000) for step in (0, 375, 750, 1000)]
    assert noise == pytest.approx([0.1, 0.025, 0, 0])


def test_statistics_are_of_the_same_latents_as_nvidias(network: StyleGenerator) -> None:
    drawn = torch.from_numpy(np.random.RandomState(123).randn(10_000, 8)).float()
    styles = network.mapping(drawn)
    known = search.statistics(network)
    assert torch.allclose(known.mean, styles.mean(0), atol=1e-6)
    assert known.deviation == pytest.approx(float(((styles - styles.mean(0)) ** 2).sum() / 10_000) ** 0.5, rel=1e-5)


def test_a_label_has_statistics_of_its_own(tmp_path: Path) -> None:
    network = open_model(saved_styles(tmp_path / "m", classes=("boot", "heel"))).network
    assert isinstance(network, StyleGenerator)
    means = [search.statistics(network, np.eye(2, dtype=np.float32)[label]).mean for label in (0, 1)]
    assert not torch.allclose(means[0], means[1], atol=1e-3)


def test_planes_are_regular_where_neighbours_are_alike() -> None:
    white = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    smooth = torch.sin(torch.arange(32) / 3).expand(1, 1, 32, 32) * 1.4
    assert search.plane_regularity([white]) < 0.05 < 1 < search.plane_regularity([smooth])
    # 16 px: at its own size and at 8 px; both axes. Ones are as alike as can be.
    assert search.plane_regularity([torch.ones(1, 1, 16, 16)]) == 4
    assert search.plane_regularity([torch.ones(1, 1, 4, 4)]) == 2


def test_planes_are_normalised() -> None:
    plane = torch.randn(1, 1, 8, 8) * 3 + 1
    search.normalise([plane])
    assert plane.mean().item() == pytest.approx(0, abs=1e-6)
    assert plane.square().mean().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("space", ["w", "w+"])
def test_a_step_equals_one_by_hand(network: StyleGenerator, space: str) -> None:
    known, steps = search.statistics(network), 40
    projection = Projection(network, known, Distance(target(), None), Search(space, steps, stay=3.0))  # type: ignore[arg-type]
    for _ in range(3):
        projection.step()

    drawing = torch.Generator().manual_seed(303)
    styles = known.mean.repeat(1, network.rows if space == "w+" else 1, 1)
    planes = [torch.randn(1, 1, side, side, generator=drawing) for side in (4, 8, 8, 16, 16)]
    values = [styles, *planes]
    first, second = ([torch.zeros_like(value) for value in values] for _ in range(2))
    for step in range(3):
        t = step / steps
        rate = 0.1 * (0.5 - 0.5 * math.cos(math.pi * min(1, (1 - t) / 0.25))) * min(1, t / 0.05)
        noise = torch.randn(styles.shape, generator=drawing) * known.deviation * 0.05 * max(0, 1 - t / 0.75) ** 2
        leaves = [value.clone().requires_grad_() for value in values]
        rows = (leaves[0] + noise).expand(-1, network.rows, -1)
        difference = network.synthesis(rows, leaves[1:]) - target()
        loss = difference.abs().mean()
        smaller = [difference.unflatten(3, (-1, side)).unflatten(2, (-1, side)).mean((3, 5)) for side in (2, 4, 8, 16)]
        loss = loss + sum(each.abs().mean() for each in smaller) / 4
        loss = loss + 0.3 * (leaves[0] - known.mean).square().sum(2).mean() / known.deviation**2
        for plane in leaves[1:]:
            loss = loss + 1e5 * (plane * plane.roll(1, 3)).mean() ** 2 + 1e5 * (plane * plane.roll(1, 2)).mean() ** 2
            if plane.shape[3] == 16:
                half = plane.unflatten(3, (8, 2)).unflatten(2, (8, 2)).mean((3, 5))
                loss = loss + 1e5 * (half * half.roll(1, 3)).mean() ** 2 + 1e5 * (half * half.roll(1, 2)).mean() ** 2
        gradients = torch.autograd.grad(loss, leaves)
        for number, gradient in enumerate(gradients):
            first[number] = 0.9 * first[number] + 0.1 * gradient
            second[number] = 0.999 * second[number] + 0.001 * gradient**2
            mean, square = first[number] / (1 - 0.9 ** (step + 1)), second[number] / (1 - 0.999 ** (step + 1))
            values[number] = values[number] - rate * mean / (square.sqrt() + 1e-8)
        values[1:] = [(plane - plane.mean()) / (plane - plane.mean()).square().mean().sqrt() for plane in values[1:]]

    for made, wanted in zip([projection.styles, *projection.planes], values, strict=True):
        # Not of all: Adam takes a whole step along gradients that are nearly 0, whichever way they are rounded.
        assert (made - wanted).abs().flatten().quantile(0.95) < 1e-4
    assert not torch.allclose(projection.styles, styles, atol=1e-2)


def test_large_images_are_averaged_and_small_ones_enlarged_before_a_network_sees_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    perceptual = PerceptualLoss(network="squeezenet1_0", weights="random")
    seen: list[tuple[int, ...]] = []
    features = PerceptualLoss.features

    def noted(self: PerceptualLoss, image: Tensor) -> list[Tensor]:
        seen.append(tuple(image.shape[2:]))
        return features(self, image)

    monkeypatch.setattr(PerceptualLoss, "features", noted)
    for side_px in (512, 32):
        image = target(side_px)
        distance = Distance(image, perceptual)
        assert distance(image).item() == pytest.approx(0, abs=1e-6)
        brighter = (image + 0.1).requires_grad_()
        distance(brighter).backward()
        assert brighter.grad is not None
        assert distance.perceived(image) == pytest.approx(0, abs=1e-6)
        assert distance(brighter).item() == pytest.approx(0.1 + distance.perceived(brighter), rel=1e-4)
    assert set(seen) == {(256, 256), (64, 64)}


def test_a_generated_image_comes_back(style_model: LatentModel, network: StyleGenerator) -> None:
    styles = network.styles(torch.from_numpy(vector_of(style_model.latent, 85))[None])
    with torch.no_grad():
        image = network.synthesis(styles)
    known = search.statistics(network)
    distance = Distance(image, None)
    projection = Projection(network, known, distance, Search(steps=150, stay=0.0))
    before = distance(projection.image()).item()
    while projection.done < 150:
        projection.step()
    assert distance(projection.image()).item() < 0.3 * before


def test_a_pull_keeps_styles_near_the_mean(network: StyleGenerator) -> None:
    known = search.statistics(network)

    def away(stay: float) -> float:
        projection = Projection(network, known, Distance(target(), None), Search(steps=40, stay=stay))
        while projection.done < 40:
            projection.step()
        return float((projection.styles - known.mean).detach().square().sum())

    assert away(100.0) < 0.2 * away(0.0)


def test_a_stored_search_goes_on_bit_for_bit(tmp_path: Path, network: StyleGenerator) -> None:
    known = search.statistics(network)

    def begun() -> Projection:
        return Projection(network, known, Distance(target(), None), Search(steps=20))

    whole, first, second = begun(), begun(), begun()
    distances = [whole.step() for _ in range(20)]
    for _ in range(7):
        first.step()
    torch.save(first.state(), tmp_path / "state")
    second.resume(torch.load(tmp_path / "state", weights_only=True))
    assert [second.step() for _ in range(13)] == distances[7:]
    for own, other in zip([whole.styles, *whole.planes], [second.styles, *second.planes], strict=True):
        assert torch.equal(own, other)


def test_a_distance_that_is_no_number_ends_the_search(network: StyleGenerator) -> None:
    known = Statistics(torch.full((8,), math.nan), 1.0)
    with pytest.raises(GantoolsError, match="became nan at step 0; try a smaller --lr"):
        Projection(network, known, Distance(target(), None), Search()).step()
