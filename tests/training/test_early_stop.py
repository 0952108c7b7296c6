"""A run that stops early can be used: each checkpoint and stop leaves weights, and a stop a sample sheet."""

from __future__ import annotations

import os
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gantools import api, files
from gantools.checkpoint import state, weights
from gantools.errors import ModelFileError, TrainingError, UsageError
from gantools.exporting import newest
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.inference import find_weights
from gantools.recipes.pix2pix import Pix2Pix
from gantools.training import previews
from gantools.training.run import metrics_log
from gantools.training.run.directory import RunLock
from tests.training.listening import FullDisk, Listener

SPEC = "pix2pix/shoes-64"
SELDOM = tuple(f"train.{name}_every_steps=1000" for name in ("preview", "validate", "checkpoint", "log"))
FIRST_SECONDS = previews.FIRST_SECONDS  # before a fixture replaces it


def saved_step(run) -> int:
    return weights.describe(run / "weights" / "last.safetensors").about["step"]


def assert_exported_is_average(run) -> None:
    content = state.newest(run / "checkpoints")[1]
    average = content["average"]["average"] if content["average"] else content["networks"]
    exported = weights.load(run / "weights" / "last.safetensors").tensors["generator"]
    assert exported.keys() == average["generator"].keys()
    for name, tensor in exported.items():
        assert torch.equal(tensor, average["generator"][name]), name


@pytest.mark.parametrize("decay", ["null", "0.9"])
@pytest.mark.parametrize("stop", ["steps", "time", signal.SIGINT, signal.SIGTERM])
def test_every_stop_leaves_weights_a_sheet_a_row_and_a_report(tiny, tmp_path, monkeypatch, stop, decay):
    limits = {"steps": {"max_steps": 2}, "time": {"max_seconds": 99}}.get(stop, {})
    late = []
    monkeypatch.setattr("gantools.training.stopping.Stopping._is_late", lambda stopping: bool(late))

    def act(done: int) -> None:
        if done == 2 and stop == "time":
            late.append(done)
        elif done == 2 and not limits:
            os.kill(os.getpid(), stop)

    settings = tiny(SPEC, *SELDOM, f"train.ema_decay={decay}")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    run = api.train(settings, run_dir=tmp_path / "run", device="cpu", reporter=Listener(act), **limits)
    signal.signal(signal.SIGINT, before)
    assert (run.ending, run.step) == ("limit" if limits else "interrupted", 2)
    assert saved_step(run.path) == 2
    assert_exported_is_average(run.path)
    assert [path.name for path in (run.path / "samples").iterdir()] == ["000002.png"]
    (row,) = metrics_log.read(run.path / "metrics.jsonl")
    assert (row["step"], row["lr/generator"]) == (2, pytest.approx(4e-4))
    assert "No validation yet: the run stopped before step 1,000." in (run.path / "report.html").read_text()
    photo = tmp_path / "photo.png"
    writer.write(Image(np.full((32, 32, 3), 90, np.uint8)), photo)
    assert [result.status for result in api.infer(run.path, [photo], device="cpu")] == ["done"]
    monkeypatch.undo()
    assert api.resume(run.path, device="cpu").ending == "finished"
    assert saved_step(run.path) == 4


def test_every_checkpoint_has_its_weights_and_a_running_run_can_be_used(tiny, tmp_path):
    """In step 4 another process finds the weights of step 3."""
    seen = []

    def look(done: int) -> None:
        if done > 1:
            path = find_weights.resolve(tmp_path / "run")
            seen.append((done, path.name, weights.describe(path).about["step"]))
            assert find_weights.run_behind(tmp_path / "run") is None

    settings = tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1")
    api.train(settings, run_dir=tmp_path / "run", device="cpu", reporter=Listener(look))
    assert seen == [(done, "last.safetensors", done - 1) for done in (2, 3, 4)]


def test_best_weights_are_preferred_unless_they_are_of_an_earlier_stage(tiny, tmp_path):
    def found(run: api.TrainingRun) -> str:
        return find_weights.resolve(run.path).name

    settings = tiny(SPEC, *SELDOM, "train.validate_every_steps=1")
    run = api.train(settings, run_dir=tmp_path / "pix2pix", device="cpu", max_steps=2)
    assert {path.name for path in (run.path / "weights").iterdir()} == {"best.safetensors", "last.safetensors"}
    assert found(run) == "best.safetensors"
    run = api.train(tiny("srgan/compact", *SELDOM), run_dir=tmp_path / "srgan", device="cpu", max_steps=2)
    assert found(run) == "best.safetensors"
    api.resume(run.path, device="cpu", max_steps=3)  # adversarial training, not validated yet
    assert (run.path / "weights" / "best.safetensors").is_file()
    assert found(run) == "last.safetensors"
    (run.path / "weights" / "last.safetensors").unlink()
    assert found(run) == "best.safetensors"
    api.resume(run.path, device="cpu")
    assert found(run) == "best.safetensors"


def test_no_memory_for_the_last_sheet_is_a_warning(tiny, tmp_path, monkeypatch):
    def fails(_self, _batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Pix2Pix, "preview", fails)
    reporter = Listener()
    run = api.train(tiny(SPEC, *SELDOM), run_dir=tmp_path / "run", device="cpu", max_steps=2, reporter=reporter)
    assert (run.ending, saved_step(run.path)) == ("limit", 2)
    assert "does not fit into memory" in " ".join(reporter.lines)


class KilledError(BaseException):
    """In place of a kill."""


@pytest.fixture
def killed(tiny, tmp_path):
    """A run that was killed in step 3 between its checkpoint and its weights."""
    run = tmp_path / "run"

    def kill(event: str, path) -> None:
        if event == "create" and "weights" in path.parts and state.steps(run / "checkpoints")[-1:] == [3]:
            raise KilledError

    with pytest.raises(KilledError), files.observed(kill):
        api.train(tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1"), run_dir=run, device="cpu")
    assert (state.steps(run / "checkpoints"), saved_step(run)) == ([2, 3], 2)
    return run


def test_weights_that_a_kill_took_are_those_that_would_have_been_written(tiny, tmp_path, killed):
    settings = tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1")
    whole = api.train(settings, run_dir=tmp_path / "whole", device="cpu", max_steps=3)
    before = torch.get_rng_state()
    assert api.export_weights(killed) == killed / "weights" / "last.safetensors"
    assert torch.equal(torch.get_rng_state(), before)
    wanted = (whole.path / "weights" / "last.safetensors").read_bytes()
    assert (killed / "weights" / "last.safetensors").read_bytes() == wanted
    assert api.resume(killed, device="cpu").ending == "finished"


def test_a_run_with_checkpoints_alone_is_applied_measured_and_compared(killed, tmp_path, drawn):
    image, fresh = sorted((drawn / "shoes").rglob("*.png"))[0], tmp_path / "fresh"
    uses = (
        lambda run: list(api.infer(run, [image], output=tmp_path / "x.png", device="cpu")),
        lambda run: api.evaluate(run, drawn / "shoes", device="cpu"),
        lambda run: api.compare((str(run), str(image)), tmp_path / "grid.png", device="cpu"),
    )
    for use in uses:
        shutil.copytree(killed, fresh)
        (fresh / "weights" / "last.safetensors").unlink()
        with pytest.warns(UserWarning, match="ended without weights") as recorded:
            use(fresh)
        (line,) = [str(each.message) for each in recorded if "ended without weights" in str(each.message)]
        assert line.endswith(f"{fresh / 'weights' / 'last.safetensors'} now has them (step 3)")
        assert_exported_is_average(fresh)
        shutil.rmtree(fresh)


@pytest.mark.parametrize("spec", ["srgan/compact", "cyclegan/apple2orange-64", SPEC])
def test_every_kind_of_run_can_be_exported(tiny, tmp_path, spec):
    for decay in ("null", "0.9"):
        folder, file = tmp_path / decay, tmp_path / f"{decay}.safetensors"
        run = api.train(tiny(spec, f"train.ema_decay={decay}"), run_dir=folder, device="cpu", max_steps=3).path
        api.export_weights(run, file)
        assert file.read_bytes() == (run / "weights" / "last.safetensors").read_bytes()


def test_a_run_that_is_being_trained_keeps_its_weights(killed, tmp_path):
    with RunLock(killed):
        newest.make_ready(killed)
        assert saved_step(killed) == 2
        with pytest.raises(UsageError, match="being trained by process"):
            api.export_weights(killed)
        api.export_weights(killed, tmp_path / "mine.safetensors")
        assert weights.describe(tmp_path / "mine.safetensors").about["step"] == 3
        (killed / "weights" / "last.safetensors").unlink()
        with pytest.raises(UsageError, match=r"no weights yet, and .*being trained by .*weights export RUN -o FILE"):
            newest.make_ready(killed)


def test_what_cannot_be_exported_is_refused(killed, tmp_path):
    for folder in (killed / "checkpoints").iterdir():
        (folder / state.MANIFEST).write_bytes(b"")
    newest.make_ready(killed)
    assert saved_step(killed) == 2
    with pytest.raises(ModelFileError, match="no intact checkpoint"):
        api.export_weights(killed)
    (killed / "weights" / "last.safetensors").unlink()
    with pytest.raises(UsageError, match=r"no weights yet, and .*no intact checkpoint"):
        newest.make_ready(killed)
    for other in (tmp_path, "srgan"):
        newest.make_ready(other)
    with pytest.raises(UsageError, match="not a run directory"):
        api.export_weights(tmp_path)


def test_weights_that_cannot_be_written_are_a_failed_save(tiny, tmp_path):
    """Twice the run goes on and the old weights stay; at the end it may not be."""
    run, disk = tmp_path / "run", FullDisk(tmp_path / "run" / "weights", full=False)
    reporter = Listener(lambda done: setattr(disk, "full", done in (2, 3)))
    with files.observed(disk):
        api.train(tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1"), run_dir=run, device="cpu", reporter=reporter)
    lines = [line for line in reporter.lines if "not saved" in line]
    assert [line.partition(":")[0] for line in lines] == [f"weights of step {step} not saved" for step in (2, 3)]
    assert lines[0].endswith("the newest checkpoint is of step 2; training continues")
    assert saved_step(run) == 4
    with files.observed(FullDisk(tmp_path / "other" / "weights")), pytest.raises(TrainingError, match="--resume"):
        api.train(tiny(SPEC, *SELDOM), run_dir=tmp_path / "other", device="cpu", max_steps=1)
    assert state.steps(tmp_path / "other" / "checkpoints") == [1]


@pytest.mark.parametrize(
    ("every", "step_seconds", "wanted"),
    [
        (500, 0.5, [40, 80, 160, 320, 500, 1000]),
        (500, 0.01, [500, 1000]),  # what comes soon anyway is soon enough
        (2, 30.0, [1, 2, 4, 6]),
    ],
)
def test_the_first_sheet_comes_within_a_minute_and_the_next_ones_later_and_later(
    monkeypatch, every, step_seconds, wanted
):
    now, written = [1000.0], []
    monkeypatch.setattr(previews, "FIRST_SECONDS", FIRST_SECONDS)
    monkeypatch.setattr(previews.time, "monotonic", lambda: now[0])
    sheets = previews.Previews(SimpleNamespace(data=[]), None, every)
    for step in range(1, wanted[-1] + 1):
        now[0] += step_seconds
        if sheets.are_due(step):
            sheets.write(step)
            written.append(step)
    assert written == wanted
    assert FIRST_SECONDS < 60
