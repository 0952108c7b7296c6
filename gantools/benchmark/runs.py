"""Our loop on drawn pictures: how long it waits for them, and how losses go in each arithmetic."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import torch

from gantools import api
from gantools.benchmark.cases import Case
from gantools.benchmark.contenders import Mode, built, optimizers_of
from gantools.data.synthetic import drawing
from gantools.training.device.loader import Feed
from gantools.training.step import StagePlay

PICTURES = 24

Curves = dict[str, list[float]]


def drawn(case: Case, folder: Path, *, small: bool) -> api.Settings:
    """The case's configuration on pictures drawn for it in ``folder``."""
    data = case.settings(small=small).config.data
    side_px = max(getattr(data, "load_px", None) or 0, data.crop_px)  # type: ignore[attr-defined]
    kind = drawing.RECIPE_KINDS[case.preset.split("/")[0]]
    drawing.draw_dataset(kind, folder, PICTURES, side_px, seed=0)
    return case.settings(small=small, data=str(folder))


def data_wait_share(case: Case, settings: api.Settings, device: torch.device, mode: Mode, steps: int) -> float:
    """The share of the time of ``steps`` steps that the loop waits for batches, after two to warm up."""
    waited = total = 0.0
    with closing(_played(case, settings, device, mode)) as played:
        for step, (waiting, seconds, _) in zip(range(steps + 2), played, strict=False):
            if step >= 2:
                waited, total = waited + waiting, total + seconds
    return waited / total


def curves(case: Case, settings: api.Settings, device: torch.device, mode: Mode, steps: int) -> Curves:
    """Every player's total loss at each step, from the same weights on the same batches."""
    found: Curves = {}
    with closing(_played(case, settings, device, mode)) as played:
        for _, (_, _, losses) in zip(range(steps), played, strict=False):
            for player, loss in losses.items():
                found.setdefault(player, []).append(loss)
    return found


def _played(
    case: Case, settings: api.Settings, device: torch.device, mode: Mode
) -> Generator[tuple[float, float, dict[str, float]], None, None]:
    """Steps without end: seconds waited, seconds in all, losses."""
    machine = mode.machine(device)
    recipe, stage = built(settings, case.stage, machine)
    play = StagePlay(recipe, stage, optimizers_of(settings, case.stage), machine)
    data = settings.recipe.dataset(settings.config, "training")
    with closing(Feed(data, settings.config, machine, 0, lambda _line: None)) as feed:
        step = 0
        while True:
            start = time.perf_counter()
            batches = feed.step()
            waited = time.perf_counter() - start
            losses = {name: float(terms.total) for name, terms in play.step(step, batches, 1.0).items()}
            yield waited, time.perf_counter() - start, losses
            step += 1
