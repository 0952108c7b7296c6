"""What ``auto`` comes to: measured on a processor, kept by a run that goes on, the same for all ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gantools import api, speed
from gantools.training import setup
from gantools.training.device import precision
from gantools.training.device.runtime import Runtime
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.distributed.rank_info import RankInfo
from gantools.training.state import RunSpec
from tests.measuring import measuring

AUTO = ("train.precision=auto", "train.memory_format=auto")
FASTEST_BF16 = {"fp32": 1.0, "fp32 channels_last": 1.05, "bf16": 1.2, "bf16 channels_last": 1.9}


@pytest.fixture(autouse=True)
def _measured_and_not_kept(monkeypatch: pytest.MonkeyPatch, real_speed: None, tmp_path: Path) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(speed, "is_quiet", lambda: False)


def prepared(settings: api.Settings, **before: str) -> RunSpec:
    return setup.prepare(settings.recipe, settings.config, "cpu", before=before)


def test_the_faster_precision_is_chosen_and_said(tiny, monkeypatch):
    asked = measuring(monkeypatch, bf16=1.2, bf16_channels_last=1.9)
    made = prepared(tiny("srgan/compact", *AUTO))
    assert (made.runtime.precision, made.runtime.channels_last) == ("bf16", True)
    assert asked == [list(FASTEST_BF16)] * 2  # a convolution, then steps
    assert made.measured is not None
    assert made.measured.startswith("precision: bf16 channels_last (")
    assert "bf16 channels_last 1.90 times" in made.measured
    assert setup.findings(made, dry_run=False)[1] == made.measured


def test_where_bf16_is_slower_fp32_is_chosen(tiny, monkeypatch):
    """As on a Xeon with AVX512-BF16: its convolutions are 0.66 times as fast, and so steps in bf16 are not tried."""
    asked = measuring(monkeypatch, fp32_channels_last=1.02, bf16=0.66, bf16_channels_last=0.6)
    made = prepared(tiny("srgan/compact", *AUTO))
    assert (made.runtime.precision, made.runtime.channels_last) == ("fp32", False)
    assert asked[1:] == [["fp32", "fp32 channels_last"]]
    assert "bf16 0.66 times" in str(made.measured)


def test_norms_over_an_image_stay_contiguous(tiny, monkeypatch):
    asked = measuring(monkeypatch, bf16=1.5, bf16_channels_last=9)
    made = prepared(tiny("cyclegan/apple2orange-64", *AUTO))
    assert asked[1:] == [["fp32", "bf16"]]
    assert (made.runtime.precision, made.runtime.channels_last) == ("bf16", False)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_precision_that_was_asked_for_is_not_measured(tiny, monkeypatch, precision):
    asked = measuring(monkeypatch)
    for spec, layout in (("srgan/compact", True), ("pix2pix/shoes-64", False), ("cyclegan/apple2orange-64", False)):
        made = prepared(tiny(spec, f"train.precision={precision}", "train.memory_format=auto"))
        assert (made.runtime.precision, made.runtime.channels_last, made.measured) == (precision, layout, None)
    assert not asked


@pytest.mark.parametrize(("spec", "layout"), [("srgan/compact", True), ("pix2pix/shoes-64", False)])
def test_long_steps_are_judged_by_a_convolution_in_the_usual_layout(tiny, monkeypatch, spec, layout):
    def given(contenders: dict[str, Any], most_seconds: float | None = None) -> dict[str, float]:
        if most_seconds is not None:
            raise speed.TooSlow
        return FASTEST_BF16

    monkeypatch.setattr(speed, "ratios", given)
    made = prepared(tiny(spec, *AUTO))
    assert (made.runtime.precision, made.runtime.channels_last) == ("bf16", layout)


@pytest.mark.parametrize("spec", ["pix2pix/shoes-64", "srgan/compact", "cyclegan/apple2orange-64"])
def test_every_step_that_is_timed_can_be_played_and_changes_nothing(tiny, monkeypatch, spec):
    """Networks, random numbers and what is trained afterwards are as if nothing had been measured."""

    def played(contenders: dict[str, speed.Contender], **_: Any) -> dict[str, float]:
        for ready in contenders.values():
            for _ in range(2):
                ready()()
        return dict.fromkeys(contenders, 1.2)

    def after(settings: api.Settings) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        made = prepared(settings)
        networks = precision.networks_of(list(made.recipe.stages()))
        states = {f"{name}.{key}": value for name, one in networks.items() for key, value in one.state_dict().items()}
        return states, torch.get_rng_state()

    wanted = after(tiny(spec, "train.precision=fp32"))
    monkeypatch.setattr(speed, "ratios", played)
    found = after(tiny(spec, *AUTO))
    assert torch.equal(found[1], wanted[1])
    assert found[0].keys() == wanted[0].keys()
    assert all(torch.equal(value, wanted[0][name]) for name, value in found[0].items())


def test_a_run_that_goes_on_keeps_its_precision(tiny, tmp_path, monkeypatch):
    measuring(monkeypatch, bf16=1.5)
    begun = api.train(tiny("pix2pix/shoes-64", *AUTO), run_dir=tmp_path / "run", max_steps=1)
    facts = json.loads((begun.path / "run.json").read_text())
    assert (facts["precision"], facts["memory_format"]) == ("bf16", "contiguous")

    asked = measuring(monkeypatch, fp32_channels_last=9)  # another day, another winner
    settings = api.read_config(begun.path / "config.yaml")
    made = prepared(settings, **{key: facts[key] for key in ("device", "precision", "memory_format")})
    assert (made.runtime.precision, made.runtime.channels_last, made.measured) == ("bf16", False, None)
    assert not asked

    said: list[str] = []
    seen = monkeypatch.setattr(setup, "resume", lambda prepared, *_: said.append(prepared.runtime.precision))
    assert seen is None
    for overrides in ((), ("train.precision=fp32",)):
        with pytest.raises(AttributeError):  # there is no outcome: it did not train
            api.resume(begun.path, overrides=overrides)
    assert said == ["bf16", "fp32"]


class Second(ProcessGroup):
    """A rank that is told what the first one has decided, and decides nothing."""

    def __init__(self, told: Any) -> None:
        super().__init__(RankInfo(1, 2))
        self.told, self.asked = told, 0

    def broadcast(self, make: Callable[[], Any]) -> Any:
        self.asked += 1
        return self.told


def test_the_first_rank_decides_for_all(tiny, monkeypatch):
    asked = measuring(monkeypatch)
    settings = tiny("pix2pix/shoes-64", *AUTO)
    second = Second((precision.Choice("bf16", True), "a line"))
    machine = Runtime(torch.device("cpu"), "fp32", ranks=second)
    data = settings.recipe.dataset(settings.config, "training")
    made, line = precision.settle(machine, settings.recipe(settings.config), settings.config, data, {})
    assert made == replace(machine, precision="bf16", channels_last=True)
    assert (line, second.asked, asked) == ("a line", 1, [])
