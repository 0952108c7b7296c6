"""What a run would take is computed for the pixels that the network sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gantools.inference import estimate
from gantools.inference.estimate import estimated
from gantools.inference.model import open_model
from gantools.inference.options import Settings


def test_time_grows_with_the_pixels_that_the_network_sees(identity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_trial", lambda model, settings: estimate.TRIAL_PX**2 * 1e-5)
    model = open_model(identity, export=None, device=torch.device("cpu"))
    one = estimated([(400, 300)], model, Settings())
    two = estimated([(400, 300), (800, 600)], model, Settings())
    assert (one.pictures, one.seen_px, two.pictures, two.seen_px) == (1, 120_000, 2, 600_000)
    assert (one.seconds, two.seconds) == pytest.approx((1.2, 6.0))
    assert two.bytes > one.bytes > 10e6
    small = replace(model, export=replace(model.export, resized_px=30, applied_at="trained"))
    assert estimated([(400, 300)], small, Settings()).seen_px == 1200
    assert "2 images, 0.60 megapixels" in str(two)
    assert "3 min 20 s" in str(replace(one, seconds=200.0))
