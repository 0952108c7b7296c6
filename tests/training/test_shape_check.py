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

PICTURES = (2, 3, 32, 32)


@pytest.mark.parametrize("name", GENERATORS.names())
def test_every_generator_says_the_shape_of_what_it_makes(name: str) -> None:
    small = {
        "unet": UNetOptions(downs=3, base_channels=4),
        "context_encoder": ContextEncoderOptions(region="full", downs=3, base_channels=4, bottleneck_channels=8),
    }
    network = GENERATORS.build(small[name]) if name in small else GENERATORS.factory(name)()
    side_px = 32 * int(network.scale)  # type: ignore[arg-type]
    shape_check.check_shapes("model.generator", network, PICTURES, wanted=(2, 3, side_px, side_px))
    with pytest.raises(
        ConfigError, match=r"^model\.generator: makes .* px with 3 channels of 32×32 px with 3 channels"
    ):
        shape_check.check_shapes("model.generator", network, PICTURES, wanted=(2, 3, 31, 31))
    with pytest.raises(ConfigError, match=r"^model\.generator: cannot take 32×32 px with 4 channels"):
        shape_check.check_shapes("model.generator", network, (2, 4, 32, 32))


@pytest.mark.parametrize(
    ("options", "side_px"),
    [
        (PatchGanOptions(downs=3), 16),
        (CriticOptions(downs=5, norm="none"), 16),
        (SrganDiscriminatorOptions(crop_px=96), 64),
        (SrganDiscriminatorOptions(crop_px=32, spectral_norm=True), 64),
    ],
)
def test_a_discriminator_for_larger_images_is_refused_in_one_line(
    options: PatchGanOptions | CriticOptions | SrganDiscriminatorOptions, side_px: int
) -> None:
    network = DISCRIMINATORS.build(options, in_channels=3)
    shape_check.check_shapes(
        "model.discriminator",
        network,
        (2, 3, 96, 96) if options.name != "srgan" else (2, 3, options.crop_px, options.crop_px),
    )
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
    shape_check.check_shapes("model.generator", network, PICTURES)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
