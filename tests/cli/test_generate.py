"""``gantools generate``: wrong input is refused in one line, before anything is written."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from gantools.checkpoint.weights import Latent
from tests.test_generation import CODED, DIGITS, saved

SPOKEN = Latent(20, text_size=1024, vocabulary=("a", "boot", "red", "white"))

WRONG = {
    "digits --label 7": "the model knows no such class",
    "digits --label all --text boot": "--text: the model reads no text",
    "digits --seeds 3-1": "goes backwards; write 1-3",
    "digits --seeds 1,x": "is no number or range",
    "digits --code c1=3": "--code c1: the model has none",
    "digits -n 0": "greater than or equal to 1",
    "digits --grid 3": "give rows and columns, such as 4x6",
    "digits -n 4 --grid 2x3": "6 places for 8 images",
    "digits --steps": "single level",
    "digits --interpolate -n 1 --label 8": "at least two",
    "digits --latents none.npy": "none.npy",
    "digits --latents wrong.npy": "the model takes (N, 20)",
    "digits --latents wrong.npy --seeds 1": "leave out --seeds and --code",
    "digits --latents void.npy": "'void.npy': cannot be read as a NumPy file",
    "digits --latents empty.txt": "it is no .npz or .npy",
    "digits --latents nan.npy": "has NaN or infinite values",
    "digits --latents keys.npz": "has no array z, only a",
    "digits --seeds 99999999999": "seeds are below 2^32",
    "digits --skip-existing --overwrite": "contradict each other",
    "digits -n 1 --label 8 -o -": "-o -: nothing is written to stdout here",
    "digits --interpolate --grid 2x2": "leave out --grid and --steps",
    "dcgan": "`gantools train dcgan` makes some",
    "digits --export other": "holds generator",
    "digits --truncation 0.7": "cgan has no styles",
    "digits -o out.bmp": "out.bmp",
    "digits --loop --fps 12": "--fps, --loop: belongs to a walk; add --interpolate",
    "digits --seeds 1-3 -n 5": "--seeds: names 3 images; leave out -n 5",
    "codes --code c1=12": "is one of the numbers 0 to 9",
    "codes --code c2": "give a code and a value or a range",
    "codes --label 3": "the model knows no classes",
    "words --text 'a red boots'": 'did you mean "boot"',
    "words": "give --text",
    "words --texts none.txt": "--texts none.txt: cannot be read",
    "words --texts empty.txt": "holds no text",
    "srgan": "use: gantools infer",
    "nothing": "nothing",
}


@pytest.fixture
def models(tmp_path, monkeypatch):
    saved(tmp_path / "digits", DIGITS)
    saved(tmp_path / "codes", CODED)
    saved(tmp_path / "words", SPOKEN)
    np.save(tmp_path / "wrong.npy", np.zeros((2, 5)))
    np.save(tmp_path / "nan.npy", np.full((2, 20), np.nan))
    np.savez(tmp_path / "keys.npz", a=np.zeros((2, 20)))
    (tmp_path / "void.npy").write_bytes(b"")
    (tmp_path / "empty.txt").write_text("\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("typed", "says"), WRONG.items())
def test_wrong_input_is_one_line_and_writes_nothing(gantools, models, typed: str, says: str) -> None:
    before = sorted(models.rglob("*"))
    done = gantools("generate", *shlex.split(typed))
    assert done.code == 2
    assert says in done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert sorted(models.rglob("*")) == before


def test_infer_says_that_a_model_wants_generate(gantools, models) -> None:
    done = gantools("infer", "digits", "wrong.npy")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "use: gantools generate" in done.err
