"""A resumed run equals the uninterrupted one, bit for bit."""

from __future__ import annotations

import pytest

from gantools import api
from gantools.checkpoint import state
from gantools.training.run.directory import RunDirectory
from tests.training.runs import assert_equal_states


@pytest.mark.parametrize(("stop", "workers"), [(1, 0), (2, 0), (3, 0), (1, 2)])
@pytest.mark.parametrize("spec", ["pix2pix/shoes-64", "srgan/compact", "cyclegan/apple2orange-64"])
def test_resume_is_bit_equal(tiny, tmp_path, spec, stop, workers):
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
    assert api.resume(part.path).ending == "finished"  # nothing is left to do
    assert (part.path / "weights" / "last.safetensors").read_bytes() == last[0]


def test_previews_and_validation_leave_training_alone(tiny, tmp_path):
    quiet = tiny("pix2pix/shoes-64", "train.preview_every_steps=99", "train.validate_every_steps=99")
    busy = tiny("pix2pix/shoes-64", "train.preview_every_steps=1", "train.validate_every_steps=1")
    runs = [api.train(settings, run_dir=tmp_path / name) for settings, name in ((quiet, "quiet"), (busy, "busy"))]
    networks = [state.newest(run.path / "checkpoints")[1]["networks"] for run in runs]
    assert_equal_states(*networks)
