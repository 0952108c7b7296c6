"""Row passes with exact norms over the whole image, against the network on the whole image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gantools.errors import ImageError, UsageError
from gantools.inference.tiling.forward import translate
from gantools.inference.tiling.global_norms import ChannelSums, NormPasses
from gantools.inference.tiling.row_pass import NotByRows, trace_steps
from gantools.models.blocks import InstanceNorm
from gantools.models.options import (
    CompactSROptions,
    FPNOptions,
    ResNetOptions,
    RRDBOptions,
    SRResNetOptions,
    UNetOptions,
)
from tests.inference.networks import CPU, SEES_EVERYTHING, LimitedMemory, build_model, build_network, image, label

GLOBAL: list[Any] = [
    ResNetOptions(base_channels=8, blocks=3),
    ResNetOptions(base_channels=4, blocks=2, norm="group", upsampling="resize", global_residual=True, dropout=0.5),
    ResNetOptions(base_channels=4, blocks=1, downs=3),
    ResNetOptions(base_channels=4, blocks=1, downs=3, downsampling="blurred", upsampling="bilinear"),
    FPNOptions(base_channels=8, max_channels=16, blocks=1, pyramid_channels=16, head_channels=8),
    FPNOptions(base_channels=16, max_channels=64, blocks=0, pyramid_channels=64, head_channels=32, norm="group"),
    FPNOptions(encoder="mobilenet_v2", pyramid_channels=16, head_channels=8),
    UNetOptions(downs=3, base_channels=8, norm="instance", upsampling="source", skip_activation="leaky_relu"),
    UNetOptions(downs=4, base_channels=4, norm="group", upsampling="resize"),
    SRResNetOptions(channels=8, blocks=4, norm="instance"),
    SRResNetOptions(channels=4, blocks=1, norm="group", scale=2),
]
FIXED: list[Any] = [
    RRDBOptions(channels=8, growth_channels=4, blocks=1),
    RRDBOptions(channels=8, growth_channels=4, blocks=1, scale=2, unshuffle=2),
    ResNetOptions(base_channels=4, blocks=2, norm="batch"),
    ResNetOptions(base_channels=4, blocks=2, norm="batch", downsampling="blurred", upsampling="bilinear"),
    FPNOptions(base_channels=4, max_channels=8, blocks=1, pyramid_channels=8, head_channels=4, norm="none"),
    UNetOptions(downs=3, base_channels=4),
    SRResNetOptions(channels=4, blocks=2),
]


def passes_over(network: Any, given: Tensor, rows_px: int, claim: Callable[[int], None] = lambda _: None) -> NormPasses:
    steps = trace_steps(network, 2 * max(8, network.minimum_size_px), given.shape[1], CPU)
    return NormPasses(list(steps), lambda start, stop: given[:, :, start:stop], given.shape[2], rows_px, CPU, claim)


def output_of(passes: NormPasses) -> Tensor:
    with torch.inference_mode():
        return torch.cat([chunk.rows for chunk in passes.output()], dim=2)


@pytest.mark.parametrize("options", GLOBAL + FIXED, ids=label)
@pytest.mark.parametrize("steps", [1, 3, 100])
def test_row_passes_equal_the_whole(options: Any, steps: int) -> None:
    network = build_network(options)
    for height in (4, 7):
        side_px = max(16, network.minimum_size_px) // network.size_multiple * network.size_multiple
        given = torch.rand(1, 3, height * side_px, 2 * side_px) * 2 - 1
        whole, output = network(given), output_of(passes_over(network, given, steps * network.size_multiple))
        assert output.shape == whole.shape
        assert (output - whole).abs().max() <= (1e-4 if options in GLOBAL else 1e-5)


@pytest.mark.parametrize("options", [*SEES_EVERYTHING, CompactSROptions(channels=4, blocks=1)], ids=label)
def test_what_is_not_computed_by_rows(options: Any) -> None:
    """Networks that see everything, and interpolation other than to the nearest."""
    network = build_network(options)
    with pytest.raises(NotByRows, match="interpolation" if isinstance(options, CompactSROptions) else None):
        trace_steps(network, 2 * max(8, network.minimum_size_px), 3, CPU)


@pytest.mark.parametrize("norm", [InstanceNorm(40), nn.GroupNorm(8, 40), nn.GroupNorm(1, 40, affine=False)], ids=repr)
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_sums_of_rows_give_the_norm(norm: Any, offset: float) -> None:
    """Also where the mean is far from zero, where sums in float32 would lose the variance."""
    features = torch.randn(1, 40, 30, 20, generator=torch.Generator().manual_seed(0)) + offset
    sums = ChannelSums()
    for start in range(0, 30, 7):
        sums.add(features[:, :, start : start + 7])
    factor, shift = sums.affine(norm)
    groups = 40 if isinstance(norm, InstanceNorm) else norm.num_groups
    expected = torch.nn.functional.group_norm(features.double(), groups)
    torch.testing.assert_close(features.double() * factor + shift, expected, rtol=0, atol=1e-4, check_dtype=False)


def test_what_is_kept_is_a_fraction_of_the_whole() -> None:
    """Features between passes: maps of a quarter of the sides, not of the whole size, and not all of them at once."""
    claimed: list[int] = []
    given = torch.rand(1, 3, 64, 64) * 2 - 1
    passes = passes_over(build_network(ResNetOptions(base_channels=64, blocks=2)), given, 16, claimed.append)
    output_of(passes)
    assert set(claimed) == {256 * 16 * 16 * 4}
    assert len(passes.kept) < len(claimed)


# Through translate


@pytest.mark.parametrize("options", GLOBAL, ids=label)
@pytest.mark.parametrize("size", [(9, 12), (5, 70), (67, 141)], ids=str)
def test_an_image_by_rows_equals_the_whole_image(options: Any, size: tuple[int, int]) -> None:
    model, pixels = build_model(options), image(*size)
    whole = translate(pixels, model, tile=0).astype(int)
    for given in ({"tile": 32}, {"memory": LimitedMemory(1 << 40, preferred=1)}):
        off = np.abs(translate(pixels, model, **given) - whole)  # type: ignore[arg-type]
        assert off.max() <= 1
        assert (off > 0).sum() <= 2 + 0.001 * off.size


def test_passes_that_do_not_fit_get_half_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pixels, calls = build_model(GLOBAL[0]), image(40, 128), []
    original = nn.Conv2d.forward

    def few_rows_only(self: nn.Conv2d, given: Tensor) -> Tensor:
        calls.append(given.shape[2])
        if given.shape[2] > 24:
            raise torch.OutOfMemoryError("no more")
        return original(self, given)

    expected = translate(pixels, model, tile=0).astype(int)
    monkeypatch.setattr(nn.Conv2d, "forward", few_rows_only)
    memory = LimitedMemory(1 << 40, preferred=100 * 40 * 800)
    assert np.abs(translate(pixels, model, memory=memory) - expected).max() <= 1
    assert max(calls) > 24


def test_what_cannot_be_computed_by_rows_says_so() -> None:
    model, pixels = build_model(GLOBAL[0]), image(64, 64)
    with pytest.raises(ImageError, match=r"not enough memory for 64×64 px: this network's norms use the whole image"):
        translate(pixels, model, memory=LimitedMemory(1))
    with pytest.raises(UsageError, match=r"--tile 32: averaging over flips and rotations \(--tta\) takes whole images"):
        translate(pixels, model, tile=32, tta=True)
