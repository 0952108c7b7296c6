"""Validation and sample sheets show what the exported network makes, and leave the training alone."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from gantools import api
from gantools.checkpoint import state, weights
from gantools.config.schema import TrainOptions
from gantools.data.loading.batches import LowHigh, Masked, Restoration
from gantools.data.loading.sampler import SampleKey
from gantools.data.synthetic import drawing
from gantools.errors import TrainingError
from gantools.evaluation.run_model import RunModel
from gantools.images.io import reader
from gantools.inference.model import open_model
from gantools.recipes.pix2pix import Pix2Pix
from gantools.recipes.srgan import Srgan
from gantools.training import rng, setup
from gantools.training.device.runtime import Runtime
from gantools.training.distributed import batch_norm
from gantools.training.state import TrainState
from gantools.training.validation import Validation
from tests.training.runs import assert_equal_states

SPEC = "pix2pix/shoes-64"
DROPOUT = ("model.inference=train", "model.generator.dropout_ups=2")
CPU = torch.device("cpu")


@pytest.fixture
def shown(tmp_path):
    """Photos for validation alone."""
    drawing.draw_dataset("shoes", tmp_path / "shown", 5, 20, seed=7)
    return tmp_path / "shown"


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("decay", ["null", "0.5"])
def test_a_network_that_keeps_dropout_is_validated_as_eval_measures_it(tiny, tmp_path, shown, decay, layout):
    settings = tiny(
        SPEC,
        *DROPOUT,
        f"data.validation_dir={shown}",
        f"train.ema_decay={decay}",
        f"train.memory_format={layout}",
    )
    run = api.train(settings, run_dir=tmp_path / "run", device="cpu")
    assert weights.describe(run.path / "weights" / "last.safetensors").exports["generator"].mode == "train"
    found = api.evaluate(run.path / "weights" / "last.safetensors", shown, device="cpu").means()["model"]
    assert {name: run.validation[name] for name in Pix2Pix.metrics} == pytest.approx(
        {name: found[name] for name in Pix2Pix.metrics}, rel=1e-3
    )


def test_sample_sheets_show_what_inference_makes_of_the_source(tiny, tmp_path, shown):
    settings = tiny(SPEC, *DROPOUT, f"data.validation_dir={shown}", "train.ema_decay=null")
    prepared = setup.prepare(settings.recipe, settings.config, "cpu")
    state = TrainState(prepared)
    with state.validation.at_rest():
        sheets = [state.validation.apply(prepared.recipe.preview, 1)["generated"] for _ in range(2)]
    assert torch.equal(*sheets)
    path = tmp_path / "x.safetensors"
    weights.save(path, "pix2pix", prepared.recipe.exports(), {"generator": prepared.recipe.generator}, {})
    made = RunModel(open_model(path, export=None, device=CPU))(prepared.validation[SampleKey(0, 1)].source)
    assert np.abs(((sheets[0][0].permute(1, 2, 0) + 1) * 127.5).numpy() - made).max() < 1


def test_validation_in_training_mode_leaves_the_training_alone(tiny, tmp_path):
    """Random streams and running statistics are those of a run without it."""
    networks = []
    for name, every in (("quiet", 99), ("busy", 1)):
        often = [f"train.{what}_every_steps={every}" for what in ("preview", "validate")]
        settings = tiny(SPEC, *DROPOUT, "train.ema_decay=null", *often)
        run = api.train(settings, run_dir=tmp_path / name, device="cpu", max_steps=3)
        networks.append(state.newest(run.path / "checkpoints")[1])
    assert_equal_states(*({key: each[key] for key in ("networks", "streams", "play")} for each in networks))


def test_statistics_over_all_ranks_wait_for_nobody_in_validation(monkeypatch):
    """Ranks look at different numbers of images then."""
    group = SimpleNamespace(world_size=2, mean=lambda values: pytest.fail("asked another rank"))
    monkeypatch.setattr(batch_norm.communicator, "current", lambda: group)
    torch.manual_seed(0)
    network, images = nn.Sequential(nn.BatchNorm2d(4)), torch.randn(2, 4, 5, 5)
    alone = network(images)
    batch_norm.share_statistics(network)
    with torch.no_grad():
        assert torch.equal(network(images), alone)
    with pytest.raises(pytest.fail.Exception):
        network(images)


class TwoDevices:
    """Stands in for the random states of two CUDA devices; asking for those of all devices fails."""

    def __init__(self, monkeypatch) -> None:
        self.states = {0: torch.tensor([1]), 1: torch.tensor([2])}
        monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: self.states[device.index])
        monkeypatch.setattr(
            torch.cuda, "set_rng_state", lambda state, device: self.states.update({device.index: state})
        )
        for name in ("get_rng_state_all", "set_rng_state_all"):
            monkeypatch.setattr(torch.cuda, name, lambda *_: pytest.fail("all devices were asked"))

    def values(self) -> list[int]:
        return [int(state) for state in self.states.values()]


def test_only_the_own_devices_random_state_is_saved_and_restored(monkeypatch):
    own, devices = torch.device("cuda:1"), TwoDevices(monkeypatch)
    saved = rng.state(own)
    assert torch.equal(saved["cuda"], torch.tensor([2]))
    with rng.preserved(own):
        devices.states = {0: torch.tensor([8]), 1: torch.tensor([9])}
        torch.manual_seed(3)
    assert devices.values() == [8, 2]
    assert torch.equal(rng.state(CPU)["cpu"], saved["cpu"])
    assert rng.state(CPU).keys() == {"cpu"}


def test_random_states_of_old_checkpoints_are_taken(monkeypatch):
    """They have a list of all devices', which is empty without CUDA."""
    own, devices = torch.device("cuda:1"), TwoDevices(monkeypatch)
    for stored in ([torch.tensor([5]), torch.tensor([6])], [], [torch.tensor([7])]):
        for device in (own, CPU):
            rng.load_state({"cpu": torch.get_rng_state(), "cuda": stored}, device)
        assert devices.values() == [1, 6]


def ramp(height: int, width: int, channels: int = 3) -> torch.Tensor:
    """A batch of one image whose every sample tells where it stands."""
    places = torch.arange(height * width).reshape(1, height, width, 1) % 251
    return places.expand(1, height, width, channels).to(torch.uint8)


def middle(batch, largest_px: int | None = 64, size_multiple: int = 1, trained_px: int = 16):
    """What is validated of a batch, for a network with these needs."""
    export = weights.Export("g", {}, 1, size_multiple, trained_px=trained_px)
    recipe = SimpleNamespace(exports=lambda: {"generator": export})
    return Validation(recipe, None, {}, None, None, largest_px)._middle(batch)


def test_of_large_images_the_middle_is_validated_alike_in_all_parts_of_a_pair():
    pair = Restoration(ramp(100, 50), ramp(100, 50), ("a",))
    cut = middle(pair)
    assert torch.equal(cut.degraded, pair.degraded[:, 18:82])
    assert torch.equal(cut.clean, pair.clean[:, 18:82])
    pair = LowHigh(ramp(25, 40), ramp(100, 160), ("a",))
    cut = middle(pair)
    assert torch.equal(cut.low, pair.low[:, 4:20, 12:28])
    assert torch.equal(cut.high, pair.high[:, 16:80, 48:112])
    cut = middle(Masked(ramp(70, 64), ramp(70, 64, 1), ramp(70, 64), ("a",)))
    assert (cut.image.shape, cut.mask.shape, cut.shown.shape) == ((1, 64, 64, 3), (1, 64, 64, 1), (1, 64, 64, 3))


@pytest.mark.parametrize(
    ("largest_px", "multiple", "kept"),
    [(None, 32, 100), (100, 32, 100), (64, 32, 64), (63, 32, 32), (20, 32, 32), (1, 32, 32), (20, 1, 32)],
)
def test_the_middle_fits_the_network_and_is_never_below_what_it_is_trained_on(largest_px, multiple, kept):
    cut = middle(Restoration(ramp(100, 100), ramp(100, 100), ("a",)), largest_px, size_multiple=multiple, trained_px=32)
    assert cut.clean.shape == (1, kept, kept, 3)


def test_a_run_validates_and_draws_no_larger_images_than_it_should(tiny, tmp_path, monkeypatch):
    """48 px photos, enlarged by four from 12 px: at most 32 px, from 8 px."""
    seen, original = [], Srgan.validate
    monkeypatch.setattr(Srgan, "validate", lambda self, batch: seen.append(batch.high.shape) or original(self, batch))
    run = api.train(tiny("srgan/compact", "train.validation_px=32"), run_dir=tmp_path / "run", device="cpu")
    assert set(seen) == {(1, 3, 32, 32)}
    sheet = reader.read_rgb8(sorted((run.path / "samples").iterdir())[-1])
    whole = api.train(tiny("srgan/compact"), run_dir=tmp_path / "whole", device="cpu")
    assert sheet.shape[1] < reader.read_rgb8(sorted((whole.path / "samples").iterdir())[-1]).shape[1]
    assert all(math.isfinite(value) for value in run.validation.values())
    assert TrainOptions().validation_px == 1024


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 17.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB)"),
    ],
)
@pytest.mark.parametrize("when", ["validate", "preview"])
def test_no_memory_in_validation_is_one_line_that_names_the_setting(tiny, tmp_path, monkeypatch, when, error):
    def fails(_self, _batch):
        raise error

    monkeypatch.setattr(Srgan, when, fails)
    settings = tiny("srgan/compact")
    with pytest.raises(TrainingError, match=r"48 px on its longest side.*--resume RUN train\.validation_px=24") as said:
        api.train(settings, run_dir=tmp_path / "run", device="cpu")
    assert "\n" not in str(said.value)
    assert state.steps(tmp_path / "run" / "checkpoints") == [2]
    monkeypatch.undo()
    assert api.resume(tmp_path / "run", overrides=["train.validation_px=24"], device="cpu").ending == "finished"


def test_memory_format_and_modes_are_back_after_a_validation(tiny):
    """A run on channels_last goes on in it."""
    settings = tiny(SPEC, *DROPOUT, "train.memory_format=channels_last")
    state = TrainState(setup.prepare(settings.recipe, settings.config, "cpu"))
    assert isinstance(state.runtime, Runtime)
    weight = next(value for value in state.recipe.generator.parameters() if value.dim() == 4)
    before = weight.stride()
    with state.validation.at_rest():
        assert weight.is_contiguous()
        assert state.recipe.generator.training
        assert not state.recipe.discriminator.training
    assert weight.stride() == before
