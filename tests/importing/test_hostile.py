"""Nothing in a file that is imported is executed, however it is hidden."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gantools.models.latent.style import StyleGenerator
from tests.importing import hostile, theirs

SAID = {
    "system": "asks for ",  # os, posix or nt
    "system in a network": "asks for os.system, which no network",
    "eval": "asks for builtins.eval,",
    "exec": "asks for builtins.exec,",
    "getattr": "asks for builtins.getattr,",
    "attribute by dots": "holds no network",
    "type": "asks for builtins.type,",
    "setstate": "holds no network",
    "pickle for a storage": "asks for os.system,",
    "old checkpoint for a storage": "asks for __builtin__.exec,",
    "archive for a storage": "is a pickle with an instruction that no network needs",
    "objects in an array": "asks for os.system,",
    "type of objects": "has an array that is not of numbers",
    "persistent id": "refers to something outside the file",
    "object": "is a pickle with an instruction that no network needs",
    "extension": "is a pickle with an instruction that no network needs",
    "call of a value": "calls what is not a part of a network",
    "new object of a function": "makes an object that is not a part of a network",
    "state of a class": "sets the state of what is not a part of a network",
    "endless bytes": "is cut short",
    "endless text": "is cut short",
    "tensor beyond its storage": "has a tensor that is larger than its storage",
    "endless storage": "has a storage of another size than it says",
    "bytes of many tensors": "has tensors that share their bytes",
    "module in itself": "is a pickle of something else than NVIDIA's networks",
    "shared without end": "is a pickle of something else than NVIDIA's networks",
    "key without end": "has a key that no network has",
    "set without end": "has a key that no network has",
    "copies of text": "copies its own parts without end",
    "copies of items": "copies its own parts without end",
    "dicts in dicts": "holds more dicts within dicts than any network's file",
    "modules in modules": "is a pickle of something else than NVIDIA's networks",
    "shape of many sides": "has a tensor without a shape",
    "side of many digits": "has a tensor without a shape",
    "long name": "asks for a name that is too long",
    "cut short": "is cut short",
    "no end": "is cut short",
}
"""What is said about some pickles: they fail where they should, and not later for another reason."""


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    """A pickle of a network."""
    network = StyleGenerator(image_px=8, latent_size=4, style_size=4, channel_base=32, max_channels=4, mapping_layers=1)
    theirs.save_rosinality(tmp_path / "warm.pt", {"G_ema": network}, mean=True)
    return theirs.save_torch(tmp_path / "warm.pkl", {"G_ema": network}).read_bytes()


def test_hostile_files_are_refused_and_nothing_is_executed(good: bytes, tmp_path: Path) -> None:
    mark = tmp_path / hostile.MARK / "mark"
    mark.parent.mkdir()
    hostiles = hostile.pickles(good, mark)
    for name, content in hostiles.items():
        (tmp_path / f"{name}.pkl").write_bytes(content)
    large = StyleGenerator(
        image_px=8, latent_size=500, style_size=500, channel_base=32, max_channels=4, mapping_layers=2
    )
    for name, content in hostile.checkpoints(mark, theirs.rosinality_state(large)).items():
        torch.save(content, tmp_path / f"{name}.pt")
        torch.save(content, tmp_path / f"{name}, old.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "warm, refused.pt")
    program = [sys.executable, hostile.__file__, str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["events"] == []
    assert not mark.exists()
    answers = {name: said for name, said in found["answers"].items() if not name.startswith("warm")}
    assert len(answers) == len(hostiles) + 8 > 45
    assert {name: said for name, said in answers.items() if not said.startswith("refused: ")} == {}
    assert all(len(said.splitlines()) == 1 and len(said) < 600 for said in answers.values())
    assert {name: answers[f"{name}.pkl"] for name, said in SAID.items() if said not in answers[f"{name}.pkl"]} == {}
    assert "has tensors of 512,205 values in" in answers["bytes of many values.pt"]
    assert found["answers"]["warm.pkl"] == found["answers"]["warm.pt"] == "imported"
    assert {path.name for path in mark.parent.iterdir()} == {"warm.pkl.safetensors", "warm.pt.safetensors"}


def test_payloads_are_live(good: bytes, tmp_path: Path) -> None:
    """What the test above proves is worth something only if these would do what they say."""
    mark = tmp_path / "mark"
    hostiles = hostile.pickles(good, mark)
    for name in ("exec", "eval"):
        mark.unlink(missing_ok=True)
        pickle.loads(hostiles[name])
        assert mark.exists()
