"""Steps of the context encoder equal a loop written out by hand, to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from gantools import api
from gantools.data.synthetic import drawing
from tests.training import by_hand

STEPS = 4
TINY = (
    "data.load_px=20",
    "data.crop_px=16",
    "data.zoom=1.25",
    "data.batch_images=2",
    "data.workers=0",
    "data.validation_share=0.25",
    "data.mask.overlap_px=1",
    "model.generator.overlap_px=1",
    "model.generator.downs=2",
    "model.generator.residual=false",
    "model.generator.base_channels=4",
    "model.generator.max_channels=8",
    "model.generator.bottleneck_channels=8",
    "model.discriminator.base_channels=4",
    "model.discriminator.downs=1",
    f"stages.adversarial.steps={STEPS}",
    "stages.adversarial.schedule={name: constant}",
    "train.ema_decay=null",
    "train.precision=fp32",
    "train.memory_format=contiguous",
)


@pytest.fixture
def settings(tmp_path: Path) -> api.Settings:
    drawing.draw_dataset("scenes", tmp_path / "photos", 6, 32, 1)
    return api.configure("context_encoder/center-64", data=[str(tmp_path / "photos")], overrides=TINY)


def test_steps_equal_a_hand_written_loop(settings: api.Settings, tmp_path: Path) -> None:
    ours = by_hand.trained(settings, tmp_path / "run")
    hand = by_hand.first(settings)
    g, d = hand.generator, hand.discriminator
    g_adam = torch.optim.Adam(g.parameters(), 5e-4, (0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(d.parameters(), 2e-4, (0.5, 0.999), fused=True)
    bce = functional.binary_cross_entropy_with_logits
    weights = torch.full((8, 8), 10.0)
    weights[1:7, 1:7] = 1.0
    fill = torch.tensor([2 * 117 / 255 - 1, 2 * 104 / 255 - 1, 2 * 123 / 255 - 1]).view(3, 1, 1)
    for _, batch in zip(range(STEPS), by_hand.batches(settings), strict=False):
        image = batch.image
        masked = image.clone()
        masked[:, :, 5:11, 5:11] = fill
        center = image[:, :, 4:12, 4:12]
        fake = g.predict(masked)
        real_logits, fake_logits = d(center), d(fake.detach())
        d_adam.zero_grad()
        (bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits))).backward()
        d_adam.step()
        d.requires_grad_(False)
        logits = d(fake)
        l2 = ((fake - center).square() * weights).mean()
        g_adam.zero_grad()
        (0.0001 * bce(logits, torch.ones_like(logits)) + 0.9999 * l2).backward()
        g_adam.step()
        d.requires_grad_(True)

    by_hand.assert_same_weights(ours.generator, g)
    by_hand.assert_same_weights(ours.discriminator, d)
