"""Networks are asked for the shapes that they take and make before a run."""

from __future__ import annotations

import pytest
import torch

from gantools.errors import ConfigError
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    ContextEncoderOptions,
    CriticOptions,
    PatchGanOptions,
    SrganDiscriminatorOptions,
    UNetOptions,
)
from gantools.training import shape_check

IMAGES = (2, 3, 32, 32)


@pytest.mark.parametrize("name", GENERATORS.names())
def test_every_generator_says_the_shape_of_what_it_makes(name: str) -> None:
    small = {
        "unet": UNetOptions(downs=3, base_channels=4),
        "context_encoder": ContextEncoderOptions(region="full", downs=3, base_channels=4, bottleneck_channels=8),
    }
    network = GENERATORS.build(small[name]) if name in small else GENERATORS.factory(name)()
    side_px = 32 * int(network.scale)  # type: ignore[arg-type]
    shape_check.check_shapes("model.generator", network, IMAGES, wanted=(2, 3, side_px, side_px))
    with pytest.raises(
        ConfigError, match=r"^model\.generator: makes .* px with 3 channels of 32×32 px with 3 channels"
    ):
        shape_check.check_shapes("model.generator", network, IMAGES, wanted=(2, 3, 31, 31))
    with pytest.raises(ConfigError, match=r"^model\.generator: cannot take 32×32 px with 4 channels"):
        shape_check.check_shapes("model.generator", network, (2, 4, 32, 32))


@pytest.mark.parametrize(
    ("options", "fits_px", "side_px"),
    [
        (PatchGanOptions(downs=3), 96, 16),
        (CriticOptions(downs=5, norm="none"), 96, 16),
        (SrganDiscriminatorOptions(crop_px=96), 96, 64),
        (SrganDiscriminatorOptions(crop_px=32, spectral_norm=True), 32, 64),
    ],
)
def test_a_discriminator_for_larger_images_is_refused_in_one_line(options, fits_px, side_px):
    network = DISCRIMINATORS.build(options, in_channels=3)
    shape_check.check_shapes("model.discriminator", network, (2, 3, fits_px, fits_px))
    with pytest.raises(ConfigError) as refused:
        shape_check.check_shapes("model.discriminator", network, (2, 3, side_px, side_px))
    (line,) = refused.value.problems
    assert line.startswith(f"model.discriminator: cannot take {side_px}×{side_px} px with 3 channels (data.crop_px): ")
    assert "\n" not in line


def test_nothing_is_changed_by_looking() -> None:
    """Neither weights and statistics nor the random streams: a run starts as if nobody had looked."""
    network = GENERATORS.build(UNetOptions(downs=3, base_channels=4, dropout=0.5))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    stream = torch.get_rng_state()
    shape_check.check_shapes("model.generator", network, IMAGES)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
