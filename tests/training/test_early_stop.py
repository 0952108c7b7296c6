"""A run that stops early can be used: each checkpoint and stop leaves weights, and a stop a sample sheet."""

from __future__ import annotations

import os
import shutil
import signal

import numpy as np
import pytest
import torch

from gantools import api, exporting, files
from gantools.checkpoint import state, weights
from gantools.errors import ModelFileError, TrainingError, UsageError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.inference import find_weights
from gantools.recipes.pix2pix import Pix2Pix
from gantools.training import previews
from gantools.training.reporter import Silent
from gantools.training.run import metrics_log
from gantools.training.run.directory import RunLock

SPEC = "pix2pix/shoes-64"
SELDOM = tuple(f"train.{name}_every_steps=1000" for name in ("preview", "validate", "checkpoint", "log"))


class Hook(Silent):
    """Calls ``act`` with the number of steps done, before what is periodic happens."""

    def __init__(self, act) -> None:
        self.step, self.said = act, []

    def message(self, text: str) -> None:
        self.said.append(text)


def saved_step(run) -> int:
    return weights.describe(run / "weights" / "last.safetensors").about["step"]


def averages(run) -> dict[str, torch.Tensor]:
    content = state.newest(run / "checkpoints")[1]
    return content["average"]["average"]["generator"] if content["average"] else content["networks"]["generator"]


def exported(run) -> dict[str, torch.Tensor]:
    return weights.load(run / "weights" / "last.safetensors").tensors["generator"]


def assert_same_tensors(one, other) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.fixture
def _heard():
    """A shell lets what runs in the background ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(number: int):
    return Hook(lambda done: os.kill(os.getpid(), number) if done == 2 else None)


@pytest.mark.usefixtures("_heard")
@pytest.mark.parametrize("decay", ["null", "0.9"])
@pytest.mark.parametrize("stop", ["steps", "time", signal.SIGINT, signal.SIGTERM])
def test_every_stop_leaves_weights_a_sheet_a_row_and_a_report(tiny, tmp_path, monkeypatch, stop, decay):
    settings = tiny(SPEC, *SELDOM, f"train.ema_decay={decay}")
    limits, reporter = {}, Silent()
    if stop == "steps":
        limits = {"max_steps": 2}
    elif stop == "time":
        monkeypatch.setattr("gantools.training.stopping.Stopping._is_late", lambda stopping: reporter.late)
        reporter = Hook(lambda done: setattr(reporter, "late", done == 2))
        reporter.late, limits = False, {"max_seconds": 99}
    else:
        reporter = interrupt(stop)
    run = api.train(settings, run_dir=tmp_path / "run", device="cpu", reporter=reporter, **limits)
    assert (run.ending, run.step) == ("limit" if limits else "interrupted", 2)
    assert saved_step(run.path) == 2
    assert_same_tensors(exported(run.path), averages(run.path))
    assert [path.name for path in (run.path / "samples").iterdir()] == ["000002.png"]
    rows = metrics_log.read(run.path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [2]
    assert rows[0]["lr/generator"] == pytest.approx(4e-4)
    assert "No validation yet: the run stopped before step 1,000." in (run.path / "report.html").read_text()
    photo = tmp_path / "photo.png"
    writer.write(Image(np.full((32, 32, 3), 90, np.uint8)), photo)
    assert [result.status for result in api.infer(run.path, [photo], device="cpu")] == ["done"]
    monkeypatch.undo()
    assert api.resume(run.path, device="cpu").ending == "finished"
    assert saved_step(run.path) == 4


def test_every_checkpoint_has_its_weights_and_a_running_run_can_be_used(tiny, tmp_path):
    """At step 4 a process that trains has those of step 3; without a best the newest are chosen."""
    seen = []

    def look(done: int) -> None:
        if done > 1:
            path = find_weights.resolve(tmp_path / "run")
            seen.append((done, path.name, weights.describe(path).about["step"]))
            assert find_weights.run_behind(tmp_path / "run") is None

    settings = tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1")
    api.train(settings, run_dir=tmp_path / "run", device="cpu", reporter=Hook(look))
    assert seen == [(done, "last.safetensors", done - 1) for done in (2, 3, 4)]


def test_the_best_weights_are_preferred_to_the_newest(tiny, tmp_path):
    settings = tiny(SPEC, *SELDOM, "train.validate_every_steps=1")
    run = api.train(settings, run_dir=tmp_path / "run", device="cpu", max_steps=2)
    assert {path.name for path in (run.path / "weights").iterdir()} == {"best.safetensors", "last.safetensors"}
    assert find_weights.resolve(run.path).name == "best.safetensors"


def test_the_best_weights_of_a_stage_that_has_ended_are_not_those_of_the_next(tiny, tmp_path):
    """The game of srgan, stopped before its first validation: not the best of its pretraining."""
    settings = tiny("srgan/compact", *SELDOM)
    run = api.train(settings, run_dir=tmp_path / "run", device="cpu", max_steps=2)
    assert find_weights.resolve(run.path).name == "best.safetensors"
    api.resume(run.path, device="cpu", max_steps=3)
    assert (run.path / "weights" / "best.safetensors").is_file()
    assert find_weights.resolve(run.path).name == "last.safetensors"
    (run.path / "weights" / "last.safetensors").unlink()
    assert find_weights.resolve(run.path).name == "best.safetensors"
    api.resume(run.path, device="cpu")
    assert find_weights.resolve(run.path).name == "best.safetensors"


def test_no_memory_for_the_last_sheet_is_a_line_and_the_run_stops_as_it_was_told(tiny, tmp_path, monkeypatch):
    def fails(_self, _batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Pix2Pix, "preview", fails)
    reporter = Hook(lambda _done: None)
    run = api.train(tiny(SPEC, *SELDOM), run_dir=tmp_path / "run", device="cpu", max_steps=2, reporter=reporter)
    assert (run.ending, saved_step(run.path)) == ("limit", 2)
    assert "does not fit into memory" in " ".join(reporter.said)


# --- a kill between a checkpoint and its weights


class KilledError(BaseException):
    """In place of a kill."""


@pytest.fixture
def killed(tiny, tmp_path):
    """A run that was killed in step 3 when its checkpoint was written and its weights were not yet."""
    run = tmp_path / "run"

    def kill(event: str, path) -> None:
        if event == "create" and "weights" in path.parts and state.steps(run / "checkpoints")[-1:] == [3]:
            raise KilledError

    settings = tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1")
    with pytest.raises(KilledError), files.observed(kill):
        api.train(settings, run_dir=run, device="cpu")
    return run


def test_a_kill_between_a_checkpoint_and_its_weights_leaves_the_older_ones_whole(killed):
    assert state.steps(killed / "checkpoints") == [2, 3]
    assert saved_step(killed) == 2
    assert exported(killed)


def test_the_weights_that_a_kill_took_are_those_that_would_have_been_written(tiny, tmp_path, killed):
    settings = tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1")
    whole = api.train(settings, run_dir=tmp_path / "whole", device="cpu", max_steps=3)
    before = torch.get_rng_state()
    assert api.export_weights(killed) == killed / "weights" / "last.safetensors"
    assert torch.equal(torch.get_rng_state(), before)
    wanted = (whole.path / "weights" / "last.safetensors").read_bytes()
    assert (killed / "weights" / "last.safetensors").read_bytes() == wanted
    assert api.resume(killed, device="cpu").ending == "finished"


def test_a_run_with_checkpoints_alone_is_applied_measured_and_compared(killed, tmp_path, drawn):
    photo, fresh = drawn / "shoes", tmp_path / "fresh"
    picture = sorted(photo.rglob("*.png"))[0]

    def one_line(recorded) -> str:
        (line,) = [str(each.message) for each in recorded if "ended without weights" in str(each.message)]
        return line

    uses = (
        lambda run: list(api.infer(run, [picture], output=tmp_path / "x.png", device="cpu")),
        lambda run: api.evaluate(run, photo, device="cpu"),
        lambda run: api.compare((str(run), str(picture)), tmp_path / "grid.png", device="cpu"),
    )
    for use in uses:
        shutil.copytree(killed, fresh)
        (fresh / "weights" / "last.safetensors").unlink()
        with pytest.warns(UserWarning, match="ended without weights") as recorded:
            use(fresh)
        assert one_line(recorded).endswith(f"{fresh / 'weights' / 'last.safetensors'} now has them (step 3)")
        assert_same_tensors(exported(fresh), averages(fresh))
        shutil.rmtree(fresh)


@pytest.mark.parametrize("spec", ["srgan/compact", "cyclegan/apple2orange-64", SPEC])
def test_every_kind_of_run_can_be_exported(tiny, tmp_path, spec):
    for decay in ("null", "0.9"):
        folder = tmp_path / decay
        run = api.train(tiny(spec, f"train.ema_decay={decay}"), run_dir=folder, device="cpu", max_steps=3).path
        file = tmp_path / f"{decay}.safetensors"
        api.export_weights(run, file)
        assert file.read_bytes() == (run / "weights" / "last.safetensors").read_bytes()


def test_a_run_that_is_being_trained_keeps_its_weights(killed, tmp_path):
    with RunLock(killed):
        exporting.make_ready(killed)
        assert saved_step(killed) == 2
        with pytest.raises(UsageError, match="being trained by process"):
            api.export_weights(killed)
        api.export_weights(killed, tmp_path / "mine.safetensors")
        assert weights.describe(tmp_path / "mine.safetensors").about["step"] == 3
        (killed / "weights" / "last.safetensors").unlink()
        with pytest.raises(UsageError, match=r"no weights yet, and .*being trained by .*weights export RUN -o FILE"):
            exporting.make_ready(killed)


def test_without_an_intact_checkpoint_the_older_weights_are_used(killed):
    for folder in (killed / "checkpoints").iterdir():
        (folder / state.MANIFEST).write_bytes(b"")
    exporting.make_ready(killed)
    assert saved_step(killed) == 2
    with pytest.raises(ModelFileError, match="no intact checkpoint"):
        api.export_weights(killed)
    (killed / "weights" / "last.safetensors").unlink()
    with pytest.raises(UsageError, match=r"no weights yet, and .*no intact checkpoint"):
        exporting.make_ready(killed)


def test_what_is_no_run_is_not_exported(tmp_path):
    exporting.make_ready(tmp_path)
    exporting.make_ready("srgan")
    with pytest.raises(UsageError, match="not a run directory"):
        api.export_weights(tmp_path)


# --- the first images come soon


FIRST_SECONDS = previews.FIRST_SECONDS


class Clock:
    """Stands in for the clock of sample sheets."""

    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(previews, "FIRST_SECONDS", FIRST_SECONDS)
        monkeypatch.setattr(previews.time, "monotonic", lambda: self.now)


class Blank:
    """A validation without images, whose sheet takes ``seconds``."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    @property
    def data(self):
        self._clock.now += self._seconds
        return []


def drawn_at(clock: Clock, every: int, step_seconds: float, sheet_seconds: float, steps: int) -> list[int]:
    sheets, made = previews.Previews(Blank(clock, sheet_seconds), None, every), []
    for step in range(1, steps + 1):
        clock.now += step_seconds
        if sheets.are_due(step):
            sheets.write(step)
            made.append(step)
    return made


def test_the_first_sheet_comes_within_a_minute_and_the_others_more_and_more_seldom(monkeypatch):
    clock = Clock(monkeypatch)
    assert previews.FIRST_SECONDS < 60
    assert drawn_at(clock, 500, 0.5, 0, 1000) == [40, 80, 160, 320, 500, 1000]
    assert drawn_at(clock, 500, 0.01, 0, 1000) == [500, 1000], "what comes soon anyway is soon enough"
    assert drawn_at(clock, 2, 30.0, 0, 4) == [1, 2, 4]


def test_weights_that_cannot_be_written_are_a_failed_save(tiny, tmp_path):
    """Twice the run goes on and the old weights stay; at the end it may not be."""
    from tests.training.test_checkpoints import FullDisk

    disk, run = FullDisk(str(tmp_path / "run" / "weights")), tmp_path / "run"
    disk.full = False
    reporter = Hook(lambda done: setattr(disk, "full", done in (2, 3)))
    settings = tiny(SPEC, *SELDOM, "train.checkpoint_every_steps=1")
    with files.observed(disk):
        api.train(settings, run_dir=run, device="cpu", reporter=reporter)
    told = [line for line in reporter.said if "not saved" in line]
    assert [line.partition(":")[0] for line in told] == [f"weights of step {step} not saved" for step in (2, 3)]
    assert told[0].endswith("the newest checkpoint is of step 2; training continues")
    assert saved_step(run) == 4
    with files.observed(FullDisk(str(tmp_path / "other" / "weights"))), pytest.raises(TrainingError, match="--resume"):
        api.train(tiny(SPEC, *SELDOM), run_dir=tmp_path / "other", device="cpu", max_steps=1)
    assert state.steps(tmp_path / "other" / "checkpoints") == [1]
