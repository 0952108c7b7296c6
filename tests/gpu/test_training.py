"""Every recipe trains a few steps on a GPU, in each arithmetic, compiled and with CUDA graphs, as it does on a CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks import training
from benchmarks.steps import CASES, FP32, Mode, modes, our_step
from gantools import api
from gantools.checkpoint import weights
from gantools.data.synthetic import drawing
from tests.benchmark.conftest import TOY, toy

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no CUDA device: what only a GPU can show was not run"
)
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
NAMES = [case.name for case in CASES]
MODES = [Mode("fp32", channels_last=True), Mode("bf16", channels_last=True)]
MODES += [Mode("bf16", channels_last=True, compiled=how) for how in ("networks", "graphs")]
STEPS = 6


@pytest.fixture(autouse=True)
def _fresh():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch._dynamo.reset()


def losses(name: str, device: torch.device, mode: Mode) -> list[dict[str, float]]:
    case = toy(name)
    if name == "pix2pix":
        case = replace(case, small=(*case.small, "model.generator.dropout_ups=0"))
    step = our_step(case.settings(small=True), case.stage, device, mode)
    return [{player: float(loss) for player, loss in step().items()} for _ in range(STEPS)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_losses_are_those_of_the_cpu(name: str, mode: Mode):
    """Dropout's random numbers differ between devices: pix2pix is built without. Later steps drift a little."""
    found, wanted = losses(name, CUDA, mode), losses(name, CPU, FP32)
    assert found[0] == pytest.approx(wanted[0], rel=1e-3 if mode.precision == "fp32" else 0.05)
    assert found[-1] == pytest.approx(wanted[-1], rel=0.02 if mode.precision == "fp32" else 0.3)
    assert found[0] != found[-1]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_stay_near_those_of_float64(name: str):
    for row in training.gradient_errors(toy(name), CUDA, modes(CUDA), small=True):
        bound, cosine = (1e-3, 0.9999) if "fp32" in row.mode else (0.45, 0.9)
        assert row.relative_error < bound, row
        assert row.cosine > cosine, row


@pytest.mark.parametrize("compiled", ["off", "networks", "graphs"])
def test_a_run_trains_validates_saves_and_resumes(compiled: str, tmp_path):
    """The whole loop, with batches copied on a stream of their own."""
    drawing.draw_dataset("shoes", tmp_path / "shoes", 12, 40, seed=0)
    overrides = [*TOY["pix2pix"], f"train.compile={compiled}", "train.precision=bf16", "train.log_every_steps=2"]
    overrides += ["stages.adversarial.epochs=null", "stages.adversarial.steps=8", "train.validate_every_steps=4"]
    settings = api.configure("pix2pix/shoes-64", data=[str(tmp_path / "shoes")], overrides=overrides)
    run = api.train(settings, run_dir=tmp_path / "run", device="cuda", max_steps=4)
    run = api.resume(run.path, device="cuda")
    assert run.ending == "finished"
    stored = weights.load(run.path / "weights" / "last.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in stored.tensors["generator"].values())


def test_batches_copied_ahead_are_those_of_the_cpu(tmp_path):
    from contextlib import closing

    from gantools.training.device.loader import DeviceLoader
    from gantools.training.device.runtime import Runtime

    drawing.draw_dataset("shoes", tmp_path, 12, 40, seed=0)
    settings = api.configure("pix2pix/shoes-64", data=[str(tmp_path)], overrides=TOY["pix2pix"])
    data = settings.recipe.dataset(settings.config, "training")
    feeds = [DeviceLoader(data, settings.config, Runtime(device, "fp32"), 0, print) for device in (CPU, CUDA)]
    with closing(feeds[0]), closing(feeds[1]):
        for _ in range(20):
            (here,), (there,) = (feed.step() for feed in feeds)
            assert here.names == there.names
            assert torch.equal(here.source, there.source.cpu())
            assert torch.equal(here.target, there.target.cpu())
