"""What a run does where its files cannot be written, and that NaN and infinity are never saved."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from gantools import api, files
from gantools.checkpoint import state
from gantools.config.schema import TrainOptions
from gantools.errors import NonFiniteError, TrainingError
from gantools.recipes.pix2pix import Pix2Pix
from gantools.training import setup
from gantools.training.checkpoints import CheckpointManager
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.loop import Loop
from gantools.training.monitor import finite
from gantools.training.recipe import LossTerms
from gantools.training.run import metrics_log
from gantools.training.run.directory import RunDirectory
from gantools.training.stopping import Limits
from tests.training.listening import DISK_FULL, FullDisk, Listener

SPEC = "pix2pix/shoes-64"
STATE = {"weights": torch.arange(1000.0)}


class Manager(CheckpointManager):
    """Writes a state of the test's and no weights; a checkpoint is due every five steps."""

    def __init__(self, run: RunDirectory) -> None:
        config = SimpleNamespace(train=TrainOptions(checkpoint_every_steps=5))
        self.lines, self.folder = Listener(), run.checkpoints
        super().__init__(SimpleNamespace(config=config, runtime=SimpleNamespace(ranks=ProcessGroup())), run, self.lines)

    def write(self, step: int, *, final: bool = False) -> bool:
        return self._write(step, STATE, lambda _name, _step: None, final=final)


@pytest.fixture
def manager(tmp_path):
    run = RunDirectory(tmp_path)
    run.tidy()
    return Manager(run)


def test_a_checkpoint_is_due_by_steps_or_by_time(manager, monkeypatch):
    assert [step for step in range(1, 12) if manager.is_due(step)] == [5, 10]
    now, seconds = manager._tried_at, 600
    monkeypatch.setattr("gantools.training.checkpoints.time.monotonic", lambda: now + seconds)
    assert not manager.is_due(1)
    seconds = 601
    assert manager.is_due(1)
    manager.write(1)
    assert not manager.is_due(2)


def test_a_full_disk_is_one_line_and_the_run_goes_on_until_the_third_time(manager):
    assert manager.write(1)
    with files.observed(FullDisk()):
        assert not manager.write(2)
        assert not manager.write(3)
        with pytest.raises(TrainingError, match="3 times in a row; the newest checkpoint is of step 1; make room"):
            manager.write(4)
    line, _ = manager.lines.lines
    assert line.startswith(f"checkpoint of step 2 not saved: {DISK_FULL} ('{manager.folder}': 0.1 MB needed, ")
    assert line.endswith(" MB free); the newest checkpoint is of step 1; training continues")
    assert [path.name for path in manager.folder.iterdir()] == ["step-000000001"]
    assert torch.equal(state.newest(manager.folder)[1]["weights"], STATE["weights"])


def test_a_successful_save_ends_the_count_of_failures_and_the_last_save_may_not_fail(manager):
    with files.observed(FullDisk()), pytest.raises(TrainingError, match="there is no checkpoint yet; make room"):
        manager.write(1, final=True)
    manager = Manager(manager._run)
    disk = FullDisk()
    with files.observed(disk):
        for step in range(1, 9):
            disk.full = step % 3 != 0
            assert manager.write(step) is not disk.full
    assert len(manager.lines.lines) == 6


def test_room_is_asked_for_before_anything_is_written(manager, monkeypatch):
    monkeypatch.setattr(files, "free_bytes", lambda _folder: 4000)
    events = []
    with files.observed(lambda event, _path: events.append(event)):
        assert not manager.write(1)
    assert not events
    assert "not enough room on the disk" in manager.lines.lines[0]


def test_a_training_outlives_a_disk_that_is_full_for_a_while(tiny, tmp_path):
    """Log, sample sheets, best weights and checkpoints all fail in step 2; everything is there in the end."""
    settings = tiny(SPEC, *(f"train.{name}_every_steps=1" for name in ("checkpoint", "preview", "validate")))
    whole = api.train(settings, run_dir=tmp_path / "whole")
    disk = FullDisk(tmp_path / "run", full=False)
    listener = Listener(lambda done: setattr(disk, "full", done == 2))
    with files.observed(disk):
        run = api.train(settings, run_dir=tmp_path / "run", reporter=listener)
    assert run.ending == "finished"
    results = []
    for what in (
        "metrics.jsonl: No space",
        "sample sheet of step 2",
        "checkpoint of step 2 not saved",
        "metrics.jsonl: written again",
    ):
        assert what in " | ".join(listener.lines)
    for each in (whole, run):
        rows = metrics_log.read(each.path / "metrics.jsonl")
        losses = [{key: row[key] for key in row if key.startswith("loss")} for row in rows]
        results.append((losses, (each.path / "weights" / "last.safetensors").read_bytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_found_wherever_it_is(value):
    spoiled = torch.zeros(3, 4)
    spoiled[1, 2] = value
    tree = {"a": [torch.ones(2), {"b": (spoiled,)}], 3: torch.tensor(1), "c": None, "d": torch.zeros(0), "e": value}
    assert list(finite.non_finite(tree)) == ["a/1/b/0"]
    assert list(finite.non_finite({"x": spoiled.bfloat16(), "y": spoiled[:1]})) == ["x"]
    with pytest.raises(NonFiniteError, match=r"step 7: a/1/b/0: NaN or infinite; .*batch: one\.png, two\.png$"):
        finite.require(tree, 7, ["one.png", "two.png"])


def nan_loss(terms: dict[str, torch.Tensor], fake: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"pixel": terms["pixel"] * float("nan")}


def nan_gradient(terms: dict[str, torch.Tensor], fake: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"flat": torch.sqrt(0 * fake.abs().sum())}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (nan_loss, r"step 1: generator\.pixel = nan.*batch: .*\d{5}\.png"),
        (nan_gradient, r"step 2: .* = nan.*batch: .*the weights of generator.* are NaN or infinite already"),
    ],
)
def test_a_run_stops_at_nan_and_names_step_network_and_files(tiny, tmp_path, monkeypatch, spoil, message):
    original, calls = Pix2Pix.generator_loss, []

    def loss(self, batch, made):
        calls.append(1)
        terms = original(self, batch, made).terms
        return LossTerms(**terms | (spoil(terms, made.fake) if len(calls) == 2 else {}))

    monkeypatch.setattr(Pix2Pix, "generator_loss", loss)
    often = ("train.log_every_steps=100", "train.checkpoint_every_steps=1")
    with pytest.raises(NonFiniteError, match=message):
        api.train(tiny(SPEC, *(often if spoil is nan_loss else often[:1])), run_dir=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_bytes())["status"] == "failed"
    monkeypatch.undo()
    if spoil is nan_loss:
        assert api.resume(tmp_path / "run").ending == "finished"  # the spoiled step was never taken


def test_spoiled_weights_are_not_saved_and_reported_with_step_and_files(tiny, tmp_path):
    settings = tiny(SPEC, "train.log_every_steps=100", "train.checkpoint_every_steps=1")
    run = RunDirectory(tmp_path / "run")
    run.begin("")

    def spoil(done: int) -> None:
        if done == 2:
            next(loop.state.networks["discriminator"].parameters()).data[0] = float("nan")

    loop = Loop(setup.prepare(settings.recipe, settings.config, "cpu"), run, Listener(spoil))
    with pytest.raises(NonFiniteError, match=r"step 2: networks/discriminator/\S+: NaN.*nothing was saved.*batch: "):
        loop.fit(Limits())
    assert state.steps(run.checkpoints) == [1]
