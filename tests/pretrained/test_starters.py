"""Shipped weights can be trained once more: what their cards say is what `gantools train` takes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gantools import api
from gantools.pretrained import catalogue

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_starter"
SHIPPED = [weights for weights in catalogue.installed() if weights.shipped]


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda weights: weights.name)
def test_a_cards_settings_are_sound_and_its_steps_those_of_the_preset(weights):
    card = weights.card()
    assert card is not None
    for earlier in (*card.pretraining, card.blended.settings if card.blended else ()):
        api.configure(card.config, data=["photos"], overrides=earlier)
    settings = api.configure(card.config, data=["photos"], overrides=card.settings)
    stages = settings.config.stages.model_dump(exclude_none=True)
    for name, steps in card.steps.items():
        assert stages[name].get("steps") in (steps, None), "None: counted in epochs"
    if card.starts_from:
        assert catalogue.find(card.starts_from).shipped


def run(*words):
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True)


def test_it_says_what_would_be_run():
    first, blended = (shlex.split(line) for line in run("srgan/gan", "--list").stdout.splitlines()[-2:])
    for words, folder in ((first, "runs/srgan/gan"), (blended, "runs/srgan/gan-blended")):
        assert words[:4] == ["gantools", "train", "srgan/compact", "--data"]
        assert words[words.index("--init-from") + 1].endswith("srgan/psnr.safetensors")
        assert words[words.index("--run-dir") + 1] == folder
    assert "model.adversarial_weight=0.003" in blended


def test_what_was_trained_before_is_trained_before():
    earlier, later = (shlex.split(line) for line in run("deblur", "--list").stdout.splitlines()[-2:])
    first = earlier[earlier.index("--run-dir") + 1]
    assert "stages.content.steps=16500" in earlier
    assert later[later.index("--init-from") + 1] == f"{first}/weights/last.safetensors"
    assert later[later.index("--run-dir") + 1] == "runs/deblur"


def test_photos_must_be_given():
    done = run("srgan/gan")
    assert (done.returncode, "--data: give the folders" in done.stderr) == (2, True)


def test_what_a_teacher_taught_is_distilled_before():
    lines = [
        shlex.split(line) for line in run("srgan/real", "--list").stdout.splitlines() if line.startswith("gantools")
    ]
    distilled = [words for words in lines if words[1:3] == ["data", "distill"]]
    assert [("--teacher" in words) for words in distilled] == [True, False, True, True, False]
    trained = [words for words in lines if words[1] == "train"]
    folders = [words[words.index("-o") + 1] for words in distilled]
    for words in trained:
        assert [word for before, word in pairwise(words) if before == "--data"] == folders
    assert len(trained) == 3
    for before, after in pairwise(trained):
        run_dir = before[before.index("--run-dir") + 1]
        assert after[after.index("--init-from") + 1] == f"{run_dir}/weights/last.safetensors"
    done = run("srgan/real", "--data", "photos")
    assert (done.returncode, "give 4 folders, in the order of these sets, and the teacher" in done.stderr) == (2, True)
