"""Trainings at a hundred times their learning rate: the health monitor must say so, and nothing of healthy ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gantools import api
from gantools.training.run import metrics_log
from tests.conftest import REPOSITORY
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import SHARED, micro, spawn

TOO_FAST = 100
STEPS = 500
PATIENCE_SECONDS = 1800.0
# The presets at 64 px and with few channels: a training takes about half a minute of a processor core.
_PHOTOS = ("photos_bsds500", "shoes_clothing_cc0")
_ALONE = ("stages.adversarial.epochs=null", f"stages.adversarial.steps={STEPS}")
_LONG = (
    *(one for one in SHARED if not one.startswith(("train.", "data.validation_share"))),
    "data.validation_share=0.02",
    "train.preview_every_steps=1000",
    "train.checkpoint_every_steps=1000",
)


@dataclass(frozen=True)
class Case:
    """A preset made small; the folders of real pictures that it is for."""

    spec: str
    small: tuple[str, ...]
    folders: tuple[str, ...] = _PHOTOS


CASES = (
    Case(
        "pix2pix/shoes-64",
        (
            "data.batch_images=4",
            "model.generator.base_channels=8",
            "model.generator.max_channels=64",
            "model.discriminator.base_channels=8",
            *_ALONE,
        ),
        ("shoes_fashion_60x80",),
    ),
    Case(
        "cyclegan/apple2orange-64",
        (
            "model.generator.base_channels=8",
            "model.generator.blocks=1",
            "model.discriminator.base_channels=8",
            "stages.adversarial.schedule={name: constant}",
            *_ALONE,
        ),
        ("apples_oranges_128/trainA_apples", "apples_oranges_128/trainB_oranges"),
    ),
    Case(
        "context_encoder/center-64",
        (
            "data.batch_images=8",
            "model.generator.base_channels=8",
            "model.generator.bottleneck_channels=120",
            "model.discriminator.base_channels=8",
            *_ALONE,
        ),
    ),
    Case(
        "srgan/mse",
        (
            "data.crop_px=64",
            "model.discriminator.crop_px=64",
            "model.discriminator.base_channels=8",
            "model.generator.channels=16",
            "model.generator.blocks=3",
            f"stages.pretraining.steps={STEPS}",
            "stages.adversarial.steps=1",
        ),
    ),
    Case(
        "deblur/compact",
        (
            "data.crop_px=64",
            "model.generator.channels=[8, 16, 32]",
            "model.generator.scale_blocks=[1, 1, 2]",
            f"stages.content.steps={STEPS}",
        ),
    ),
    Case(
        "restore/crappify-64",
        (
            "model.generator.base_channels=8",
            "model.critic.base_channels=8",
            f"stages.generator_pretraining.steps={STEPS}",
            "stages.critic_pretraining.steps=1",
            "stages.adversarial.steps=1",
        ),
    ),
)
# On drawn pictures of 32 px; a row every 20 steps, so that 160 are enough.
SHORT_SPECS = ("pix2pix/paper", "deblur/fpn")
_SHORT = (
    "stages.adversarial.steps=160",
    "train.log_every_steps=20",
    "train.preview_every_steps=1000",
    "train.validate_every_steps=1000",
    "train.checkpoint_every_steps=1000",
)


def flagged(trial: Trial, specs: Sequence[str] = SHORT_SPECS) -> Outcome:
    """Each training twice, side by side: as its preset has it, and at a hundred times the rate.

    The short form trains ``specs``.
    """
    outcome = Outcome()
    for spec, arguments in _trainings(trial, specs):
        rates = tuple(_rates(spec, TOO_FAST))
        runs = {factor: trial.folder / spec / f"x{factor}" for factor in (TOO_FAST, 1)}
        children = [
            spawn(run.with_suffix(".said"), *arguments, "--run-dir", run, *(rates if factor == TOO_FAST else ()))
            for factor, run in runs.items()
        ]
        ended = [child.end(PATIENCE_SECONDS) for child in children]
        fast, healthy = (_said(run) for run in runs.values())
        not_numbers = ended[0].code == 1 and "NaN" in ended[0].err
        outcome.case(
            not_numbers or bool(fast), f"{spec}: nothing said at {TOO_FAST} times the rate {ended[0].err[-200:]}"
        )
        outcome.case(ended[1].code == 0 and not healthy, f"{spec}: a healthy run: {healthy or ended[1].err[-200:]}")
        outcome.figures[spec] = f"told at step {fast[0][0]}" if fast else "stopped" if not_numbers else "not told"
        outcome.details += [f"{spec}, step {step}: {line}" for step, line in fast if trial.long]
    return outcome


def _trainings(trial: Trial, short: Sequence[str]) -> Iterator[tuple[str, tuple[str | Path, ...]]]:
    """Presets with what is typed for them, but for the run's folder and the rates."""
    if not trial.long:
        for spec in short:
            yield spec, micro(trial.folder, spec).typed(*_SHORT)
        return
    pictures = Path(os.environ.get("GANTOOLS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    for case in CASES:
        folders = [pictures / name for name in case.folders]
        if not all(folder.is_dir() for folder in folders):
            raise FileNotFoundError(f"{folders}: the long form needs real pictures; set GANTOOLS_TEST_DATA")
        unpaired = case.spec.startswith("cyclegan")
        data = [f"data.{domain}={folder}" for domain, folder in zip("ab", folders, strict=True)] if unpaired else []
        typed = [word for folder in folders for word in ("--data", folder)] if not unpaired else data
        yield case.spec, ("train", case.spec, *typed, *_LONG, *case.small)


def _rates(spec: str, factor: float) -> Iterator[str]:
    """Every learning rate of a preset, times ``factor``, as it is typed."""
    for name, stage in dict(api.configure(spec).config.stages).items():
        for player, optimizer in dict(stage.optimizers).items() if stage else ():
            yield f"stages.{name}.optimizers.{player}.lr={factor * optimizer.lr:g}"


def _said(run: Path) -> list[tuple[int, str]]:
    """The warnings in a run's journal, each with its step, up to the 500th."""
    rows = metrics_log.read(run / "metrics.jsonl") if (run / "metrics.jsonl").exists() else []
    return [(row["step"], row["warning"]) for row in rows if "warning" in row and row["step"] <= STEPS]
