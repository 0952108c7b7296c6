"""The estimate of a run is computed for the pixels that the network sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gantools.inference import dry_run
from gantools.inference.dry_run import estimate
from gantools.inference.model import open_model
from gantools.inference.options import DEFAULTS


def test_time_grows_with_the_pixels_that_the_network_sees(identity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "_trial_seconds", lambda model, options: dry_run.TRIAL_PX**2 * 1e-5)
    model = open_model(identity, export=None, device=torch.device("cpu"))
    assert "1 image, 0.12 megapixels through the network: about 1.2 s" in estimate([(400, 300)], model, DEFAULTS)
    two = estimate([(400, 300), (800, 600)], model, DEFAULTS)
    assert "2 images, 0.60 megapixels through the network: about 6.0 s" in two
    assert "about 3 min 20 s" in estimate([(5000, 4000)], model, DEFAULTS)
    small = replace(model, export=replace(model.export, resized_px=30, applied_at="trained"))
    assert "0.00 megapixels through the network: about 0.0 s" in estimate([(400, 300)], small, DEFAULTS)
