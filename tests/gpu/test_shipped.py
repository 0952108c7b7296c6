"""Every shipped network on a GPU beside the CPU, tiled beside whole, in large images and where memory is short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from gantools.generation import model as generators
from gantools.generation.latents import Sample, vector_of
from gantools.inference import find_weights
from gantools.inference.memory import CpuMemory
from gantools.inference.model import open_model
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.forward import translate
from gantools.pretrained import catalogue
from tests.gpu.conftest import DEVICE, NEEDS_CUDA, ON_CUDA

SHIPPED = {one.name: find_weights.takes(one.path, None) for one in catalogue.installed() if one.shipped}
NAMES = [name for name, taken in SHIPPED.items() if taken != "latent"]
SIDE_PX = 384 if ON_CUDA else 64


def image(width: int, height: int) -> Any:
    """Smooth shapes. Shapes: [height, width, 3] uint8."""
    small = np.random.default_rng(0).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def model_on(name: str, device: torch.device) -> Any:
    return open_model(catalogue.find(name).path, export=None, device=device)


def apart(one: Any, other: Any) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_those_of_the_cpu_and_tiles_those_of_the_whole(name: str):
    pixels, model = image(SIDE_PX, SIDE_PX), model_on(name, DEVICE)
    made = translate(pixels, model)
    assert apart(made, translate(pixels, model_on(name, torch.device("cpu")))) <= 1
    if model.generator.halo_px is not None:
        assert apart(translate(pixels, model, tile=SIDE_PX // 2), made) <= 1


@pytest.mark.parametrize("name", sorted(SHIPPED.keys() - set(NAMES)))
def test_images_from_noise_are_those_of_the_cpu(name: str):
    path = catalogue.find(name).path
    here, there = (generators.open_model(path, device=device) for device in (DEVICE, "cpu"))
    samples = [Sample(str(seed), vector_of(here.latent, seed)) for seed in range(3)]
    for one, other in zip(here.images(samples), there.images(samples), strict=True):
        assert apart(one, other) <= 1


@NEEDS_CUDA
@pytest.mark.parametrize(("name", "width", "height"), [("srgan/psnr", 3500, 2600), ("deblur", 6000, 4000)])
def test_large_images_are_made_whole(name: str, width: int, height: int):
    """What srgan makes of 9 megapixels in one piece has more than 2**31 values."""
    model = model_on(name, DEVICE)
    made = translate(image(width, height), model)
    assert made.shape[0] == height * model.generator.scale
    assert made.std() > 1


@dataclass
class Tight:
    """A memory that says it has plenty and then has not: what a GPU with a limit does."""

    limit_bytes: int
    unchecked_px: int = 0
    refused: int = 0

    def preferred_bytes(self) -> int:
        return 1 << 40

    def free_bytes(self) -> int:
        return 1 << 40

    def claim(self, wanted_bytes: int) -> None:
        if wanted_bytes > self.limit_bytes:
            self.refused += 1
            raise MemoryError

    def release(self) -> None:
        return


@pytest.fixture
def limited() -> Iterator[Any]:
    """Limits the memory to so many bytes: the GPU's own, or a stand-in's, which is returned."""

    def limit(enough: int) -> Tight | None:
        if not ON_CUDA:
            return Tight(enough)
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(DEVICE).total_memory
        torch.cuda.set_per_process_memory_fraction(min(enough, 2 << 30) / total, DEVICE)
        return None

    yield limit
    if ON_CUDA:
        torch.cuda.set_per_process_memory_fraction(1.0, DEVICE)


def test_an_image_that_does_not_fit_is_tiled(limited: Any):
    model, side_px = model_on("srgan/psnr", DEVICE), 800 if ON_CUDA else 192
    pixels = image(side_px, side_px)
    whole = translate(pixels, model, tile=0)
    context = ExecutionContext(model, None, None, False, CpuMemory())
    tight = limited(int(context.activation_bytes_per_px() * side_px**2 * 2 / 3))
    assert apart(translate(pixels, model, memory=tight), whole) <= 1
    assert tight is None or tight.refused


def test_group_norm_is_instance_norm():
    """Torch's own backward pass on a CPU is wrong for one image (decision 0003), which is why there is another."""
    maps = torch.randn(1, 128, 32, 32, device=DEVICE, requires_grad=True)
    made = [functional.instance_norm(maps), functional.group_norm(maps, 128)]
    slopes = [torch.autograd.grad(one.square().sum() + one[..., 0].sum(), maps)[0] for one in made]
    assert float((made[0] - made[1]).detach().abs().max()) < 1e-4
    if ON_CUDA:
        assert float((slopes[0] - slopes[1]).norm() / slopes[1].norm()) < 1e-2


def test_fp32_is_float32():
    """TF32 is off by about 3e-4, float32 by less than 1e-6."""
    left, right = torch.randn(2, 512, 512, device=DEVICE)
    exact = left.double() @ right.double()
    assert float(((left @ right).double() - exact).norm() / exact.norm()) < 2e-5
    maps, kernel = torch.randn(1, 64, 64, 64, device=DEVICE), torch.randn(64, 64, 3, 3, device=DEVICE)
    wide = functional.conv2d(maps.double(), kernel.double())
    assert float((functional.conv2d(maps, kernel).double() - wide).norm() / wide.norm()) < 2e-5
