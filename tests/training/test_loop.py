"""What a run writes, where it stops and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch

from gantools import api
from gantools.checkpoint import state, weights
from gantools.errors import UsageError
from gantools.images.io import reader
from gantools.training.run import metrics_log


def test_a_run_directory_holds_everything(tiny, tmp_path):
    settings = tiny("srgan/compact", "train.preview_every_steps=2", "train.validate_every_steps=2")
    run = api.train(settings, run_dir=tmp_path / "run")
    assert run.ending == "finished"
    assert {"psnr_y", "ssim_y"} <= run.validation.keys()
    facts = json.loads((run.path / "run.json").read_bytes())
    assert facts["status"] == "finished"
    assert facts["step"] == 4
    assert sorted(path.name for path in (run.path / "samples").iterdir()) == ["000002.png", "000004.png"]
    assert reader.read_rgb8(run.path / "samples" / "000004.png").shape[2] == 3
    names = {path.name for path in (run.path / "weights").iterdir()}
    assert names == {"pretraining.safetensors", "adversarial.safetensors", "best.safetensors", "last.safetensors"}
    assert not list(run.path.rglob("*.p*kl"))


def test_the_log_names_every_term(tiny, tmp_path):
    run = api.train(tiny("pix2pix/shoes-64"), run_dir=tmp_path / "run")
    rows = [row for row in metrics_log.read(run.path / "metrics.jsonl") if "images_per_second" in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    terms = {"loss/generator/adversarial", "loss/generator/pixel", "loss/discriminator/adversarial", "lr/generator"}
    assert terms <= rows[0].keys()
    assert all(0 <= row["data_wait_share"] <= 1 for row in rows)


def test_the_written_configuration_runs_again(tiny, tmp_path):
    run = api.train(tiny("pix2pix/shoes-64"), run_dir=tmp_path / "run", max_steps=1)
    again = api.read_config(run.path / "config.yaml")
    assert again.config == tiny("pix2pix/shoes-64").config


def test_weights_describe_themselves(tiny, tmp_path):
    run = api.train(tiny("srgan/compact"), run_dir=tmp_path / "run")
    stored = weights.load(run.path / "weights" / "last.safetensors")
    export = stored.exports["generator"]
    assert (stored.recipe, export.scale, export.size_multiple) == ("srgan", 4, 1)
    assert export.options["name"] == "compact_sr"
    assert export.options["blocks"] == 2
    assert stored.about["step"] == 4
    assert stored.about["config"]["data"]["dir"] is None  # a path of this computer is nobody else's business
    assert str(tmp_path.parent) not in str(stored.about)


def test_a_used_folder_is_refused(tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        api.train(tiny("pix2pix/shoes-64"), run_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_fine_tuning_starts_from_weights(tiny, tmp_path):
    first = api.train(tiny("pix2pix/shoes-64"), run_dir=tmp_path / "first")
    stored = first.path / "weights" / "last.safetensors"
    still = ("train.ema_decay=null", "stages.adversarial.optimizers.generator.lr=1.0e-30")
    api.train(tiny("pix2pix/shoes-64", *still), run_dir=tmp_path / "second", init_from=stored, max_steps=1)
    network = state.newest(tmp_path / "second" / "checkpoints")[1]["networks"]["generator"]
    for name, value in weights.load(stored).tensors["generator"].items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(network[name], value, atol=1e-6), name


def test_a_dry_run_plays_every_stage(tiny):
    lines = api.inspect(tiny("srgan/compact"), device="cpu", dry_run=True)
    assert lines[-2:] == ["dry run: pretraining plays", "dry run: adversarial plays"]
