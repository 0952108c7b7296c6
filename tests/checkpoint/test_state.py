"""Training state: whole, checked, never half-written."""

from __future__ import annotations

import json
import os
import random
import warnings

import pytest
import torch

from gantools.checkpoint import state
from gantools.errors import ModelFileError

TREE = {
    "position": {"step": 3},
    "networks": {"g": {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(2)}},
    "optimizer": {"state": {0: {"m": torch.ones(2)}, 1: {}}, "betas": (0.5, 0.999)},
    "empty": None,
    "list": [1, 2.5, "x", True, []],
}


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and all(map(same, one, other))
    return one == other


def test_a_tree_comes_back_as_it_was(tmp_path):
    folder = state.save(tmp_path, 3, TREE, keep=2)
    assert same(state.load(folder), TREE)


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 2, 3):
        state.save(tmp_path, step, TREE, keep=2)
    assert state.steps(tmp_path) == [2, 3]


def test_a_step_may_be_saved_again(tmp_path):
    state.save(tmp_path, 1, {"a": 1}, keep=2)
    state.save(tmp_path, 1, {"a": 2}, keep=2)
    assert state.newest(tmp_path) == (1, {"a": 2})


def test_what_cannot_be_stored_is_refused_by_path(tmp_path):
    with pytest.raises(TypeError, match="/a/0"):
        state.save(tmp_path, 1, {"a": [object()]}, keep=2)
    assert not list(tmp_path.iterdir())


def test_every_changed_byte_is_noticed_and_the_one_before_is_used(tmp_path):
    state.save(tmp_path, 1, {"a": 1}, keep=2)
    folder = state.save(tmp_path, 2, TREE, keep=2)
    chance = random.Random(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(40):
            place, flip = chance.randrange(len(whole)), chance.randrange(1, 256)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always")
                step, tree = state.newest(tmp_path)
            # the manifest's own spelling may change without its meaning (a blank, the case of a hex digit is not one)
            assert step == 1 or same(tree, TREE)
        for length in (0, 1, len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:length])
            with pytest.raises(ModelFileError):
                state.load(folder)
        path.write_bytes(whole)


def test_without_an_intact_one_nothing_is_loaded(tmp_path):
    folder = state.save(tmp_path, 1, TREE, keep=2)
    (folder / state.TENSORS).unlink()
    with pytest.warns(UserWarning, match="trying the one before"), pytest.raises(ModelFileError, match="no intact"):
        state.newest(tmp_path)


def test_another_schema_is_named(tmp_path):
    folder = state.save(tmp_path, 1, TREE, keep=2)
    manifest = json.loads((folder / state.MANIFEST).read_bytes())
    (folder / state.MANIFEST).write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(ModelFileError, match="schema 99"):
        state.load(folder)


@pytest.mark.parametrize("event", range(1, 40))
def test_a_failure_at_any_write_leaves_no_final_name(tmp_path, monkeypatch, event):
    state.save(tmp_path, 1, {"a": 1}, keep=2)
    count = 0

    def failing(function):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == event:
                raise OSError(28, "No space left on device")
            return function(*args, **kwargs)

        return call

    for name in ("fsync", "replace", "rename"):
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    try:
        state.save(tmp_path, 2, TREE, keep=2)
        failed = False
    except OSError:
        failed = True
    monkeypatch.undo()
    assert failed == (count >= event)
    step, tree = state.newest(tmp_path)
    assert (step, same(tree, TREE)) in ((2, True), (1, False))
    assert not list(tmp_path.glob(".gantools-*"))
