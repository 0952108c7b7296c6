"""Weights files: self-describing, checked, finite."""

from __future__ import annotations

import os
import stat

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export
from gantools.errors import ModelFileError

EXPORT = Export("generator", {"name": "tiny"}, scale=2, size_multiple=4, minimum_size_px=8, trained_px=64)


def write(path, dtype=torch.float32, network=None):
    network = network or nn.Conv2d(3, 3, 3)
    weights.save(path, "toy", {"g": EXPORT}, {"g": network}, {"step": 5}, dtype)
    return network


def test_a_file_says_what_it_is(tmp_path):
    network = write(tmp_path / "w.safetensors")
    stored = weights.load(tmp_path / "w.safetensors")
    assert (stored.recipe, stored.exports, stored.about) == ("toy", {"g": EXPORT}, {"step": 5})
    assert torch.equal(stored.tensors["g"]["weight"], network.weight)
    assert weights.describe(tmp_path / "w.safetensors").tensors == {"g": {}}


def test_a_file_has_the_mode_the_umask_gives(tmp_path):
    before = os.umask(0o022)
    try:
        write(tmp_path / "w.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o644


def test_half_precision_halves_the_file(tmp_path):
    write(tmp_path / "full.safetensors", network=nn.Conv2d(64, 64, 3))
    write(tmp_path / "half.safetensors", torch.float16, nn.Conv2d(64, 64, 3))
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.55 * sizes[0]


def test_weights_that_are_not_numbers_are_not_written(tmp_path):
    network = nn.Conv2d(3, 3, 3)
    network.weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelFileError, match=r"g\.weight has NaN"):
        write(tmp_path / "w.safetensors", network=network)
    assert not list(tmp_path.iterdir())


def test_foreign_and_damaged_files_are_one_line(tmp_path):
    foreign, text, gone = (tmp_path / name for name in ("foreign.safetensors", "text.safetensors", "gone.safetensors"))
    save_file({"a": torch.ones(1)}, foreign)
    text.write_text("hello")
    for path, said in ((foreign, "not gantools weights"), (text, "not an intact"), (gone, "cannot be read")):
        with pytest.raises(ModelFileError, match=said) as caught:
            weights.load(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
