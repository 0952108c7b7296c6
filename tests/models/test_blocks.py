"""Norms, spectral norm, sub-pixel initialisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.calls import forward_on_cuda
from gantools.models.blocks import NORMS, InstanceNorm, convolution_bias, icnr_, keeping_type, maybe_spectral, widths

FORMATS = [torch.contiguous_format, torch.channels_last]


def two_pass_norm(features: Tensor) -> Tensor:
    """The definition, in float64."""
    centred = features - features.mean(dim=(2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("gradient_format", FORMATS, ids=str)
@pytest.mark.parametrize("input_format", FORMATS, ids=str)
def test_instance_norm_gradient_in_every_layout(count: int, input_format: Any, gradient_format: Any) -> None:
    """nn.InstanceNorm2d fails this on CPU for one image and a channels_last gradient."""
    assert_instance_norm(InstanceNorm(6), count, input_format, gradient_format)


@pytest.mark.parametrize("count", [1, 3])
def test_the_formula_for_cuda_gives_the_same(count: int) -> None:
    """With a contiguous gradient, which a CPU gets right."""
    assert_instance_norm(lambda given: keeping_type(given, 1e-5), count, *FORMATS[:1] * 2)


def assert_instance_norm(
    norm: Callable[[Tensor], Tensor], count: int, input_format: Any, gradient_format: Any, device: str = "cpu"
) -> None:
    """Results and gradients near those of float64."""
    torch.manual_seed(0)
    features = torch.randn(count, 6, 9, 7).mul(3).add(1)
    gradient = torch.randn(count, 6, 9, 7)
    exact = features.double().requires_grad_()
    (expected,) = torch.autograd.grad(two_pass_norm(exact), exact, gradient.double())
    ours = features.to(device, memory_format=input_format).requires_grad_()
    output = norm(ours)
    (actual,) = torch.autograd.grad(output, ours, gradient.to(device, memory_format=gradient_format))
    output, actual = output.cpu(), actual.cpu()
    torch.testing.assert_close(output.double(), two_pass_norm(features.double()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [InstanceNorm(3), lambda given: keeping_type(given, 1e-5)])
def test_instance_norm_second_derivative(norm: Callable[[Tensor], Tensor]) -> None:
    features = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(norm, (features,))


def test_instance_norm_on_cuda_stays_in_16_bits() -> None:
    """Of no map a copy in float32 is made under autocast, as a group norm would."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), InstanceNorm(4), nn.ReLU(), nn.Conv2d(4, 4, 3), InstanceNorm(4))
    made, found = forward_on_cuda(layers, (1, 3, 16, 16))
    assert made.dtype == torch.bfloat16
    assert found.calls["aten.native_batch_norm.default"] == 2
    assert found.calls["aten._to_copy.default"] == 5  # the image, and weights and biases of two layers
    pixel, _ = forward_on_cuda(InstanceNorm(4), (1, 4, 1, 1))
    assert pixel.shape == (1, 4, 1, 1)


def test_instance_norm_takes_a_single_pixel_and_has_no_state_and_no_modes() -> None:
    norm, pixel = InstanceNorm(4), torch.randn(1, 4, 1, 1, requires_grad=True)
    output = norm.train()(pixel)
    output.sum().backward()
    assert torch.equal(output, torch.zeros_like(output))
    assert pixel.grad is not None
    assert torch.isfinite(pixel.grad).all()
    features = torch.randn(2, 4, 5, 5)
    assert torch.equal(norm(features), norm.eval()(features))
    assert not norm.state_dict()


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("channels", [1, 6, 64])
def test_norms_keep_the_shape(name: Any, channels: int) -> None:
    features = torch.randn(2, channels, 5, 5)
    assert NORMS[name](channels)(features).shape == features.shape


@pytest.mark.parametrize(
    ("norm", "bias", "expected"),
    [("batch", None, False), ("instance", None, True), ("none", None, True), ("group", None, False),
     ("instance", False, False), ("batch", True, True)],
)  # fmt: skip
def test_convolution_bias(norm: Any, bias: bool | None, expected: bool) -> None:
    assert convolution_bias(norm, bias) is expected


def test_widths_double_up_to_the_bound() -> None:
    assert widths(64, 512, 6) == [64, 128, 256, 512, 512, 512]


def test_spectral_norm_bounds_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    layer: Any = maybe_spectral(nn.Linear(12, 8), True)
    for _ in range(50):
        layer(torch.randn(2, 12))
    assert torch.linalg.matrix_norm(layer.weight, ord=2).item() == pytest.approx(1, abs=1e-3)
    plain = nn.Linear(2, 2)
    assert maybe_spectral(plain, False) is plain


def test_icnr_starts_as_nearest_neighbour_enlargement() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 5 * 4, 3, padding=1, bias=False)
    icnr_(convolution.weight, 2)
    output = functional.pixel_shuffle(convolution(torch.randn(1, 3, 6, 6)), 2)
    assert output.std() > 0
    torch.testing.assert_close(output, functional.interpolate(output[..., ::2, ::2], scale_factor=2.0))
