"""Training state: whole, checked, never half-written."""

from __future__ import annotations

import errno
import json
import random

import pytest
import torch
from safetensors import safe_open

from gantools import files
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


def test_only_the_newest_are_kept_and_a_step_may_be_saved_again(tmp_path):
    for step in (1, 2, 3):
        state.save(tmp_path, step, TREE, keep=2)
    state.save(tmp_path, 3, {"a": 2}, keep=2)
    assert state.steps(tmp_path) == [2, 3]
    assert state.newest(tmp_path) == (3, {"a": 2})


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"a": [object()]}, "/a/0"),
        ({"z": torch.zeros(2, dtype=torch.complex64)}, r"/z: a checkpoint cannot hold torch\.complex64"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_path(tmp_path, tree, said):
    with pytest.raises(TypeError, match=said):
        state.save(tmp_path, 1, tree, keep=2)
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
            with pytest.warns(UserWarning, match="going on from step 1 instead"):
                assert state.newest(tmp_path) == (1, {"a": 1})
        for length in (0, 1, len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:length])
            with pytest.raises(ModelFileError):
                state.load(folder)
        path.write_bytes(whole)


def test_without_an_intact_one_nothing_is_loaded(tmp_path):
    folder = state.save(tmp_path, 1, TREE, keep=2)
    (folder / state.TENSORS).unlink()
    with pytest.raises(
        ModelFileError, match=r"no intact checkpoint to resume from; .*state\.safetensors: No such file"
    ):
        state.newest(tmp_path)


def test_another_schema_and_another_steps_name_are_refused(tmp_path):
    folder = state.save(tmp_path, 1, TREE, keep=2)
    folder = folder.rename(tmp_path / "step-000000007")
    with pytest.raises(ModelFileError, match="holds the checkpoint of step 1"):
        state.load(folder)
    manifest = json.loads((folder / state.MANIFEST).read_bytes())
    (folder / state.MANIFEST).write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(ModelFileError, match="schema 99"):
        state.load(folder)


def failing_at(number: int):
    """An observer of file events that fails the ``number``-th, and counts them in its attribute ``seen``."""

    def observer(event, path):
        observer.seen += 1
        if observer.seen == number:
            observer.failed = event
            raise OSError(errno.ENOSPC, "No space left on device")

    observer.seen, observer.failed = 0, None
    return observer


@pytest.mark.parametrize("before", [1, 2])
def test_a_failure_at_any_event_of_a_save_leaves_no_final_name(tmp_path, before):
    number, failed = 0, True
    while failed:
        number += 1
        folder = tmp_path / str(number)
        state.save(folder, before, {"a": 1}, keep=2)
        observer = failing_at(number)
        try:
            with files.observed(observer):
                state.save(folder, 2, TREE, keep=2)
            failed = observer.seen >= number  # an old checkpoint that stays does not make the new one fail
        except OSError:
            pass
        step, tree = state.newest(folder)
        assert (step, tree) == (before, {"a": 1}) or (step == 2 and same(tree, TREE))
        assert observer.failed == "remove" or not list(folder.glob(".gantools-*"))
    assert number > 10


def test_the_manifest_is_last_and_everything_is_synced_before_it_is_named(tmp_path):
    events = []
    with files.observed(lambda event, path: events.append((event, path.name))):
        folder = state.save(tmp_path, 1, TREE, keep=2)
    staged = {name for event, name in events if event == "sync folder"} - {tmp_path.name}
    assert len(staged) == 1
    assert [event for event in events if event[0] != "write"] == [
        ("create", *staged),
        ("create", state.TENSORS),
        ("sync", state.TENSORS),
        ("create", state.TREE),
        ("sync", state.TREE),
        ("create", state.MANIFEST),
        ("sync", state.MANIFEST),
        ("sync folder", *staged),
        ("rename", folder.name),
        ("sync folder", tmp_path.name),
    ]


def test_saving_a_step_again_never_takes_the_first_away_before_the_second_is_there(tmp_path):
    state.save(tmp_path, 1, {"a": 1}, keep=2)
    found = []
    with files.observed(lambda event, path: found.append(state.newest(tmp_path)[1]["a"])):
        state.save(tmp_path, 1, {"a": 2}, keep=2)
    assert set(found) == {1, 2}
    assert [saved.version for saved in state.all_saved(tmp_path)] == [1]


def test_what_was_passed_over_as_damaged_does_not_push_good_ones_out(tmp_path):
    for step in (1, 2, 9):
        state.save(tmp_path, step, {"a": step}, keep=9)
    (tmp_path / "step-000000009" / state.TREE).write_text("{}")
    for step in (3, 4):
        state.save(tmp_path, step, {"a": step}, keep=2)
    assert state.steps(tmp_path) == [3, 4]


def test_a_checkpoint_is_a_safetensors_file_of_the_size_foretold(tmp_path):
    tensors = {
        "empty": torch.zeros(0, 3),
        "half": torch.arange(3).to(torch.bfloat16),
        "flag": torch.tensor([True, False, True]),
        "nhwc": torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "part": torch.arange(10)[2:5],
        1: torch.tensor(1.5, dtype=torch.float64),
        "1": torch.tensor(2, dtype=torch.uint8),
    }
    folder = state.save(tmp_path, 1, tensors, keep=2)
    assert same(state.load(folder), tensors)
    with safe_open(folder / state.TENSORS, framework="pt") as stored:
        assert len(stored.keys()) == len(tensors)
    on_disk = sum(path.stat().st_size for path in folder.iterdir())
    assert on_disk <= state.stored_bytes(tensors) <= on_disk + 70_000
