"""Pictures through networks: tiles against the whole, too little memory, the eight-fold mean, batches."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gantools.errors import ImageError, UsageError
from gantools.images.image import Pixels
from gantools.inference.memory import CpuMemory
from gantools.inference.model import Model
from gantools.inference.tiling import forward
from gantools.inference.tiling.forward import ExecutionContext, measured, translate, translate_batch
from gantools.inference.tiling.tile_io import TileIO
from gantools.models import GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    ResNetOptions,
    ResNetUNetOptions,
    SRResNetOptions,
    UNetOptions,
)
from gantools.training.recipe import describe_generator

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
    ResNetOptions(base_channels=4, blocks=1, norm="none", upsampling="resize", global_residual=True),
]
WHOLE: list[Any] = [
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
    ContextEncoderOptions(downs=2, base_channels=4, bottleneck_channels=8),
    ContextEncoderOptions(region="full", downs=2, base_channels=4, bottleneck_channels=8),
]
SIZES = ((1, 1), (1, 40), (67, 41), (250, 210))


def label(options: Any) -> str:
    return f"{options.name}-{getattr(options, 'norm', '')}-{getattr(options, 'upsampling', '')}"


def built(options: Any, *, mode: str = "eval", autocast: torch.dtype | None = None) -> Model:
    """A network with lively weights and statistics."""
    torch.manual_seed(0)
    network: Any = GENERATORS.build(options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    if options.name.startswith("compact"):
        nn.init.normal_(network.last.weight, std=0.05)
    export = describe_generator("generator", network, options, 64, mode)
    network.requires_grad_(False).train(mode == "train")
    return Model("demo", export, options, network, autocast)


def samples(width: int, height: int, dtype: Any = np.uint8, seed: int = 0) -> Pixels:
    largest = np.iinfo(dtype).max
    rough = np.random.default_rng(seed).integers(0, largest + 1, (height, width, 3))
    slope = np.linspace(0, largest, width)[None, :, None]
    return ((rough + 3 * slope) / 4).astype(dtype)


@dataclass
class Cap:
    """A memory with a limit: what is over it is refused, or found out only when it is asked for."""

    limit_bytes: int
    unchecked_px: int = 0
    comfortable: int | None = None
    refused: list[int] = field(default_factory=list)
    released: int = 0

    def preferred_bytes(self) -> int:
        return self.limit_bytes if self.comfortable is None else self.comfortable

    def free_bytes(self) -> int:
        return self.limit_bytes

    def claim(self, wanted_bytes: int) -> None:
        if wanted_bytes > self.limit_bytes:
            self.refused.append(wanted_bytes)
            raise MemoryError

    def release(self) -> None:
        self.released += 1


def floats(model: Model, pixels: Pixels, tile: int, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """What the network makes before it is rounded, put together from its tiles."""
    canvas = TileIO.of(pixels, model)
    scale = canvas.scale
    made = torch.full((1, model.options.out_channels, *(side * scale for side in pixels.shape[:2])), torch.nan)

    def write(self: TileIO, part: Tensor, tile: Any) -> None:
        target = made[
            ...,
            tile.rows.start * scale : tile.rows.stop * scale,
            tile.columns.start * scale : tile.columns.stop * scale,
        ]
        top, left = (scale * (span.start - span.first) for span in (tile.rows, tile.columns))
        target.copy_(part[..., top : top + target.shape[-2], left : left + target.shape[-1]])

    with monkeypatch.context() as patched:
        patched.setattr(TileIO, "write", write)
        assert forward._filled(canvas, ExecutionContext(model, None, tile, False, CpuMemory()))
    return made


@pytest.mark.parametrize("options", LOCAL, ids=label)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_are_the_whole(options: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    model, pixels = built(options), samples(*size)
    whole, expected = floats(model, pixels, 0, monkeypatch), translate(pixels, model, tile=0)
    for tile in (20, 110) if min(size) > 1 else (1,):
        difference = (floats(model, pixels, tile, monkeypatch) - whole).abs().max().item()
        off = np.abs(translate(pixels, model, tile=tile).astype(int) - expected)
        print(
            f"{label(options)} {size[0]}×{size[1]} --tile {tile}: {difference:.1e}, {(off > 0).sum()} samples of 8 bits"
        )
        assert difference <= 1e-5
        assert off.max() <= (tile < 110)  # torch computes very small maps with other kernels: the last digit may differ


@pytest.mark.parametrize("options", LOCAL[:3], ids=label)
def test_tiles_of_sixteen_bits_are_the_whole(options: Any) -> None:
    model, pixels = built(options, autocast=torch.bfloat16), samples(50, 40, np.uint16)
    difference = translate(pixels, model, tile=16).astype(int) - translate(pixels, model, tile=0)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("options", WHOLE, ids=label)
def test_networks_that_see_everything_are_not_cut(options: Any) -> None:
    model, pixels = built(options), samples(70, 40)
    with pytest.raises(UsageError, match=r"--tile 32: every pixel .* depends on the whole picture.*leave it out"):
        translate(pixels, model, tile=32)
    assert np.array_equal(translate(pixels, model, tile=100), translate(pixels, model))


def test_networks_in_training_mode_are_not_cut() -> None:
    model = built(UNetOptions(downs=2, base_channels=4), mode="train")
    with pytest.raises(UsageError, match="keeps dropout and batch statistics"):
        translate(samples(40, 40), model, tile=16)


def test_a_network_that_cannot_be_cut_and_does_not_fit_says_so() -> None:
    model = built(WHOLE[0])
    with pytest.raises(ImageError, match=r"not enough memory for 70×40 px: every pixel .* whole picture"):
        translate(samples(70, 40), model, memory=Cap(1000))


# Too little memory

ALWAYS_ALIKE = UNetOptions(downs=2, base_channels=8)
"""All its kernels are 4×4, for which torch takes the same code at every size."""


def bytes_per_px(model: Model) -> float:
    return ExecutionContext(model, None, None, False, CpuMemory()).bytes_per_px()


def test_a_hundred_pictures_under_a_cap() -> None:
    """None may fail, none may differ, and none may take more than there is."""
    model = built(ALWAYS_ALIKE)
    memory = Cap(int(900 * bytes_per_px(model)))
    random, cut = np.random.default_rng(0), 0
    for number in range(100):
        width, height = (int(side) for side in random.integers(1, 90, 2))
        pixels = samples(width, height, seed=number)
        assert np.array_equal(translate(pixels, model, memory=memory), translate(pixels, model, tile=0))
        cut += width * height > 900
    print(f"100 pictures, {cut} of them larger than the memory, {len(memory.refused)} refusals")
    assert cut > 30
    assert memory.refused == []


def test_tiles_are_halved_until_they_fit() -> None:
    model, pixels = built(ALWAYS_ALIKE), samples(90, 70)
    memory = Cap(int(400 * bytes_per_px(model)), comfortable=1 << 40)
    assert np.array_equal(translate(pixels, model, memory=memory), translate(pixels, model, tile=0))
    assert len(memory.refused) == memory.released >= 3


class Exhausted(nn.Module):
    """Runs out of memory at chosen calls, after having computed."""

    def __init__(self, network: nn.Module, failing: set[int], error: Exception) -> None:
        super().__init__()
        self.network, self.failing, self.error = network, failing, error
        self.sides: list[tuple[int, int]] = []
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        self.sides.append((int(image.shape[-2]), int(image.shape[-1])))  # int: it cannot be taken apart into stripes
        if len(self.sides) in self.failing:
            raise self.error
        made: Tensor = self.network(image)
        return made

    def __deepcopy__(self, memo: Any) -> Exhausted:
        other = Exhausted(copy.deepcopy(self.network, memo), self.failing, self.error)
        other.sides = self.sides  # calls are counted in one place, whichever form of the network runs
        return other

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name in ("network", "_modules") else getattr(self.network, name)


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB, other allocations: 1 GB, max allowed: 6 GB)."),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
]


def test_a_kernel_that_fails_for_a_small_image_is_not_taken_for_too_little_memory() -> None:
    """A broken cuDNN fails at every size; that it is not about memory must be said."""
    model, broken = built(ALWAYS_ALIKE), RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED")
    failing = replace(model, network=Exhausted(model.network, set(range(3, 99)), broken))
    with pytest.raises(RuntimeError, match="CUDNN_STATUS_NOT_INITIALIZED"):
        translate(samples(90, 70), failing, memory=Cap(1 << 40, unchecked_px=1 << 10))


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("failing", [{1}, {3}, {4, 5}])
def test_a_tile_out_of_memory_is_halved_and_made_again(error: Exception, failing: set[int]) -> None:
    model, pixels = built(ALWAYS_ALIKE), samples(90, 70)
    memory = Cap(int(1500 * bytes_per_px(model)))
    network = Exhausted(model.network, failing, error)
    measured[network] = {None: bytes_per_px(model)}
    made = translate(pixels, replace(model, network=network), memory=memory)
    assert np.array_equal(made, translate(pixels, model, tile=0))
    assert memory.released == len(failing)
    assert max(network.sides[-1]) < max(network.sides[0])


def test_a_network_that_never_fits_fails_and_writes_nothing() -> None:
    model, pixels = built(CompactSROptions(channels=8, blocks=1)), samples(20, 20)
    network = Exhausted(model.network, set(range(1000)), MemoryError())
    with pytest.raises(ImageError, match="not enough memory for 20×20 px, not even in the smallest tiles"):
        translate(pixels, replace(model, network=network), memory=Cap(1 << 40, unchecked_px=1 << 20))


def test_another_error_is_no_lack_of_memory() -> None:
    model = built(CompactSROptions(channels=8, blocks=1))
    network = Exhausted(model.network, {1}, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        translate(samples(20, 20), replace(model, network=network))


@pytest.mark.parametrize(("tile", "said"), [(64, "in tiles of 64 px"), (0, "at once")])
def test_an_explicit_tile_that_does_not_fit_names_one_that_does(tile: int, said: str) -> None:
    model, pixels = built(ALWAYS_ALIKE), samples(90, 90)
    memory = Cap(int(1500 * bytes_per_px(model)))
    with pytest.raises(ImageError, match=rf"not enough memory for 90×90 px {said}; --tile \d+ would fit") as caught:
        translate(pixels, model, tile=tile, memory=memory)
    fitting = int(str(caught.value).partition("--tile ")[2].split()[0])
    assert np.array_equal(translate(pixels, model, tile=fitting, memory=memory), translate(pixels, model, tile=0))


@pytest.mark.parametrize("side_px", [20, 26, 32, 48])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_tile_is_named_whenever_one_fits(side_px: int, share: float) -> None:
    model, pixels = built(ALWAYS_ALIKE), samples(side_px, side_px)
    memory = Cap(int(share * side_px**2 * bytes_per_px(model)))
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


def test_what_is_not_finite_in_a_small_type_is_made_again_as_a_whole() -> None:
    model = built(CompactSROptions(channels=8, blocks=1), autocast=torch.float16)
    model.network.last.weight.mul_(1e6)  # type: ignore[operator, union-attr]
    exact = replace(model, autocast=None)
    pixels = samples(50, 40)
    assert np.array_equal(translate(pixels, model, tile=16), translate(pixels, exact, tile=16))


# The eight-fold mean


def test_the_mean_of_a_network_that_knows_no_direction_is_its_result() -> None:
    model, pixels = built(CompactSROptions(channels=4, blocks=1, scale=2)), samples(33, 20)
    nn.init.zeros_(model.network.last.weight)  # type: ignore[union-attr, arg-type]
    assert np.abs(translate(pixels, model, tta=True).astype(int) - translate(pixels, model)).max() <= 1


@pytest.mark.parametrize("options", LOCAL[:8], ids=label)
def test_the_mean_turns_with_the_picture(options: Any) -> None:
    model, pixels = built(options), samples(32, 64)
    made = translate(pixels, model, tta=True).astype(int)
    for turn in (lambda some: some[::-1], lambda some: some[:, ::-1], lambda some: some.transpose(1, 0, 2)):
        turned = translate(np.ascontiguousarray(turn(pixels)), model, tta=True)
        assert np.abs(turn(made) - turned).max() <= 1
    assert np.abs(made - translate(pixels, model)).max() > 0


@pytest.mark.parametrize("options", LOCAL[2:8], ids=label)
def test_the_mean_in_tiles_is_the_mean_of_the_whole(options: Any) -> None:
    model, pixels = built(options), samples(67, 41)
    whole = translate(pixels, model, tta=True, tile=0).astype(int)
    assert np.abs(translate(pixels, model, tta=True, tile=20) - whole).max() <= 1


def test_the_mean_is_taken_before_rounding() -> None:
    """Eight roundings and another would be off by one here and there."""
    model, pixels = built(CompactSROptions(channels=4, blocks=1, scale=1)), samples(16, 16)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    turned = [(turn, flip) for turn in range(4) for flip in (False, True)]
    made = []
    for turn, flip in turned:
        given = torch.rot90(image.flip(-1) if flip else image, turn, (-2, -1))
        back = torch.rot90(model.network(given), -turn, (-2, -1))
        made.append(back.flip(-1) if flip else back)
    mean = torch.stack(made).double().mean(0)
    expected = ((mean.clamp(-1, 1) + 1) * 127.5 + 0.5).floor()[0].permute(1, 2, 0).numpy()
    assert np.abs(expected - translate(pixels, model, tta=True)).max() <= 1
    assert (expected != translate(pixels, model, tta=True)).mean() < 0.001


# Several at once


@pytest.mark.parametrize("options", [*LOCAL[2:6], *WHOLE], ids=label)
def test_a_batch_is_its_pictures(options: Any) -> None:
    model, pictures = built(options), [samples(40, 30, seed=seed) for seed in range(3)]
    for pixels, made in zip(pictures, translate_batch(pictures, model), strict=True):
        assert np.abs(made.astype(int) - translate(pixels, model)).max() <= 1


def test_a_batch_that_does_not_fit_goes_one_by_one() -> None:
    model, pictures = built(LOCAL[2]), [samples(40, 30, seed=seed) for seed in range(3)]
    network = Exhausted(model.network, {1}, MemoryError())
    made = translate_batch(pictures, replace(model, network=network))
    assert len(network.sides) == 4
    assert all(np.array_equal(one, translate(pixels, model)) for one, pixels in zip(made, pictures, strict=True))


def test_dropout_draws_the_same_numbers_in_a_batch() -> None:
    model = built(UNetOptions(downs=3, base_channels=4), mode="train")
    pictures = [samples(24, 16, seed=seed) for seed in range(2)]
    for pixels, made in zip(pictures, translate_batch(pictures, model), strict=True):
        assert np.array_equal(made, translate(pixels, model))
