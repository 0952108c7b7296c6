"""A resumed run equals the uninterrupted one, bit for bit."""

from __future__ import annotations

import pytest
import torch

from gantools import api
from gantools.checkpoint import state
from gantools.training.run.directory import RunDirectory


def flat(value, path=""):
    """Every leaf of a checkpoint's state by path."""
    if isinstance(value, dict):
        return {key: leaf for name, item in value.items() for key, leaf in flat(item, f"{path}/{name}").items()}
    if isinstance(value, list | tuple):
        return {key: leaf for name, item in enumerate(value) for key, leaf in flat(item, f"{path}/{name}").items()}
    return {path: value}


def assert_equal_states(one, other) -> None:
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for path, value in one.items():
        same = torch.equal(value, other[path]) if isinstance(value, torch.Tensor) else value == other[path]
        assert same, path


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("spec", ["pix2pix/shoes-64", "srgan/compact", "cyclegan/apple2orange-64"])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_resume_is_bit_equal(tiny, tmp_path, spec, stop, workers):
    if workers and stop != 1:
        pytest.skip("worker processes are slow to start; one stop with them is enough")
    settings = tiny(spec, f"data.workers={workers}", "train.preview_every_steps=2")
    whole = api.train(settings, run_dir=tmp_path / "whole")
    part = api.train(settings, run_dir=tmp_path / "part", max_steps=stop)
    assert (part.ending, part.step) == ("limit", stop)
    resumed = api.resume(part.path)
    assert (resumed.ending, resumed.step) == ("finished", whole.step)

    states = [state.newest(RunDirectory(run.path).checkpoints) for run in (whole, resumed)]
    assert states[0][0] == states[1][0] == 4
    assert_equal_states(states[0][1], states[1][1])
    last = [(run.path / "weights" / "last.safetensors").read_bytes() for run in (whole, resumed)]
    assert last[0] == last[1]


def test_previews_and_validation_leave_training_alone(tiny, tmp_path):
    quiet = tiny("pix2pix/shoes-64", "train.preview_every_steps=99", "train.validate_every_steps=99")
    busy = tiny("pix2pix/shoes-64", "train.preview_every_steps=1", "train.validate_every_steps=1")
    runs = [api.train(settings, run_dir=tmp_path / name) for settings, name in ((quiet, "quiet"), (busy, "busy"))]
    networks = [state.newest(run.path / "checkpoints")[1]["networks"] for run in runs]
    assert_equal_states(*networks)


def test_a_finished_run_resumes_to_nothing_more(tiny, tmp_path):
    run = api.train(tiny("pix2pix/shoes-64"), run_dir=tmp_path / "run")
    before = (run.path / "weights" / "last.safetensors").read_bytes()
    assert api.resume(run.path).ending == "finished"
    assert (run.path / "weights" / "last.safetensors").read_bytes() == before
