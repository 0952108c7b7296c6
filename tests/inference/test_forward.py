"""Images through networks: tiles against the whole, too little memory, the self-ensemble, batches."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gantools.errors import ImageError, UsageError
from gantools.images.image import Pixels
from gantools.inference.memory import CpuMemory
from gantools.inference.model import Model
from gantools.inference.tiling import context as tiling_context
from gantools.inference.tiling import forward
from gantools.inference.tiling.context import LEAST_ROWS, ExecutionContext, Tiling, choose_row_passes, choose_tiling
from gantools.inference.tiling.forward import start_batch, translate, translate_batch
from gantools.inference.tiling.grid import Grid
from gantools.inference.tiling.tile_io import TileIO
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    FPNOptions,
    MSRResNetOptions,
    ResNetOptions,
    RRDBOptions,
    SRResNetOptions,
    SRVGGOptions,
    UNetOptions,
)
from tests.inference.networks import SEES_EVERYTHING, LimitedMemory, build_model, image, label

LOCAL: list[Any] = [
    SRResNetOptions(channels=8, blocks=2),
    SRResNetOptions(channels=8, blocks=1, scale=1, norm="none"),
    CompactSROptions(channels=8, blocks=2),
    CompactSROptions(channels=8, blocks=1, upsampling_channels=8),
    CompactSROptions(channels=8, blocks=1, scale=3),
    CompactSROptions(channels=4, blocks=1, scale=2, in_channels=1, out_channels=1),
    CompactRestorationOptions(channels=(8, 48), scale_blocks=(1, 1)),
    FPNOptions(base_channels=4, max_channels=8, blocks=0, pyramid_channels=8, head_channels=4, norm="batch"),
    UNetOptions(downs=3, base_channels=4),
    UNetOptions(downs=2, base_channels=4, norm="none", upsampling="source"),
    UNetOptions(downs=2, base_channels=4, upsampling="resize"),
    ResNetOptions(base_channels=4, blocks=1, norm="batch"),
    ResNetOptions(base_channels=4, blocks=1, norm="batch", downsampling="blurred", upsampling="bilinear"),
    ResNetOptions(base_channels=4, blocks=1, norm="none", upsampling="resize", global_residual=True),
    RRDBOptions(channels=8, growth_channels=4, blocks=1),
    RRDBOptions(channels=8, growth_channels=4, blocks=1, scale=2, unshuffle=2),
    MSRResNetOptions(channels=8, blocks=2, scale=3),
    SRVGGOptions(channels=8, blocks=2, scale=3),
]
SIZES = ((1, 1), (1, 40), (67, 41), (250, 210))
SAME_KERNELS = UNetOptions(downs=2, base_channels=8)
"""All its kernels are 4×4, for which torch takes the same code at every size."""


def float_output(model: Model, pixels: Pixels, tile: int, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The output before it is rounded, put together from tiles."""
    io = TileIO.of(pixels, model)
    scale = io.scale
    whole = torch.full((1, model.options.out_channels, *(side * scale for side in pixels.shape[:2])), torch.nan)

    def write(_: TileIO, output: Tensor, part: Any) -> None:
        rows, columns = (slice(span.start * scale, span.stop * scale) for span in (part.rows, part.columns))
        target = whole[..., rows, columns]
        top, left = (scale * (span.start - span.first) for span in (part.rows, part.columns))
        target.copy_(output[..., top : top + target.shape[-2], left : left + target.shape[-1]])

    with monkeypatch.context() as patched:
        patched.setattr(TileIO, "write", write)
        assert forward._compute_tiles(io, Tiling(tile), ExecutionContext(model, None, tile, False, CpuMemory()))
    return whole


@pytest.mark.parametrize("options", LOCAL, ids=label)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_equal_the_whole_image(options: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    model, pixels = build_model(options), image(*size)
    whole, expected = float_output(model, pixels, 0, monkeypatch), translate(pixels, model, tile=0)
    for tile in (20, 110) if min(size) > 1 else (1,):
        assert (float_output(model, pixels, tile, monkeypatch) - whole).abs().max() <= 1e-5
        off = np.abs(translate(pixels, model, tile=tile).astype(int) - expected)
        assert off.max() <= (tile < 110)  # torch computes very small maps with other kernels: the last digit may differ


@pytest.mark.parametrize("rows_px", [4, 16])
def test_dense_blocks_by_rows_equal_the_whole(rows_px: int) -> None:
    model, pixels = build_model(RRDBOptions(channels=16, growth_channels=8, blocks=2)), image(50, 37)
    io = TileIO.of(pixels, model)
    context = ExecutionContext(model, None, None, False, CpuMemory())
    assert forward._compute_bands(io, Tiling(rows_px=rows_px, bands=(io.grid.whole().columns,)), context)
    assert np.abs(io.result.astype(int) - translate(pixels, model, tile=0)).max() <= 1


def test_dense_blocks_may_take_a_quarter_of_the_memory_for_a_whole_image() -> None:
    model = build_model(RRDBOptions(channels=4, growth_channels=2, blocks=6))
    grid = Grid(600, 600, 1, model.generator.halo_px)
    whole = int(600 * 600 * ExecutionContext(model, None, None, False, CpuMemory()).activation_bytes_per_px())
    ample = ExecutionContext(model, None, None, False, LimitedMemory(5 * whole, preferred=whole // 8))
    assert choose_tiling(grid, ample) == Tiling()
    scarce = ExecutionContext(model, None, None, False, LimitedMemory(3 * whole, preferred=whole // 8))
    assert choose_tiling(grid, scarce) != Tiling()


def test_wide_images_are_not_cut_into_bands_that_are_mostly_halo() -> None:
    """Few rows of the whole width take more memory than is preferred, and far less time."""
    model = build_model(RRDBOptions(channels=4, growth_channels=2, blocks=6))
    grid = Grid(1000, 2000, 1, model.generator.halo_px)
    per_px = ExecutionContext(model, None, None, False, CpuMemory()).activation_bytes_per_px()
    preferred = int(2 * per_px * LEAST_ROWS * 1000)
    ample = ExecutionContext(model, None, None, False, LimitedMemory(1 << 34, preferred=preferred))
    assert choose_row_passes(grid, ample) == Tiling(rows_px=LEAST_ROWS, bands=(grid.whole().columns,))
    scarce = ExecutionContext(model, None, None, False, LimitedMemory(preferred, preferred=preferred))
    assert len(choose_row_passes(grid, scarce).bands) > 1


def test_tiles_of_16_bit_images_are_computed_in_float32() -> None:
    model, pixels = build_model(LOCAL[0], torch.bfloat16), image(50, 40, np.uint16)
    difference = translate(pixels, model, tile=16).astype(int) - translate(pixels, replace(model, autocast=None))
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("options", SEES_EVERYTHING, ids=label)
def test_networks_that_see_everything_are_not_cut(options: Any) -> None:
    model, pixels = build_model(options), image(70, 40)
    with pytest.raises(UsageError, match=r"--tile 32: every output pixel .* depends on the whole image.*leave it out"):
        translate(pixels, model, tile=32)
    assert np.array_equal(translate(pixels, model, tile=100), translate(pixels, model))
    with pytest.raises(ImageError, match=r"not enough memory for 70×40 px: every output pixel .* whole image"):
        translate(pixels, model, memory=LimitedMemory(1000))
    with pytest.raises(UsageError, match="keeps dropout and batch statistics"):
        translate(image(40, 40), build_model(UNetOptions(downs=2, base_channels=4), mode="train"), tile=16)


def test_values_that_overflow_a_small_type_are_computed_in_float32() -> None:
    model = build_model(CompactSROptions(channels=8, blocks=1), torch.float16)
    model.network.last.weight.mul_(1e6)  # type: ignore[operator, union-attr]
    exact, pixels = replace(model, autocast=None), image(50, 40)
    assert np.array_equal(translate(pixels, model, tile=16), translate(pixels, exact, tile=16))


# Too little memory


def bytes_per_px(model: Model) -> float:
    return ExecutionContext(model, None, None, False, CpuMemory()).activation_bytes_per_px()


def test_a_hundred_images_in_limited_memory() -> None:
    """None may fail, none may differ, and none may take more than there is."""
    model = build_model(SAME_KERNELS)
    memory = LimitedMemory(int(900 * bytes_per_px(model)))
    random, cut = np.random.default_rng(0), 0
    for number in range(100):
        width, height = (int(side) for side in random.integers(1, 90, 2))
        pixels = image(width, height, seed=number)
        assert np.array_equal(translate(pixels, model, memory=memory), translate(pixels, model, tile=0))
        cut += width * height > 900
    assert cut > 30
    assert memory.refused == []


def test_tiles_are_halved_until_they_fit() -> None:
    model, pixels = build_model(SAME_KERNELS), image(90, 70)
    memory = LimitedMemory(int(400 * bytes_per_px(model)), preferred=1 << 40)
    assert np.array_equal(translate(pixels, model, memory=memory), translate(pixels, model, tile=0))
    assert len(memory.refused) == memory.released >= 3


class Failing(nn.Module):
    """Raises ``error`` at chosen calls."""

    def __init__(self, network: nn.Module, failing: set[int], error: Exception) -> None:
        super().__init__()
        self.network, self.failing, self.error = network, failing, error
        self.sides: list[tuple[int, int]] = []
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        self.sides.append((int(image.shape[-2]), int(image.shape[-1])))  # int: it cannot be traced for row passes
        if len(self.sides) in self.failing:
            raise self.error
        output: Tensor = self.network(image)
        return output

    def __deepcopy__(self, memo: Any) -> Failing:
        other = Failing(copy.deepcopy(self.network, memo), self.failing, self.error)
        other.sides = self.sides  # calls are counted in one place, whichever form of the network runs
        return other

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name in ("network", "_modules") else getattr(self.network, name)


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous"),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("failing", [{1}, {3}, {4, 5}])
def test_a_tile_out_of_memory_is_halved_and_computed_again(error: Exception, failing: set[int]) -> None:
    model, pixels = build_model(SAME_KERNELS), image(90, 70)
    memory = LimitedMemory(int(1500 * bytes_per_px(model)))
    network = Failing(model.network, failing, error)
    tiling_context._known_bytes[network] = {None: bytes_per_px(model)}
    result = translate(pixels, replace(model, network=network), memory=memory)
    assert np.array_equal(result, translate(pixels, model, tile=0))
    assert memory.released == len(failing)
    assert max(network.sides[-1]) < max(network.sides[0])


@pytest.mark.parametrize(
    ("error", "unchecked_px", "kind", "said"),
    [
        (MemoryError(), 1 << 20, ImageError, "not enough memory for 20×20 px, not even in the smallest tiles"),
        (RuntimeError("shapes differ"), 1 << 20, RuntimeError, "shapes differ"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), 1 << 8, RuntimeError, "NOT_INITIALIZED"),
    ],
)  # a broken cuDNN fails at every size: for a small image that is not about memory
def test_a_network_that_always_fails(error: Exception, unchecked_px: int, kind: type[Exception], said: str) -> None:
    model = build_model(SAME_KERNELS)
    network = Failing(model.network, set(range(1000)), error)
    tiling_context._known_bytes[network] = {None: 1.0}
    with pytest.raises(kind, match=said):
        translate(
            image(20, 20), replace(model, network=network), memory=LimitedMemory(1 << 40, unchecked_px=unchecked_px)
        )


@pytest.mark.parametrize(("tile", "said"), [(64, "in tiles of 64 px"), (0, "at once")])
def test_an_explicit_tile_that_does_not_fit_names_one_that_does(tile: int, said: str) -> None:
    model, pixels = build_model(SAME_KERNELS), image(90, 90)
    memory = LimitedMemory(int(1500 * bytes_per_px(model)))
    with pytest.raises(ImageError, match=rf"not enough memory for 90×90 px {said}; --tile \d+ would fit") as caught:
        translate(pixels, model, tile=tile, memory=memory)
    fitting = int(str(caught.value).partition("--tile ")[2].split()[0])
    assert np.array_equal(translate(pixels, model, tile=fitting, memory=memory), translate(pixels, model, tile=0))


@pytest.mark.parametrize("side_px", [20, 26, 32, 48])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_tile_is_named_whenever_one_fits(side_px: int, share: float) -> None:
    model, pixels = build_model(SAME_KERNELS), image(side_px, side_px)
    memory = LimitedMemory(int(share * side_px**2 * bytes_per_px(model)))
    with pytest.raises(ImageError, match="not enough memory") as caught:
        translate(pixels, model, tile=0, memory=memory)
    named = "would fit" in str(caught.value)
    tile = int(str(caught.value).partition("--tile ")[2].split()[0]) if named else model.generator.size_multiple
    try:
        translate(pixels, model, tile=tile, memory=memory)
    except ImageError:
        assert not named
    else:
        assert named


# The self-ensemble


@pytest.mark.parametrize("options", LOCAL[2:8], ids=label)
def test_the_ensemble_in_tiles_is_that_of_the_whole(options: Any) -> None:
    model, pixels = build_model(options), image(67, 41)
    whole = translate(pixels, model, tta=True, tile=0).astype(int)
    assert np.abs(translate(pixels, model, tta=True, tile=20) - whole).max() <= 1


@pytest.mark.parametrize("options", [LOCAL[1], LOCAL[2], LOCAL[8]], ids=label)
def test_the_ensemble_is_the_mean_of_eight_before_rounding(options: Any) -> None:
    """Eight roundings and another would be off by one here and there."""
    model, pixels = build_model(options), image(24, 16)
    given = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    outputs = []
    for turn, flip in itertools.product(range(4), (False, True)):
        turned = torch.rot90(given.flip(-1) if flip else given, turn, (-2, -1))
        back = torch.rot90(model.network(turned), -turn, (-2, -1))
        outputs.append(back.flip(-1) if flip else back)
    mean = torch.stack(outputs).double().mean(0)
    expected = ((mean.clamp(-1, 1) + 1) * 127.5 + 0.5).floor()[0].permute(1, 2, 0).numpy()
    result = translate(pixels, model, tta=True)
    assert np.abs(expected - result).max() <= 1
    assert (expected != result).mean() < 0.002
    assert (result != translate(pixels, model)).any()


# Batches


@pytest.mark.parametrize("options", [*LOCAL[2:6], *SEES_EVERYTHING], ids=label)
def test_a_batch_equals_its_images(options: Any) -> None:
    model, images = build_model(options), [image(40, 30, seed=seed) for seed in range(3)]
    for pixels, result in zip(images, translate_batch(images, model), strict=True):
        assert np.abs(result.astype(int) - translate(pixels, model)).max() <= 1


def test_a_batch_that_does_not_fit_is_computed_one_by_one() -> None:
    model, images = build_model(LOCAL[2]), [image(40, 30, seed=seed) for seed in range(3)]
    network = Failing(model.network, {1}, MemoryError())
    results = translate_batch(images, replace(model, network=network))
    assert len(network.sides) == 4
    assert all(np.array_equal(one, translate(pixels, model)) for one, pixels in zip(results, images, strict=True))


def test_dropout_draws_the_same_numbers_for_every_image() -> None:
    model = build_model(UNetOptions(downs=3, base_channels=4), mode="train")
    images = [image(24, 16, seed=seed) for seed in range(2)]
    for pixels, result in zip(images, translate_batch(images, model), strict=True):
        assert np.array_equal(result, translate(pixels, model))


@pytest.mark.parametrize("size", [(24, 24), (23, 17), (3, 5)])
@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("options", [LOCAL[0], LOCAL[4], LOCAL[5], SAME_KERNELS], ids=label)
def test_a_pending_batch_of_one_equals_its_image(options: Any, tta: bool, size: tuple[int, int]) -> None:
    model, pixels = build_model(options), image(*size)
    pending: Any = start_batch([pixels], model, tta=tta)
    assert np.array_equal(pending.wait(), [translate(pixels, model, tta=tta)])


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_what_must_not_be_batched_is_not_started(mode: str) -> None:
    model = build_model(UNetOptions(downs=2, base_channels=4), mode=mode)
    assert start_batch([image(24, 24, np.uint16)], model) is None
    assert (start_batch([image(24, 24)], model) is None) == (mode == "train")
    assert start_batch([image(24, 24)], model, tile=16) is None
    assert start_batch([image(24, 24)], model, memory=LimitedMemory(1)) is None


def test_a_pending_batch_that_is_not_finite_has_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExecutionContext, "run", lambda _, given: torch.full_like(given, torch.nan))
    pending: Any = start_batch([image(24, 24)], build_model(SAME_KERNELS))
    assert pending.wait() is None
