"""Options fit constructors for every loss, and every loss is a differentiable scalar."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
import torch

from gantools.losses import ADVERSARIAL, PERCEPTUAL, RECONSTRUCTION
from gantools.losses.options import AdversarialOptions, PerceptualOptions, ReconstructionOptions


def members(union: Any) -> list[Any]:
    return list(get_args(get_args(union)[0]))


UNIONS = [(ADVERSARIAL, AdversarialOptions), (RECONSTRUCTION, ReconstructionOptions)]
ENTRIES = [(PERCEPTUAL, PerceptualOptions), *((table, each) for table, union in UNIONS for each in members(union))]


@pytest.mark.parametrize(("table", "union"), UNIONS)
def test_every_entry_has_options(table: Any, union: Any) -> None:
    assert {option.model_fields["name"].default for option in members(union)} == set(table.names())


@pytest.mark.parametrize(("table", "options_class"), ENTRIES)
def test_options_are_the_constructors_keyword_arguments_and_described(table: Any, options_class: Any) -> None:
    (name,) = PERCEPTUAL.names() if table is PERCEPTUAL else (options_class().name,)
    parameters = inspect.signature(table.factory(name)).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == options_class().arguments()
    assert all(field.description for name, field in options_class.model_fields.items() if name != "name")


@pytest.mark.parametrize("options_class", members(AdversarialOptions))
@pytest.mark.parametrize("shape", [(4, 1), (2, 1, 5, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adversarial_terms_are_differentiable_scalars(options_class: Any, shape: Any, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    gan = ADVERSARIAL.build(options_class())
    real = torch.randn(shape, dtype=dtype, requires_grad=True)
    fake = torch.randn(shape, dtype=dtype, requires_grad=True)
    judged, fooled = gan.judge(real, fake), gan.fool(fake, real)
    assert judged.shape == fooled.shape == ()
    assert judged.dtype == fooled.dtype == torch.float32
    assert torch.autograd.grad(judged, real, retain_graph=True)[0].abs().sum() > 0
    assert torch.autograd.grad(fooled, fake)[0].abs().sum() > 0


@pytest.mark.parametrize("options_class", members(AdversarialOptions))
def test_costs_fall_in_the_right_direction(options_class: Any) -> None:
    """The discriminator gains from apart, the generator from higher fakes."""
    gan = ADVERSARIAL.build(options_class())
    low, high = torch.full((4, 1), -0.4), torch.full((4, 1), 0.4)
    assert gan.judge(high, low) < gan.judge(low, high)
    assert gan.fool(high, low) < gan.fool(low, high)


@pytest.mark.parametrize("options_class", members(ReconstructionOptions))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reconstruction_terms_are_differentiable_scalars(options_class: Any, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    distance = RECONSTRUCTION.build(options_class())
    fake = torch.randn(2, 3, 4, 5, dtype=dtype, requires_grad=True)
    value = distance(fake, torch.randn(2, 3, 4, 5))
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert torch.autograd.grad(value, fake)[0].abs().sum() > 0
    assert distance(fake, fake.detach()) < 0.01 < value
