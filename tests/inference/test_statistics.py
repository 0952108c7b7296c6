"""Networks whose norms look at the whole picture, in stripes against the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gantools.errors import ImageError, UsageError
from gantools.images.image import Pixels
from gantools.inference.memory import CpuMemory
from gantools.inference.model import Model
from gantools.inference.tiling.forward import translate
from gantools.inference.tiling.global_norms import Passes, Sums
from gantools.inference.tiling.row_pass import NotStriped, graph_of
from gantools.models import GENERATORS
from gantools.models.blocks import InstanceNorm
from gantools.models.options import (
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    ResNetOptions,
    ResNetUNetOptions,
    SRResNetOptions,
    UNetOptions,
)
from gantools.training.recipe import describe_generator

GLOBAL_NORMS: list[Any] = [
    ResNetOptions(base_channels=8, blocks=3),
    ResNetOptions(base_channels=4, blocks=2, norm="group", upsampling="resize", global_residual=True, dropout=0.5),
    ResNetOptions(base_channels=4, blocks=1, downs=3),
    FPNOptions(base_channels=8, max_channels=16, blocks=1, pyramid_channels=16, head_channels=8),
    FPNOptions(base_channels=16, max_channels=64, blocks=0, pyramid_channels=64, head_channels=32, norm="group"),
    UNetOptions(downs=3, base_channels=8, norm="instance", upsampling="source", skip_activation="leaky_relu"),
    UNetOptions(downs=4, base_channels=4, norm="group", upsampling="resize"),
    SRResNetOptions(channels=8, blocks=4, norm="instance"),
    SRResNetOptions(channels=4, blocks=1, norm="group", scale=2),
]
FIXED: list[Any] = [
    ResNetOptions(base_channels=4, blocks=2, norm="batch"),
    FPNOptions(base_channels=4, max_channels=8, blocks=1, pyramid_channels=8, head_channels=4, norm="none"),
    UNetOptions(downs=3, base_channels=4),
    SRResNetOptions(channels=4, blocks=2),
]
SEES_EVERYTHING: list[Any] = [
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
    ContextEncoderOptions(downs=2, base_channels=4, bottleneck_channels=8),
    ContextEncoderOptions(region="full", downs=2, base_channels=4, bottleneck_channels=8),
]
HEIGHTS_IN_STEPS = (4, 7)


def label(options: Any) -> str:
    return f"{options.name}-{getattr(options, 'norm', '')}-{getattr(options, 'upsampling', '')}"


def built(options: Any) -> Any:
    torch.manual_seed(0)
    network: Any = GENERATORS.build(options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return network.requires_grad_(False).eval()


def opened(options: Any) -> Model:
    network = built(options)
    return Model("demo", describe_generator("generator", network, options, 64), options, network, None)


def samples(width: int, height: int, seed: int = 0) -> Pixels:
    rough = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return ((rough + 3 * np.linspace(0, 255, width)[None, :, None]) / 4).astype(np.uint8)


def striped(network: Any, image: Tensor, stripe_px: int, claim: Callable[[int], None] = lambda _: None) -> Tensor:
    graph = graph_of(network, 2 * max(8, network.minimum_size_px), image.shape[1], torch.device("cpu"))

    def rows(start: int, stop: int) -> Tensor:
        return image[:, :, start:stop]

    passes = Passes(graph, rows, image.shape[2], image.shape[3], torch.device("cpu"), stripe_px, claim)
    with torch.inference_mode():
        return torch.cat([stripe.made for stripe in passes.result()], dim=2)


@pytest.mark.parametrize("options", GLOBAL_NORMS + FIXED, ids=label)
@pytest.mark.parametrize("steps", [1, 3, 100])
def test_stripes_are_the_whole(options: Any, steps: int) -> None:
    network = built(options)
    for height in HEIGHTS_IN_STEPS:
        side_px = max(16, network.minimum_size_px) // network.size_multiple * network.size_multiple
        image = torch.rand(1, 3, height * side_px, 2 * side_px) * 2 - 1
        whole = network(image)
        made = striped(network, image, steps * network.size_multiple)
        difference = (made - whole).abs().max().item()
        print(f"{label(options)} {image.shape[3]}×{image.shape[2]} by {steps} steps: {difference:.1e}")
        assert made.shape == whole.shape
        assert difference <= 1e-4 if options in GLOBAL_NORMS else difference <= 1e-5


@pytest.mark.parametrize("options", SEES_EVERYTHING, ids=label)
def test_networks_that_see_everything_are_no_stripes(options: Any) -> None:
    network = built(options)
    with pytest.raises(NotStriped):
        graph_of(network, 2 * network.minimum_size_px, 3, torch.device("cpu"))


def test_another_interpolation_is_no_stripes() -> None:
    with pytest.raises(NotStriped, match="interpolation"):
        graph_of(built(CompactSROptions(channels=4, blocks=1)), 16, 3, torch.device("cpu"))


def check_sums(sums: Sums, norm: Any, features: Tensor) -> None:
    factor, shift = sums.affine(norm)
    torch.testing.assert_close(features * factor + shift, norm(features), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", [InstanceNorm(40), nn.GroupNorm(8, 40), nn.GroupNorm(1, 40, affine=False)], ids=repr)
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_sums_of_parts_are_the_norm(norm: Any, offset: float) -> None:
    """Also where the mean is far from zero, where sums in float32 would lose the variance."""
    features = torch.randn(1, 40, 30, 20, generator=torch.Generator().manual_seed(0)) + offset
    sums = Sums()
    for start in range(0, 30, 7):
        sums.add(features[:, :, start : start + 7])
    if offset == 0:
        check_sums(sums, norm, features)
    factor, shift = sums.affine(norm)
    expected = torch.nn.functional.group_norm(
        features.double(), 40 if isinstance(norm, InstanceNorm) else norm.num_groups
    )
    torch.testing.assert_close((features.double() * factor + shift), expected, rtol=0, atol=1e-4, check_dtype=False)


def test_what_is_kept_is_a_fraction_of_the_whole() -> None:
    """Features between sweeps: at most four maps of a quarter of the sides, not those of the whole size."""
    claimed: list[int] = []
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    striped(built(ResNetOptions(base_channels=64, blocks=2)), image, 16, claimed.append)
    assert set(claimed) == {256 * 16 * 16 * 4}


# Through translate


@dataclass(frozen=True)
class Little:
    """A memory with a limit in bytes, and what of it is pleasant."""

    limit: int
    comfortable: int
    unchecked_px: int = 0

    def preferred_bytes(self) -> int:
        return self.comfortable

    def free_bytes(self) -> int:
        return self.limit

    def claim(self, wanted_bytes: int) -> None:
        if wanted_bytes > self.limit:
            raise MemoryError

    def release(self) -> None:
        return


@pytest.mark.parametrize("options", GLOBAL_NORMS, ids=label)
@pytest.mark.parametrize("size", [(9, 12), (5, 70), (67, 141)], ids=str)
def test_a_picture_in_stripes_is_the_picture(options: Any, size: tuple[int, int]) -> None:
    model, pixels = opened(options), samples(*size)
    whole = translate(pixels, model, tile=0).astype(int)
    for given in ({"tile": 32}, {"memory": Little(1 << 40, 1)}):
        off = np.abs(translate(pixels, model, **given) - whole)  # type: ignore[arg-type]
        print(f"{label(options)} {size[0]}×{size[1]}: {(off > 0).sum()} of {off.size} samples differ, by {off.max()}")
        assert off.max() <= 1
        assert (off > 0).sum() <= 2 + 0.001 * off.size


def test_stripes_that_do_not_fit_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pixels, calls = opened(GLOBAL_NORMS[0]), samples(40, 128), []
    original = nn.Conv2d.forward

    def small_only(self: nn.Conv2d, given: Tensor) -> Tensor:
        calls.append(given.shape[2])
        if given.shape[2] > 24:
            raise torch.OutOfMemoryError("no more")
        return original(self, given)

    expected = translate(pixels, model, tile=0).astype(int)
    monkeypatch.setattr(nn.Conv2d, "forward", small_only)
    memory = Little(1 << 40, 100 * 40 * 800)
    assert np.abs(translate(pixels, model, memory=memory) - expected).max() <= 1
    assert max(calls) > 24


def test_what_does_not_fit_even_in_stripes_says_so() -> None:
    model, pixels = opened(GLOBAL_NORMS[0]), samples(64, 64)
    with pytest.raises(ImageError, match=r"not enough memory for 64×64 px: this network's norms look at the whole"):
        translate(pixels, model, memory=Little(1, 1))


def test_the_eightfold_mean_of_stripes_is_refused() -> None:
    model = opened(GLOBAL_NORMS[0])
    with pytest.raises(UsageError, match=r"--tile 32: the mean over turns of this network is taken of whole pictures"):
        translate(samples(64, 64), model, tile=32, tta=True)


def test_available_memory_is_asked_of_the_system() -> None:
    memory = CpuMemory()
    assert 0 < memory.preferred_bytes() <= memory.free_bytes()
    memory.claim(1)
    with pytest.raises(MemoryError):
        memory.claim(1 << 60)
