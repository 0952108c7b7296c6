"""What is done where a run's files cannot be written."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest
import torch

from gantools import api, files
from gantools.checkpoint import state
from gantools.config.schema import TrainOptions
from gantools.errors import NonFiniteError, TrainingError
from gantools.training.checkpoints import CheckpointManager
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.monitor import finite
from gantools.training.recipe import LossTerms
from gantools.training.reporter import Silent
from gantools.training.run import metrics_log
from gantools.training.run.directory import RunDirectory

STATE = {"weights": torch.arange(1000.0)}
DISK_FULL = "No space left on device"


class Listener(Silent):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


class FullDisk:
    """While ``full``, every write of a file whose path holds ``part`` fails."""

    def __init__(self, part: str) -> None:
        self.part, self.full = part, True

    def __call__(self, event: str, path: object) -> None:
        if self.full and event in ("create", "write") and self.part in str(path):
            raise OSError(errno.ENOSPC, DISK_FULL)


class Manager(CheckpointManager):
    """Writes contents of a test's choice, and no weights."""

    def __init__(self, folder, reporter) -> None:
        config = SimpleNamespace(train=TrainOptions(checkpoint_every_steps=5))
        super().__init__(
            SimpleNamespace(config=config, runtime=SimpleNamespace(ranks=ProcessGroup())), folder, reporter
        )

    def write(self, step: int, *, final: bool = False) -> bool:
        return self._write(step, STATE, lambda _name, _step: None, final=final)


@pytest.fixture
def manager(tmp_path):
    run, listener = RunDirectory(tmp_path), Listener()
    run.tidy()
    return Manager(run, listener), listener, run.checkpoints


def test_due_by_steps_or_by_time(manager, monkeypatch):
    checkpoints, _, _ = manager
    assert [step for step in range(1, 12) if checkpoints.is_due(step)] == [5, 10]
    now = checkpoints._tried_at
    monkeypatch.setattr("gantools.training.checkpoints.time.monotonic", lambda: now + 601)
    assert checkpoints.is_due(1)
    checkpoints.write(1)
    assert not checkpoints.is_due(2)


def test_a_full_disk_is_one_line_and_the_run_goes_on_until_the_third_time(manager):
    checkpoints, listener, folder = manager
    assert checkpoints.write(1)
    with files.observed(FullDisk("")):
        assert not checkpoints.write(2)
        assert not checkpoints.write(3)
        with pytest.raises(TrainingError, match="3 times in a row; the newest checkpoint is of step 1; make room"):
            checkpoints.write(4)
    assert len(listener.said) == 2
    assert listener.said[0].startswith(f"checkpoint of step 2 not saved: {DISK_FULL} ('{folder}': 0.1 MB needed, ")
    assert listener.said[0].endswith(" MB free); the newest checkpoint is of step 1; training continues")
    assert [path.name for path in folder.iterdir()] == ["step-000000001"]
    assert torch.equal(state.newest(folder)[1]["weights"], STATE["weights"])


def test_a_save_that_succeeds_forgives_those_that_failed(manager):
    checkpoints, listener, _ = manager
    disk = FullDisk("")
    with files.observed(disk):
        for step in range(1, 9):
            disk.full = step % 3 != 0
            assert checkpoints.write(step) is not disk.full
    assert len(listener.said) == 6


def test_the_last_save_may_not_fail(manager):
    checkpoints, _, _ = manager
    with files.observed(FullDisk("")), pytest.raises(TrainingError, match="there is no checkpoint yet; make room"):
        checkpoints.write(1, final=True)


def test_room_is_asked_for_before_anything_is_written(manager, monkeypatch):
    checkpoints, listener, _ = manager
    monkeypatch.setattr(files, "free_bytes", lambda _folder: 4000)
    events = []
    with files.observed(lambda event, _path: events.append(event)):
        assert not checkpoints.write(1)
    assert not events
    assert "not enough room on the disk" in listener.said[0]


def test_a_training_outlives_a_disk_that_is_full_for_a_while(tiny, tmp_path):
    """MetricsLog, sample sheets, best weights and checkpoints all fail in step 2; everything is there in the end."""
    settings = tiny(
        "pix2pix/shoes-64",
        *(f"train.{name}_every_steps=1" for name in ("checkpoint", "preview", "validate")),
    )
    api.train(settings, run_dir=tmp_path / "whole")
    disk, listener = FullDisk(str(tmp_path / "run")), Listener()
    disk.full = False

    def step(done: int) -> None:
        disk.full = done == 2

    listener.step = step  # told before what is periodic is written
    with files.observed(disk):
        run = api.train(settings, run_dir=tmp_path / "run", reporter=listener)
    assert run.ending == "finished"
    told = " | ".join(listener.said)
    for what in ("metrics.jsonl: No space", "sample sheet of step 2", "checkpoint of step 2 not saved"):
        assert what in told
    assert "metrics.jsonl: written again" in told
    rows = [
        [{key: row[key] for key in row if key.startswith("loss")} for row in metrics_log.read(folder / "metrics.jsonl")]
        for folder in (tmp_path / "whole", run.path)
    ]
    assert rows[0] == rows[1]
    last = [(folder / "weights" / "last.safetensors").read_bytes() for folder in (tmp_path / "whole", run.path)]
    assert last[0] == last[1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_found_wherever_it_is(value):
    spoiled = torch.zeros(3, 4)
    spoiled[1, 2] = value
    state = {"a": [torch.ones(2), {"b": (spoiled,)}], 3: torch.tensor(1), "c": None, "d": torch.zeros(0), "e": value}
    assert list(finite.non_finite(state)) == ["a/1/b/0"]
    assert list(finite.non_finite({"x": spoiled.bfloat16(), "y": spoiled[:1]})) == ["x"]
    with pytest.raises(NonFiniteError, match=r"step 7: a/1/b/0: NaN or infinite; .*batch: one\.png, two\.png$"):
        finite.require(state, 7, ["one.png", "two.png"])


def test_weights_that_were_spoiled_before_are_told_with_the_step_and_the_files(tiny, tmp_path):
    settings = tiny("pix2pix/shoes-64", "train.log_every_steps=100", "train.checkpoint_every_steps=1")
    listener, networks = Listener(), {}

    def poison(done: int) -> None:
        if done == 2:
            next(networks["discriminator"].parameters()).data[0] = float("nan")

    from gantools.training import setup
    from gantools.training.loop import Loop
    from gantools.training.run.directory import RunDirectory
    from gantools.training.stopping import Limits

    prepared = setup.prepare(settings.recipe, settings.config, "cpu")
    run = RunDirectory(tmp_path / "run")
    run.begin("")
    loop = Loop(prepared, run, listener)
    networks.update(loop.state.networks)
    listener.step = poison
    with pytest.raises(NonFiniteError, match=r"step 2: networks/discriminator/\S+: NaN.*nothing was saved.*batch: "):
        loop.fit(Limits())
    assert state.steps(run.checkpoints) == [1]


def test_a_gradient_that_is_no_number_names_step_network_and_files(tiny, tmp_path, monkeypatch):
    from gantools.recipes.pix2pix import Pix2Pix

    honest, calls = Pix2Pix.generator_loss, []

    def steep(self, batch, made):
        calls.append(1)
        terms = honest(self, batch, made).terms
        return LossTerms(**terms, flat=torch.sqrt((0 if len(calls) == 2 else 1) * made.fake.abs().sum()) * 1e-3)

    monkeypatch.setattr(Pix2Pix, "generator_loss", steep)
    settings = tiny("pix2pix/shoes-64", "train.log_every_steps=100")
    with pytest.raises(
        NonFiniteError, match=r"step 2: .* = nan.*batch: .*the weights of generator.* are NaN or infinite already"
    ):
        api.train(settings, run_dir=tmp_path / "run")
