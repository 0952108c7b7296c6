"""The context encoder beyond its training size, and what its center form lets through."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gantools.models import harmonic
from gantools.models.generators.context_encoder import ContextEncoder, _windows
from gantools.models.harmonic import harmonic_square


def small(region: str) -> ContextEncoder:
    torch.manual_seed(0)
    return ContextEncoder(region=region, downs=2, base_channels=4, max_channels=8, bottleneck_channels=6).eval()


def test_the_center_network_returns_the_image_around_its_prediction() -> None:
    network, image = small("center"), torch.rand(2, 3, 16, 16) * 2 - 1
    made = network(image)
    assert torch.equal(made[:, :, 4:12, 4:12], network.predict(image))
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[4:12, 4:12] = False
    assert torch.equal(made[..., outside], image[..., outside])


def test_windows_are_counted_as_the_enlargement_adds_them() -> None:
    for height, width in ((1, 1), (2, 1), (5, 3), (9, 12)):
        ones = torch.ones(1, 1, height, width)
        added = functional.conv_transpose2d(ones, torch.ones(1, 1, 4, 4))
        assert torch.equal(_windows(added), added[0, 0])


def test_a_larger_image_keeps_the_size_of_the_features() -> None:
    """A constant bottleneck gives the decoder the mean of what single windows give it, not their sum."""
    network = small("full")
    torch.nn.init.zeros_(network.bottleneck[0].weight)
    torch.nn.init.ones_(network.bottleneck[1].bias)
    torch.nn.init.constant_(network.widen.weight, 0.3)
    seen = []
    network.decoder[0].register_forward_hook(lambda _module, given, _made: seen.append(given[0]))
    for side_px in (16, 40):
        network(torch.rand(1, 3, side_px, side_px))
    assert seen[0].unique().numel() == 1
    torch.testing.assert_close(seen[1], seen[0][..., :1, :1].expand_as(seen[1]))


def test_the_continuation_is_the_mean_of_its_neighbours_everywhere() -> None:
    image = torch.rand(2, 3, 20, 24, dtype=torch.float64)
    image[..., 4:16, 6:18] = harmonic_square(image, 12)
    kernel = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=torch.float64).expand(3, 1, 3, 3) / 4
    means = functional.conv2d(image, kernel, padding=1, groups=3)
    torch.testing.assert_close(image[..., 4:16, 6:18], means[..., 4:16, 6:18])
    assert harmonic_square(torch.rand(1, 1, 200, 200), 150).isfinite().all()


def test_with_residual_a_silent_decoder_gives_the_continuation_and_does_not_see_what_is_missing() -> None:
    network = ContextEncoder(downs=2, base_channels=4, bottleneck_channels=6, overlap_px=1, residual=True).eval()
    torch.nn.init.zeros_(network.decoder[-1][2].weight)
    torch.nn.init.zeros_(network.decoder[-1][2].bias)
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    made = network(image)
    torch.testing.assert_close(made[..., 5:11, 5:11], harmonic_square(image, 6))
    image[..., 5:11, 5:11] = 0.3
    torch.testing.assert_close(network(image), made)


def test_with_skips_the_image_reaches_the_decoder_past_the_bottleneck() -> None:
    network = ContextEncoder(region="full", downs=2, base_channels=4, bottleneck_channels=6, skips=True).eval()
    torch.nn.init.zeros_(network.widen.weight)
    image = torch.rand(1, 3, 32, 16) * 2 - 1
    assert network(image).shape == image.shape
    changed = image.clone()
    changed[..., 2, 3] += 0.5
    assert not torch.equal(network(image), network(changed))


@pytest.mark.parametrize("side_px", [6, 64, 150])
def test_without_float64_a_continuation_is_as_good(side_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metal has none."""
    assert harmonic._widest(torch.device("mps")) == torch.float32
    torch.manual_seed(0)
    image = torch.rand(1, 3, side_px + 20, side_px + 20) * 2 - 1
    wanted = harmonic_square(image, side_px)
    monkeypatch.setattr(harmonic, "_widest", lambda _device: torch.float32)
    torch.testing.assert_close(harmonic_square(image, side_px), wanted, atol=5e-6, rtol=0)
