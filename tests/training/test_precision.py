"""What ``auto`` comes to: measured on a processor, kept by a run that goes on, the same for all ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.calls import Calls
from gantools import api, recipes, speed
from gantools.errors import UsageError
from gantools.losses.perceptual import PerceptualLoss
from gantools.training import setup
from gantools.training.device import precision
from gantools.training.device.runtime import Runtime
from gantools.training.distributed import communicator
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.distributed.rank_info import RankInfo
from gantools.training.state import RunSpec
from tests.measuring import measuring
from tests.training.runs import assert_equal_states

AUTO = ("train.precision=auto", "train.memory_format=auto")
FASTEST_BF16 = {"fp32": 1.0, "fp32 channels_last": 1.05, "bf16": 1.2, "bf16 channels_last": 1.9}


@pytest.fixture(autouse=True)
def _measured_and_not_kept(monkeypatch: pytest.MonkeyPatch, real_speed: None, tmp_path: Path) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(speed, "is_quiet", lambda: False)


def prepared(settings: api.Settings, **before: str) -> RunSpec:
    return setup.prepare(settings.recipe, settings.config, "cpu", before=before)


@pytest.mark.parametrize(
    ("spec", "ratios", "tried", "chosen", "line"),
    [
        (
            "srgan/compact",
            {"bf16": 1.2, "bf16_channels_last": 1.9},
            list(FASTEST_BF16),
            ("bf16", True),
            "bf16 channels_last 1.90 times",
        ),
        # As on a Xeon with AVX512-BF16, where bf16 convolutions are slower: steps in bf16 are not tried.
        (
            "srgan/compact",
            {"fp32_channels_last": 1.02, "bf16": 0.66, "bf16_channels_last": 0.6},
            ["fp32", "fp32 channels_last"],
            ("fp32", False),
            "bf16 0.66 times",
        ),
        # Norms over an image stay contiguous.
        (
            "cyclegan/apple2orange-64",
            {"bf16": 1.5, "bf16_channels_last": 9},
            ["fp32", "bf16"],
            ("bf16", False),
            "precision: bf16 (",
        ),
    ],
)
def test_the_fastest_precision_is_chosen_and_reported(tiny, monkeypatch, spec, ratios, tried, chosen, line):
    asked = measuring(monkeypatch, **ratios)
    made = prepared(tiny(spec, *AUTO))
    assert (made.runtime.precision, made.runtime.channels_last) == chosen
    assert asked == [list(FASTEST_BF16), tried]  # a convolution, then steps
    assert line in str(made.measured)
    assert setup.findings(made, dry_run=False)[1] == made.measured


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

    def after(settings: api.Settings) -> dict[str, Any]:
        networks = precision.networks_of(list(prepared(settings).recipe.stages()))
        return {"random": torch.get_rng_state(), **{name: one.state_dict() for name, one in networks.items()}}

    wanted = after(tiny(spec, "train.precision=fp32"))
    monkeypatch.setattr(speed, "ratios", played)
    assert_equal_states(after(tiny(spec, *AUTO)), wanted)


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

    resumed_in: list[str] = []
    monkeypatch.setattr(setup, "resume", lambda prepared, *_: resumed_in.append(prepared.runtime.precision))
    for overrides in ((), ("train.precision=fp32",)):
        with pytest.raises(AttributeError):  # there is no outcome: it did not train
            api.resume(begun.path, overrides=overrides)
    assert resumed_in == ["bf16", "fp32"]


class Second(ProcessGroup):
    """A rank that gets what the first one has decided, and decides nothing."""

    def __init__(self, given: Any) -> None:
        super().__init__(RankInfo(1, 2))
        self.given, self.asked = given, 0

    def broadcast(self, make: Callable[[], Any]) -> Any:
        self.asked += 1
        return self.given


def test_the_first_rank_decides_for_all(tiny, monkeypatch):
    asked = measuring(monkeypatch)
    settings = tiny("pix2pix/shoes-64", *AUTO)
    second = Second((precision.Choice("bf16", True), "a line"))
    machine = Runtime(torch.device("cpu"), "fp32", ranks=second)
    data = settings.recipe.dataset(settings.config, "training")
    made, line = precision.settle(machine, settings.recipe(settings.config), settings.config, data, {})
    assert made == replace(machine, precision="bf16", channels_last=True)
    assert (line, second.asked, asked) == ("a line", 1, [])


def test_what_the_first_rank_measures_asks_no_other(tiny, monkeypatch):
    """The others wait for its decision: a loss that asked them for a mean would wait for ever."""
    first, seen = ProcessGroup(RankInfo(0, 2)), []
    monkeypatch.setattr(communicator, "_current", first)
    monkeypatch.setattr(speed, "ratios", lambda contenders, **_: seen.append(communicator.current()) or FASTEST_BF16)
    settings = tiny("srgan/compact", *AUTO)
    machine = Runtime(torch.device("cpu"), "fp32", ranks=first)
    data = settings.recipe.dataset(settings.config, "training")
    precision.settle(machine, settings.recipe(settings.config), settings.config, data, {})
    assert seen
    assert {group.world_size for group in seen} == {1}
    assert communicator.current() is first


@pytest.mark.parametrize("recipe", recipes.names())
def test_what_was_measured_is_kept_for_images_of_that_size_only(recipe: str) -> None:
    data = recipes.find(recipe).config_type.model_fields["data"].annotation
    sizes = {name for name in data.model_fields if name in ("crop_px", "image_px", "channels", "batch_images")}
    assert len(sizes) > 1
    assert sizes <= set(precision._SHAPE)


def test_a_folder_that_is_not_empty_is_refused_before_anything_is_measured(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "ratios", lambda *_, **__: pytest.fail("measured first"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        api.train(tiny("srgan/compact", *AUTO), run_dir=tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    ("device", "spec", "layout"),
    [
        ("cuda", "pix2pix/shoes-64", True),
        ("cuda", "cyclegan/apple2orange-64", False),
        ("mps", "srgan/compact", False),
        ("mps", "pix2pix/shoes-64", False),
    ],
)
def test_the_layout_of_a_gpu_follows_from_the_networks(tiny, device, spec, layout):
    """Tensor cores want channels_last, but for norms over an image; Metal is wrong with it."""
    settings = tiny(spec, *AUTO)
    runtime = Runtime(torch.device(device), "bf16")
    data = settings.recipe.dataset(settings.config, "training")
    made, line = precision.settle(runtime, settings.recipe(settings.config), settings.config, data, {})
    assert (made.channels_last, line) == (layout, None)


def test_features_in_16_bits_are_those_of_autocast_without_converting_weights():
    """To the last bit, with their gradient; and near those of float32."""
    found, kept = {}, PerceptualLoss(network="squeezenet1_0", weights="random")
    truth = torch.rand(1, 3, 32, 32) * 2 - 1
    for name, place in {"fp32": None, "bf16": Runtime.place, "kept": Runtime.place_frozen}.items():
        runtime = Runtime(torch.device("cpu"), "fp32" if name == "fp32" else "bf16")
        (place or Runtime.place)(runtime, kept)
        fake = (truth / 2).requires_grad_()
        with Calls() as calls, runtime.autocast():
            distance = kept(fake, truth)
        assert distance.dtype == torch.float32
        found[name] = distance.detach(), *torch.autograd.grad(distance, fake)
        casts = calls.calls["aten._to_copy.default"]
        weights = 2 * 2 * 25  # of both images' passes, and biases
        assert casts >= weights if name == "bf16" else casts < weights
    assert_equal_states(found["kept"], found["bf16"])
    assert found["kept"][0] == pytest.approx(float(found["fp32"][0]), rel=0.02)
    assert torch.cosine_similarity(found["kept"][1].flatten(), found["fp32"][1].flatten(), dim=0) > 0.99


def test_only_steps_let_cudnn_try_algorithms():
    """Images of validation have many sizes, and each would be tried."""
    runtime, before = Runtime(torch.device("cuda"), "bf16"), torch.backends.cudnn.benchmark
    try:
        runtime.begin_step()
        assert torch.backends.cudnn.benchmark
        with runtime.any_size():
            assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = before
    Runtime(torch.device("cpu"), "fp32").begin_step()
    assert torch.backends.cudnn.benchmark == before
