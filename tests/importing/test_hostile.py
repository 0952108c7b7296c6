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
    for name, content in hostile.checkpoints(mark).items():
        torch.save(content, tmp_path / f"{name}.pt")
        torch.save(content, tmp_path / f"{name}, old.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "warm, refused.pt")
    program = [sys.executable, "-W", "error", hostile.__file__, str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["events"] == []
    assert not mark.exists()
    answers = {name: said for name, said in found["answers"].items() if not name.startswith("warm")}
    assert len(answers) == len(hostiles) + 6 > 40
    assert {name: said for name, said in answers.items() if not said.startswith("refused: ")} == {}
    assert all(len(said.splitlines()) == 1 and len(said) < 600 for said in answers.values())
    assert "asks for os.system" in answers["system in a network.pkl"] or "asks for posix" in answers["system.pkl"]
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
