"""Every recipe trains a few steps on a GPU, in each precision, compiled and with CUDA graphs, as it does on a CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import closing
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from benchmarks import training
from benchmarks.steps import CASES, FP32, Case, Mode, modes, our_play, our_step
from gantools import api
from gantools.checkpoint import weights
from gantools.data.synthetic import drawing
from gantools.models.blocks import InstanceNorm
from gantools.training.device.loader import DeviceLoader
from gantools.training.device.runtime import Runtime
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.distributed.rank_info import RankInfo
from gantools.training.step import StageTrainer
from tests.benchmark.conftest import TOY, toy
from tests.gpu.conftest import DEVICE, NAME, NEEDS_CUDA, ON_CUDA
from tests.models.test_blocks import FORMATS, assert_instance_norm

CPU = torch.device("cpu")
NAMES = [case.name for case in CASES]
MODES = [Mode("fp32", channels_last=True), Mode("bf16", channels_last=True)]
COMPILED = [Mode("bf16", channels_last=True, compiled=how) for how in ("networks", "graphs")]
STEPS = 6
# A critic with a gradient penalty, which is differentiated twice.
PENALTY = Case(
    "wasserstein",
    "deblur/motion",
    "adversarial",
    small=(
        "data.crop_px=32",
        "data.batch_images=1",
        "data.workers=0",
        "model.generator={name: resnet, base_channels: 4, blocks: 1, global_residual: true}",
        "model.discriminator={name: patchgan, base_channels: 4, downs: 1, norm: instance}",
        "model.perceptual=null",
        "model.pixel_weight=1",
        "model.critic_turns=1",
    ),
)


def case_of(name: str) -> Case:
    """A toy case without dropout, whose random numbers differ between devices."""
    case = toy(name)
    still = ("model.generator.dropout_ups=0",) if name == "pix2pix" else ()
    return replace(case, small=(*case.small, *still))


def losses(name: str, device: torch.device, mode: Mode) -> list[dict[str, float]]:
    case = case_of(name)
    step = our_step(case.settings(small=True), case.stage, device, mode)
    return [{player: float(loss) for player, loss in step().items()} for _ in range(STEPS)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [*MODES, *(COMPILED if ON_CUDA else ())], ids=lambda mode: mode.name)
def test_losses_are_those_of_the_cpu(name: str, mode: Mode):
    """Later steps drift a little."""
    found, wanted = losses(name, DEVICE, mode), losses(name, CPU, FP32)
    assert found[0] == pytest.approx(wanted[0], rel=1e-3 if mode.precision == "fp32" else 0.05)
    assert found[-1] == pytest.approx(wanted[-1], rel=0.02 if mode.precision == "fp32" else 0.3)
    assert found[0] != found[-1]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_stay_near_those_of_float64(name: str):
    for row in training.gradient_errors(toy(name), DEVICE, modes(DEVICE), small=True):
        bound, cosine = (1e-3, 0.9999) if "fp32" in row.mode else (0.45, 0.9)
        assert row.relative_error < bound, row
        assert row.cosine > cosine, row


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("gradient_format", FORMATS, ids=str)
@pytest.mark.parametrize("input_format", FORMATS, ids=str)
def test_gradients_of_instance_norm_in_every_layout(count: int, input_format, gradient_format):
    assert_instance_norm(InstanceNorm(6), count, input_format, gradient_format, NAME)


def trainer_of(case: Case, runtime: Runtime) -> tuple[StageTrainer, object]:
    return our_play(case.settings(small=True), case.stage, runtime)


@pytest.mark.parametrize("case", [*map(case_of, NAMES), PENALTY], ids=lambda case: case.name)
def test_an_overflow_in_fp16_changes_nothing_and_lowers_the_scale(case: Case):
    trainer, batch = trainer_of(case, Runtime(DEVICE, "fp16"))
    networks = [network for player in trainer.stage.players.values() for network in player.networks.values()]

    def values() -> list[Tensor]:
        return [one.detach().clone() for network in networks for one in network.parameters()]

    def step_with(scale: float) -> None:
        trainer.scalers = {name: torch.amp.GradScaler(DEVICE.type, init_scale=scale) for name in trainer.scalers}
        trainer.step(0, [batch], 1.0)

    before = values()
    step_with(2.0**100)
    assert all(torch.equal(one, other) for one, other in zip(before, values(), strict=True))
    assert all(scaler.get_scale() < 2.0**100 for scaler in trainer.scalers.values())
    step_with(2.0**4)
    assert not all(torch.equal(one, other) for one, other in zip(before, values(), strict=True))
    assert all(bool(torch.isfinite(one).all()) for one in values())


@NEEDS_CUDA
@pytest.mark.parametrize("case", [*map(case_of, NAMES), PENALTY], ids=lambda case: case.name)
def test_a_step_never_makes_the_host_wait(case: Case):
    trainer, batch = trainer_of(case, FP32.machine(DEVICE))
    for number in range(2):
        trainer.step(number, [batch], 1.0)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            trainer.step(2, [batch], 1.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert not [one for one in heard if "synchroniz" in str(one.message)]


@NEEDS_CUDA
@pytest.mark.parametrize("mode", COMPILED, ids=lambda mode: mode.name)
def test_a_gradient_penalty_trains_beside_compiled_networks(mode: Mode):
    trainer, batch = trainer_of(PENALTY, mode.machine(DEVICE))
    for number in range(3):
        turns = trainer.step(number, [batch], 1.0)
        assert all(bool(torch.isfinite(terms.total)) for terms in turns.values())


@pytest.mark.parametrize("compiled", ["auto", "off", "networks", "graphs"] if ON_CUDA else ["off"])
def test_a_run_trains_validates_saves_and_resumes(compiled: str, tmp_path):
    """The whole loop, with batches copied on a stream of their own."""
    drawing.draw_dataset("shoes", tmp_path / "shoes", 12, 40, seed=0)
    overrides = [*TOY["pix2pix"], f"train.compile={compiled}", "train.precision=bf16", "train.log_every_steps=2"]
    overrides += ["stages.adversarial.epochs=null", "stages.adversarial.steps=8", "train.validate_every_steps=4"]
    settings = api.configure("pix2pix/shoes-64", data=[str(tmp_path / "shoes")], overrides=overrides)
    run = api.train(settings, run_dir=tmp_path / "run", device=NAME, max_steps=4)
    run = api.resume(run.path, device=NAME)
    assert run.ending == "finished"
    stored = weights.load(run.path / "weights" / "last.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in stored.tensors["generator"].values())


def test_a_killed_run_is_resumed_exported_and_used(tmp_path):
    """By the command line, as a user would."""
    drawing.draw_dataset("shoes", tmp_path / "shoes", 12, 40, seed=0)
    folder = tmp_path / "run"
    settings = [*TOY["pix2pix"], "data.workers=1", "stages.adversarial.epochs=null", "stages.adversarial.steps=60"]
    train = ["train", "pix2pix/shoes-64", "--data", tmp_path / "shoes", "--run-dir", folder, *settings]

    def gantools(*arguments: object) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "gantools", *map(str, arguments), "--device", NAME]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    process = gantools(*train, "train.checkpoint_every_steps=5")
    while process.poll() is None and not any(folder.glob("checkpoints/step-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert gantools("train", "--resume", folder).wait() == 0
    image = next((tmp_path / "shoes").rglob("*.png"))
    assert gantools("infer", folder, image, "-o", tmp_path / "made.png").wait() == 0


def test_batches_copied_ahead_are_those_of_the_cpu(tmp_path):
    drawing.draw_dataset("shoes", tmp_path, 12, 40, seed=0)
    settings = api.configure("pix2pix/shoes-64", data=[str(tmp_path)], overrides=TOY["pix2pix"])
    data = settings.recipe.dataset(settings.config, "training")
    loaders = [DeviceLoader(data, settings.config, Runtime(device, "fp32"), 0, warn=print) for device in (CPU, DEVICE)]
    with closing(loaders[0]), closing(loaders[1]):
        for _ in range(20):
            (here,), (there,) = (loader.step() for loader in loaders)
            assert here.names == there.names
            assert torch.equal(here.source, there.source.cpu())
            assert torch.equal(here.target, there.target.cpu())


def test_a_process_group_of_one_rank_changes_nothing():
    """NCCL for a GPU's tensors, gloo for others."""
    store = dist.HashStore()
    dist.init_process_group("cpu:gloo,cuda:nccl" if ON_CUDA else "gloo", store=store, rank=0, world_size=1)
    try:
        group, network = ProcessGroup(RankInfo(), store), torch.nn.Conv2d(3, 8, 3).to(DEVICE)
        group.broadcast_weights([network])
        expected = torch.autograd.grad(network(torch.ones(1, 3, 8, 8, device=DEVICE)).sum(), [*network.parameters()])
        with group.averaging(network.parameters()):
            network(torch.ones(1, 3, 8, 8, device=DEVICE)).sum().backward()
        assert all(torch.equal(one.grad, other) for one, other in zip(network.parameters(), expected, strict=True))
        assert group.all_reduce_mean({"loss": 2.0}) == {"loss": 2.0}
    finally:
        dist.destroy_process_group()
