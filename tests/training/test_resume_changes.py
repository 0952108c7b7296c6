"""Going on with a run: longer, with other settings, from nothing; and what is said of it."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from gantools import api
from gantools.checkpoint import state, weights
from gantools.config.describe import between, extension
from gantools.errors import ModelFileError, UsageError
from gantools.training.run import metrics_log
from tests.training.listening import Listener

SPEC = "pix2pix/shoes-64"


def last_weights(run: api.TrainingRun) -> bytes:
    return (run.path / "weights" / "last.safetensors").read_bytes()


def facts(run: api.TrainingRun) -> dict:
    return json.loads((run.path / "run.json").read_bytes())


@pytest.mark.parametrize("spec", [SPEC, "cyclegan/apple2orange-64"])
def test_a_run_made_longer_is_the_long_run(tiny, tmp_path, spec):
    """As long as the schedule does not depend on the length; optimizers and pools outlive the end."""
    long = api.train(tiny(spec, "stages.adversarial.steps=6"), run_dir=tmp_path / "long")
    short = api.train(tiny(spec), run_dir=tmp_path / "short")
    listener = Listener()
    longer = api.resume(short.path, extend="2", reporter=listener)
    assert (longer.ending, longer.step) == ("finished", 6)
    assert listener.lines == ["changed from step 4 on: stages.adversarial.steps: 4 → 6"]
    assert facts(longer)["changes"][0]["settings"] == {"stages.adversarial.steps": [4, 6]}
    states = [state.newest(run.path / "checkpoints")[1] for run in (long, longer)]
    assert state.stored_bytes(states[0]) == state.stored_bytes(states[1])
    one, other = (weights.load(run.path / "weights" / "last.safetensors") for run in (long, longer))
    for name, tensors in one.tensors.items():
        assert all(tensor.equal(other.tensors[name][key]) for key, tensor in tensors.items())


def test_the_last_of_two_stages_is_made_longer(tiny, tmp_path):
    run = api.train(tiny("srgan/compact"), run_dir=tmp_path / "run")
    assert api.resume(run.path, extend="3steps").step == 7
    rows = metrics_log.read(run.path / "metrics.jsonl")
    assert [row["stage"] for row in rows if "images_per_second" in row] == ["pretraining"] * 2 + ["adversarial"] * 5


def test_a_run_without_an_average_cannot_get_one(tiny, tmp_path):
    run = api.train(tiny(SPEC, "train.ema_decay=null"), run_dir=tmp_path / "run", max_steps=1)
    with pytest.raises(UsageError, match="it has no moving average: leave out"):
        api.resume(run.path, overrides=["train.ema_decay=0.9"])


def test_settings_change_by_request_and_are_written_down(tiny, tmp_path):
    run = api.train(tiny(SPEC), run_dir=tmp_path / "run", max_steps=1)
    before = (run.path / "config.yaml").read_text().splitlines()
    listener = Listener()
    api.resume(run.path, overrides=["train.log_every_steps=2", "seed=5"], max_steps=2, reporter=listener)
    assert listener.lines == [
        "changed from step 1 on: seed: 2 → 5",
        "changed from step 1 on: train.log_every_steps: 1 → 2",
    ]
    after = (run.path / "config.yaml").read_text().splitlines()
    comments = [line for line in before if line.startswith("#")]
    assert after[: len(comments)] == comments
    assert "# command line: seed=5 (from step 1 on)" in after
    assert api.read_config(run.path / "config.yaml").config.seed == 5
    listener.lines.clear()
    assert api.resume(run.path, reporter=listener).ending == "finished"
    assert not listener.lines
    assert [change["step"] for change in facts(run)["changes"]] == [1]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.generator.base_channels=6"], "step 1 does not fit this configuration"),
        (["seed=x"], "command line: seed=x: seed: "),
        (["recipe=srgan"], "data.name: should be"),
    ],
)
def test_settings_that_do_not_fit_change_nothing(tiny, tmp_path, overrides, said):
    run = api.train(tiny(SPEC), run_dir=tmp_path / "run", max_steps=1)

    def content() -> dict:
        return {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != "lock"}

    before = content()
    with pytest.raises(UsageError, match=said):
        api.resume(run.path, overrides=overrides)
    assert content() == before


def test_extensions(tiny):
    config = tiny(SPEC).config
    assert extension(config, "500") == extension(config, "500steps") == "stages.adversarial.steps=504"
    epochs = tiny(SPEC, "stages.adversarial.steps=null", "stages.adversarial.epochs=1.5").config
    assert extension(epochs, "2epochs") == "stages.adversarial.epochs=3.5"
    assert between(config, config) == []
    assert [change.key for change in between(config, epochs)] == [
        "stages.adversarial.steps",
        "stages.adversarial.epochs",
    ]
    for amount in ("", "0", "-3", "many", "2h"):
        with pytest.raises(UsageError, match="--extend"):
            extension(config, amount)
    with pytest.raises(UsageError, match="stage adversarial is 4 steps long; give steps"):
        extension(config, "1epoch")


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tiny, tmp_path):
    whole = api.train(tiny(SPEC), run_dir=tmp_path / "whole")
    run = api.train(tiny(SPEC), run_dir=tmp_path / "run", max_steps=2)
    shutil.rmtree(run.path / "checkpoints")
    with pytest.raises(ModelFileError, match="the run's checkpoints are gone"):
        api.resume(run.path)
    (run.path / "run.json").write_text(json.dumps(facts(run) | {"status": "running"}))
    listener = Listener()
    resumed = api.resume(run.path, reporter=listener)
    assert listener.lines == [f"{run.path}: no checkpoint yet; starting from step 0"]
    assert last_weights(resumed) == last_weights(whole)
    rows = metrics_log.read(run.path / "metrics.jsonl")
    assert [row["step"] for row in rows if "images_per_second" in row] == [1, 2, 3, 4]


def test_fine_tuning_says_so_and_begins_anew_from_the_same_weights(tiny, tmp_path):
    base = api.train(tiny(SPEC, "seed=3"), run_dir=tmp_path / "base")
    file, listener = base.path / "weights" / "last.safetensors", Listener()
    whole = api.train(tiny(SPEC), run_dir=tmp_path / "whole", init_from=file, reporter=listener)
    assert listener.lines == [f"fine-tuning: pix2pix weights '{file}' (step 4)"]
    assert facts(whole)["init_from"]["path"] == str(file)
    assert len(facts(whole)["init_from"]["sha256"]) == 64
    run = api.train(tiny(SPEC), run_dir=tmp_path / "run", init_from=file, max_steps=1)
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "run.json").write_text(json.dumps(facts(run) | {"status": "running"}))
    assert last_weights(api.resume(run.path)) == last_weights(whole)


def test_other_images_than_before_are_noticed(tiny, drawn, tmp_path):
    shutil.copytree(drawn / "shoes", tmp_path / "shoes")
    run = api.train(tiny(SPEC, f"data.dir={tmp_path / 'shoes'}"), run_dir=tmp_path / "run", max_steps=1)
    os.rename(tmp_path / "shoes" / "00000.png", tmp_path / "shoes" / "00099.png")
    listener = Listener()
    api.resume(run.path, max_steps=1, reporter=listener)
    assert listener.lines == ["the training images are not those that the run began with: their order differs, too"]
